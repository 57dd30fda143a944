// @ts-check
/**
 * Paints streets: the page's side of `worker.js`.
 *
 * @typedef {object} Model
 * @property {string} name
 * @property {string} title
 * @property {number} size height and width of its pictures
 * @property {number} noiseDim Z
 * @property {number} latentDim D
 * @property {number} blocks B
 * @property {{name: string, color: number[], thing: boolean, partOf: string[]}[]} classes
 * @property {"instance" | "class" | "image"} level what one draw decides
 * @property {boolean} encodes
 * @property {Float32Array} directions [K, 2, Z], unit vectors: where the noise changes the picture most; K may be 0
 *
 * @typedef {object} Maps
 * @property {Uint8Array} label a class for each pixel
 * @property {Uint16Array} instance an instance for each pixel, below count
 * @property {number} count I
 * @property {string} [model] by default the one that was loaded first
 * @property {string} [lane] see `paint`
 *
 * @typedef {Maps & {noise: Float32Array, latent: Float32Array}} Painting noise [B, I, 2, Z], latent [D]
 * @typedef {Maps & {rgb: Float32Array}} Picture rgb [3, H, W], from -1 to 1
 *
 * @typedef {object} Engine
 * @property {() => Promise<{name: string, title: string, size: number, level: string, bytes: number}[]>} list
 * @property {(name: string, onProgress?: (loaded: number, total: number) => void) => Promise<Model>} load
 * @property {(painting: Painting) => Promise<Uint8ClampedArray>} paint gives RGBA, size * size * 4 numbers
 * @property {(picture: Picture) => Promise<{mu: Float32Array, logvar: Float32Array}>} encode gives [I, 2, Z] each; of a
 *   model whose level is "image" [D], for the latent
 * @property {() => void} close
 *
 * @typedef {{message: () => object, resolve: (value: any) => void, reject: (error: Error) => void}} Job
 */
import { fetchFile, nameOf } from "./fetch.js";

/**
 * An engine whose files are in the folder `base`. Everything that goes wrong comes back as a sentence.
 *
 * The worker does one thing at a time. In each lane, by default a lane for each model, one painting may wait for it; a
 * newer one takes its place, and the promise of the older one rejects with an error whose name is "Stale". What has
 * begun is finished, so that the picture moves while a hand moves. The lane "main" goes first.
 *
 * @param {string} base
 * @returns {Engine}
 */
