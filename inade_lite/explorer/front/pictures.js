// @ts-check
/**
 * Which picture is painted next. The engine gets one request at a time; the street that is shown comes before the
 * small pictures, and of several wishes for it only the newest is painted.
 *
 * @typedef {import("./state.js").State} State
 * @typedef {import("./objects.js").Class} Class
 * @typedef {object} Model
 * @property {string} name
 * @property {number} size
 * @property {number} noiseDim
 * @property {number} latentDim
 * @property {number} blocks
 * @property {Class[]} [classes]
 * @property {"instance" | "class" | "image" | null} level what one draw of noise decides
 * @property {boolean} encodes
 * @property {Float32Array} directions [K * 2 * Z]
 *
 * @typedef {{label: Uint8Array, instance: Uint16Array, count: number, noise: Float32Array, latent: Float32Array,
 *   model: string}} Request
 * @typedef {{size: number, data: Uint8ClampedArray}} Picture
 */
import { gaussians, mix, stackNoise } from "./looks.js";
import { lookOf } from "./state.js";

/**
 * Everything a model needs to paint a state.
 * @param {State} state
 * @param {Model} model
 * @param {{label: Uint8Array, instance: Uint16Array, count: number}} maps
 * @returns {Request}
 */
export function requestOf(state, model, { label, instance, count }) {
  const noise = stackNoise((id) => lookOf(state, id), count, model);
  if (model.level === "class") shareByClass(noise, state, { label, instance, count }, model);
  let seed = state.latent;
  // Where one draw decides the whole picture, a new look of anything is a new latent.
  if (model.level === "image") {
    seed = mix(seed, state.seed);
    for (const x of JSON.stringify(state.looks)) seed = mix(seed, x.charCodeAt(0));
  }
  return { label, instance, count, noise, latent: gaussians(mix(seed, 1), model.latentDim), model: model.name };
}

/**
 * Where one draw decides a whole class, its instances get one noise: that of the one whose look was changed. Of several
 * changed ones it is the sum over the root of their number, which is N(0, 1) again and hears each of them.
 * @param {Float32Array} noise [B * I * 2 * Z], is changed
 * @param {State} state
 * @param {{label: Uint8Array, instance: Uint16Array, count: number}} maps
 * @param {{noiseDim: number, blocks: number}} model
 */
function shareByClass(noise, state, { label, instance, count }, { noiseDim, blocks }) {
  const row = 2 * noiseDim;
  /** @type {Map<number, Set<number>>} */
  const members = new Map();
  instance.forEach((id, p) => members.set(label[p], (members.get(label[p]) ?? new Set()).add(id)));
  for (const ids of members.values()) {
    const changed = [...ids].filter((id) => id in state.looks).sort((a, b) => a - b);
    if (!changed.length) continue;
    for (let block = 0; block < blocks; block++) {
      const shared = new Float32Array(row);
      for (const id of changed) {
        const first = (block * count + id) * row;
        for (let i = 0; i < row; i++) shared[i] += noise[first + i] / Math.sqrt(changed.length);
      }
      for (const id of ids) noise.set(shared, (block * count + id) * row);
    }
  }
}

/**
 * @param {{paint: (request: Request) => Promise<Uint8ClampedArray>}} engine
 * @param {(state: State, model: Model) => {size: number, label: Uint8Array, instance: Uint16Array, count: number}} mapsOf
 */
export function createPictures(engine, mapsOf) {
  /** @type {WeakMap<State, Map<string, Picture>>} */
  const known = new WeakMap();
  /** @typedef {{state: State, model: Model, group: string, done: (picture: Picture | null) => void, fail: (e: any) => void}} Job */
  /** @type {Job | null} */
  let first = null;
  /** @type {Job[]} */
  let others = [];
  let busy = false;

  async function work() {
    if (busy) return;
    busy = true;
    for (;;) {
      const job = first ?? others.shift();
      if (!job) break;
      if (job === first) first = null;
      try {
        const ready = find(job.state, job.model);
        job.done(ready ?? (await paint(job)));
      } catch (error) {
        if (/** @type {Error} */ (error)?.name === "Stale") job.done(null);
        else job.fail(error);
      }
    }
    busy = false;
  }

  /** @param {Job} job */
  async function paint({ state, model }) {
    const maps = mapsOf(state, model);
    const data = await engine.paint(requestOf(state, model, maps));
    const picture = { size: maps.size, data };
    const pictures = known.get(state) ?? new Map();
    known.set(state, pictures.set(model.name, picture));
    return picture;
  }

  /**
   * The picture of a state, if it was painted before.
   * @param {State} state
   * @param {Model} model
   */
  function find(state, model) {
    return known.get(state)?.get(model.name);
  }

  return {
    find,
    /**
     * Two states that look the same share their pictures.
     * @param {State} next
     * @param {State} previous
     */
    alias(next, previous) {
      const pictures = known.get(previous) ?? new Map();
      known.set(previous, pictures);
      known.set(next, pictures);
    },
    /**
     * The picture that is to be shown; null when a newer one was asked for.
     * @param {State} state
     * @param {Model} model
     * @returns {Promise<Picture | null>}
     */
    show(state, model) {
      first?.done(null);
      return new Promise((done, fail) => {
        first = { state, model, group: "", done, fail };
        work();
      });
    },
    /**
     * A picture for which there is time; null when its group was dropped.
     * @param {State} state
     * @param {Model} model
     * @param {string} group
     * @returns {Promise<Picture | null>}
     */
    later(state, model, group) {
      return new Promise((done, fail) => {
        others.push({ state, model, group, done, fail });
        work();
      });
    },
    /** @param {string} group */
    drop(group) {
      for (const job of others) if (job.group === group) job.done(null);
      others = others.filter((job) => job.group !== group);
    },
  };
}

/**
 * |a - b| of two pictures, by pixel, and its mean where the mask is and where it is not.
 * @param {Picture} a
 * @param {Picture} b
 * @param {(pixel: number) => boolean} mask
 */
export function difference(a, b, mask) {
  const pixels = a.data.length / 4;
  const map = new Float32Array(pixels);
  const sum = [0, 0];
  const count = [0, 0];
  for (let p = 0; p < pixels; p++) {
    for (let c = 0; c < 3; c++) map[p] += Math.abs(a.data[4 * p + c] - b.data[4 * p + c]) / 3;
    const side = mask(p) ? 0 : 1;
    sum[side] += map[p];
    count[side] += 1;
  }
  const mean = (/** @type {number} */ side) => (count[side] ? sum[side] / count[side] : 0);
  return { map, inside: mean(0), outside: mean(1) };
}
