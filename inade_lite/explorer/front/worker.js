// @ts-check
/**
 * Runs the networks, away from the page's own thread. `engine.js` talks to it; a message is one job:
 *
 *     {id, job: "load", base, name, part}          part: "generator" or "encoder"
 *     {id, job: "paint", name, inputs}             inputs: {name: [type, numbers, shape]}
 *     {id, job: "encode", name, inputs}
 *
 * and is answered by {id, loaded, total} while files come in, then by {id, value} or {id, error}.
 */
import { fetchFile, nameOf } from "./fetch.js";

/** @type {any} onnxruntime-web, once it is there. */
let ort = null;
/** @type {Promise<void> | null} */
let starting = null;
/** @type {Map<string, any>} Sessions by "name/part". */
const sessions = new Map();

self.onmessage = async ({ data }) => {
  const { id, job } = data;
  try {
    const value = await jobs[job](data);
    const buffers = Object.values(value ?? {}).map((array) => array.buffer);
    postMessage({ id, value }, { transfer: buffers });
  } catch (error) {
    postMessage({ id, error: error instanceof Error ? error.message : String(error) });
  }
};

/** @type {Record<string, (data: any) => Promise<Record<string, any> | null>>} */
const jobs = {
  async load({ id, base, name, part, file, runtime }) {
    const key = `${name}/${part}`;
    if (sessions.has(key)) return null;
    const progress = counter(id, file.bytes + (ort ? 0 : runtime.bytes));
    // Both downloads run at once, and the runtime is compiled while the model still comes in.
    starting ??= start(base, runtime, progress);
    const bytes = download(base + file.path, progress);
    bytes.catch(() => {}); // is awaited below, if the runtime starts
    try {
      await starting;
    } catch (error) {
      starting = null; // so that the next try begins anew
      throw error;
    }
    const model = await bytes;
    try {
      sessions.set(key, await ort.InferenceSession.create(model, { executionProviders: ["wasm"] }));
    } catch (error) {
      throw new Error(`The model ${name} could not be opened (${reason(error)}). Build the page again.`, { cause: error });
    }
    return null;
  },

  async paint({ name, inputs }) {
    const { image } = await run(`${name}/generator`, inputs);
    return { pixels: toPixels(image) };
  },

  async encode({ name, inputs }) {
    return run(`${name}/encoder`, inputs);
  },
};

/**
 * @param {string} base
 * @param {{script: string, path: string}} runtime
 * @param {(bytes: number) => void} progress
 */
async function start(base, runtime, progress) {
  if (!globalThis.WebAssembly) throw new Error("This browser has no WebAssembly, so it cannot paint.");
  const [module, binary] = await Promise.all([import(base + runtime.script), download(base + runtime.path, progress)]);
  module.env.wasm.numThreads = 1; // more need headers that a plain file server does not send
  try {
    module.env.wasm.wasmBinary = await unzip(binary);
  } catch {
    throw new Error("The painting program is damaged. Build the page again.");
  }
  module.env.logLevel = "error";
  ort = module;
}

/**
 * What was packed when the page was built. A server may have unpacked it on the way.
 * @param {Uint8Array<ArrayBuffer>} bytes
 */
async function unzip(bytes) {
  if (bytes[0] !== 0x1f || bytes[1] !== 0x8b) return bytes.buffer;
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Response(stream).arrayBuffer();
}

/**
 * @param {string} url
 * @param {(bytes: number) => void} progress is told how many bytes have come since
 * @returns {Promise<Uint8Array<ArrayBuffer>>}
 */
async function download(url, progress) {
  const response = await fetchFile(url);
  const parts = [];
  const reader = /** @type {ReadableStream<Uint8Array<ArrayBuffer>>} */ (response.body).getReader();
  try {
    for (let part = await reader.read(); !part.done; part = await reader.read()) {
      parts.push(part.value);
      progress(part.value.length);
    }
  } catch {
    throw new Error(`The connection broke while ${nameOf(url)} was fetched.`);
  }
  return new Uint8Array(await new Blob(parts).arrayBuffer());
}

/**
 * @param {number} id
 * @param {number} total
 */
function counter(id, total) {
  let loaded = 0;
  return (/** @type {number} */ bytes) => {
    loaded = Math.min(loaded + bytes, total);
    postMessage({ id, loaded, total });
  };
}

/**
 * @param {string} key
 * @param {Record<string, [string, any, number[]]>} inputs
 * @returns {Promise<Record<string, any>>}
 */
async function run(key, inputs) {
  /** @type {Record<string, any>} */
  const feeds = {};
  const session = sessions.get(key);
  for (const name of session.inputNames) {
    feeds[name] = new ort.Tensor(...inputs[name]);
  }
  let results;
  try {
    results = await session.run(feeds);
  } catch (error) {
    throw new Error(`The network could not run (${reason(error)}).`, { cause: error });
  }
  /** @type {Record<string, any>} */
  const values = {};
  for (const name of session.outputNames) {
    values[name] = results[name].data;
  }
  return values;
}

/**
 * Numbers from -1 to 1, one color after the other, to RGBA. The array clips and rounds as `to_uint8` does in Python.
 * @param {Float32Array} image
 */
function toPixels(image) {
  const count = image.length / 3;
  const pixels = new Uint8ClampedArray(4 * count).fill(255);
  for (let color = 0; color < 3; color++) {
    for (let pixel = 0; pixel < count; pixel++) {
      pixels[4 * pixel + color] = image[color * count + pixel] * 127.5 + 127.5;
    }
  }
  return pixels;
}

/** @param {unknown} error */
function reason(error) {
  return error instanceof Error ? error.message : String(error);
}