export function createEngine(base) {
  base = new URL(base.endsWith("/") ? base : `${base}/`, globalThis.location?.href).href;
  /** @type {Map<number, {resolve: (value: any) => void, reject: (error: Error) => void, onProgress?: Function}>} */
  const open = new Map();
  /** @type {Map<string, Job>} */
  const waiting = new Map();
  /** @type {Map<string, Model>} */
  const models = new Map();
  /** @type {Map<string, Promise<any>>} Parts of models that are there or on their way. */
  const parts = new Map();
  /** @type {Worker | null} */
  let worker = null;
  /** @type {Promise<any> | null} */
  let index = null;
  let busy = false;
  let lastId = 0;

  function getWorker() {
    if (worker) return worker;
    worker = new Worker(new URL("worker.js", import.meta.url), { type: "module" });
    worker.onmessage = ({ data }) => {
      const job = open.get(data.id);
      if (!job) return;
      if (data.total) return job.onProgress?.(data.loaded, data.total);
      open.delete(data.id);
      if (data.error) job.reject(new Error(data.error));
      else job.resolve(data.value);
    };
    worker.onerror = (event) => {
      event.preventDefault();
      fail(new Error("The painter stopped unexpectedly. Reload the page to start it again."));
    };
    return worker;
  }

  /** @param {Error} error */
  function fail(error) {
    worker?.terminate();
    worker = null;
    models.clear();
    parts.clear();
    for (const job of [...open.values(), ...waiting.values()]) job.reject(error);
    open.clear();
    waiting.clear();
    busy = false;
  }

  /**
   * @param {object} message
   * @param {Function} [onProgress]
   * @returns {Promise<any>}
   */
  function ask(message, onProgress) {
    return new Promise((resolve, reject) => {
      const id = ++lastId;
      open.set(id, { resolve, reject, onProgress });
      getWorker().postMessage({ id, ...message });
    });
  }

  /**
   * @param {string} lane
   * @param {() => object} message is made when its turn comes
   * @returns {Promise<any>}
   */
  function queue(lane, message) {
    return new Promise((resolve, reject) => {
      waiting.get(lane)?.reject(stale());
      waiting.delete(lane); // a newer one goes to the end
      waiting.set(lane, { message, resolve, reject });
      next();
    });
  }

  async function next() {
    if (busy || !waiting.size) return;
    const lane = waiting.has("main") ? "main" : /** @type {string} */ (waiting.keys().next().value);
    const { message, resolve, reject } = /** @type {Job} */ (waiting.get(lane));
    waiting.delete(lane);
    busy = true;
    try {
      resolve(await ask(message()));
    } catch (error) {
      reject(/** @type {Error} */ (error));
    }
    busy = false;
    next();
  }

  async function getIndex() {
    index ??= readJson(`${base}models/models.json`);
    try {
      return await index;
    } catch (error) {
      index = null; // so that the next try begins anew
      throw error;
    }
  }

  /** @param {string | undefined} name */
  function find(name) {
    const model = name === undefined ? models.values().next().value : models.get(name);
    if (!model) throw new Error(name === undefined ? "No model is loaded yet." : `The model ${name} is not loaded yet.`);
    return model;
  }

  /**
   * @param {string} name
   * @param {"generator" | "encoder"} part
   * @param {Function} [onProgress]
   */
  async function fetchPart(name, part, onProgress) {
    const { models: all, runtime } = await getIndex();
    if (!all[name]) throw new Error(`There is no model ${name}; there are ${Object.keys(all).join(", ")}.`);
    const key = `${name}/${part}`;
    if (!parts.has(key)) {
      parts.set(key, ask({ job: "load", base, name, part, file: all[name][part], runtime }, onProgress));
    }
    try {
      await parts.get(key);
    } catch (error) {
      parts.delete(key); // so that the next try begins anew
      throw error;
    }
    return all[name];
  }

  return {
    async list() {
      const { models: all } = await getIndex();
      return Object.entries(all).map(([name, { title, size, level, generator }]) => {
        return { name, title, size, level, bytes: generator.bytes };
      });
    },

    async load(name, onProgress) {
      const known = models.get(name);
      if (known) return known;
      const made = await fetchPart(name, "generator", onProgress);
      const { title, size, noiseDim, latentDim, blocks, level, encoder, directions } = made;
      const { classes } = await getIndex();
      /** @type {Omit<Model, "directions">} */
      const model = { name, title, size, noiseDim, latentDim, blocks, level, classes, encodes: Boolean(encoder) };
      models.set(name, { ...model, directions: Float32Array.from(directions.flat(2)) });
      return find(name);
    },

    async paint(painting) {
      const { noise, latent, count } = painting;
      const model = find(painting.model);
      const { name, blocks, noiseDim, latentDim } = model;
      checkMaps(model, painting);
      checkNumbers("noise", noise, blocks * count * 2 * noiseDim);
      checkNumbers("latent", latent, latentDim);
      const inputs = {
        ...mapInputs(model, painting),
        noise: ["float32", noise, [blocks, count, 2, noiseDim]],
        latent: ["float32", latent, [1, latentDim]],
      };
      const { pixels } = await queue(painting.lane ?? name, () => ({ job: "paint", name, inputs }));
      return pixels;
    },

    async encode(picture) {
      const model = find(picture.model);
      const { name, size, noiseDim, level } = model;
      if (!model.encodes) throw new Error(`The model ${model.title} has no encoder, so it cannot borrow a look.`);
      checkMaps(model, picture);
      checkNumbers("picture", picture.rgb, 3 * size * size);
      await fetchPart(name, "encoder");
      const inputs = { ...mapInputs(model, picture), picture: ["float32", picture.rgb, [1, 3, size, size]] };
      const { mu, logvar } = await queue(`${picture.lane ?? name} encoder`, () => ({ job: "encode", name, inputs }));
      if (level === "image") return { mu, logvar };
      // The encoder knows the ids that it sees. Those behind them have no look.
      const wanted = picture.count * 2 * noiseDim;
      return { mu: padded(mu, wanted), logvar: padded(logvar, wanted) };
    },

    close() {
      fail(stale());
    },
  };
}

function stale() {
  const error = new Error("A newer picture was asked for.");
  error.name = "Stale";
  return error;
}

/** @param {string} url */
async function readJson(url) {
  const response = await fetchFile(url);
  try {
    return await response.json();
  } catch {
    throw new Error(`${nameOf(url)} is damaged. Build the page again.`);
  }
}

/**
 * @param {Model} model
 * @param {Maps} maps
 */
function checkMaps({ size, classes }, { label, instance, count }) {
  for (const [name, map] of [["label map", label], ["instance map", instance]]) {
    if (map?.length !== size * size) {
      throw new Error(`The ${name} has ${map?.length ?? "no"} pixels; this model paints ${size} × ${size}.`);
    }
  }
  const unknown = label.find((id) => id >= classes.length);
  if (unknown !== undefined) {
    throw new Error(`The model does not know the class ${unknown}; it knows 0 to ${classes.length - 1}.`);
  }
  const beyond = instance.find((id) => id >= count);
  if (beyond !== undefined) throw new Error(`There is an instance ${beyond}, but noise for ${count} only.`);
}

/**
 * @param {string} name
 * @param {Float32Array} numbers
 * @param {number} count
 */
function checkNumbers(name, numbers, count) {
  if (numbers?.length !== count) throw new Error(`The ${name} has ${numbers?.length ?? "no"} numbers; it needs ${count}.`);
  if (!numbers.every(Number.isFinite)) throw new Error(`The ${name} holds something that is not a number.`);
}

/**
 * @param {Model} model
 * @param {Maps} maps
 */
function mapInputs({ size }, { label, instance }) {
  return {
    label: ["int32", Int32Array.from(label), [size, size]],
    instance: ["int32", Int32Array.from(instance), [size, size]],
  };
}

/**
 * @param {Float32Array} array
 * @param {number} length
 */
function padded(array, length) {
  const longer = new Float32Array(length);
  longer.set(array.subarray(0, length));
  return longer;
}
