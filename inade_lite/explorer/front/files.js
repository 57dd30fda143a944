// @ts-check
/**
 * What goes to files and comes from them: a picture, a street with its maps and noise, frames of a slide.
 *
 * @typedef {import("./state.js").State} State
 * @typedef {import("./paint.js").Base} Base
 */
import { BadState, checkState } from "./state.js";
import { MOST } from "./paint.js";

const FORMAT = "inade-street";

/** @param {ArrayBufferView} array */
export function toBase64(array) {
  const bytes = new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
  let text = "";
  for (let i = 0; i < bytes.length; i += 8192) text += String.fromCharCode(...bytes.subarray(i, i + 8192));
  return btoa(text);
}

/** @param {string} text */
export function fromBase64(text) {
  return Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
}

/**
 * Bytes as numbers of two bytes, the small end first.
 * @param {Uint8Array} bytes
 */
export function wide(bytes) {
  return Uint16Array.from({ length: bytes.length >> 1 }, (_, i) => bytes[2 * i] + 256 * bytes[2 * i + 1]);
}

/**
 * The text of a file that brings a street back; `inade_lite.explorer.render` paints it, too.
 * @param {State} state
 * @param {Base} base of the street, without edits
 * @param {import("./pictures.js").Request} request
 * @param {{name: string}[]} classes
 */
export function writeStreet(state, base, request, classes) {
  const file = {
    format: FORMAT,
    version: 1,
    state,
    size: base.size,
    classes: classes.map(({ name }) => name),
    base: { label: toBase64(base.label), instance: toBase64(base.instance) },
    model: request.model,
    count: request.count,
    label: toBase64(request.label),
    instance: toBase64(request.instance),
    noise: toBase64(request.noise),
    latent: toBase64(request.latent),
  };
  return JSON.stringify(file);
}

/**
 * The state in a file, and the maps of its street; BadState says what is wrong.
 * @param {string} text
 * @param {{models: string[], scenes: string[], classes: {name: string}[]}} known
 * @returns {{state: State, base: Base}}
 */
export function readStreet(text, { models, scenes, classes }) {
  /** @type {any} */
  let file;
  try {
    file = JSON.parse(text);
  } catch {
    throw new BadState("not JSON");
  }
  if (file?.format !== FORMAT) throw new BadState("another format");
  const { size, base } = file;
  if (!Number.isInteger(size) || size < 16 || size > 1024) throw new BadState(`a map of ${size} × ${size}`);
  let label;
  let instance;
  try {
    label = fromBase64(base.label);
    instance = wide(fromBase64(base.instance));
  } catch {
    throw new BadState("maps");
  }
  if (label.length !== size * size || instance.length !== size * size) throw new BadState("maps of another size");
  const names = Array.isArray(file.classes) ? file.classes : [];
  for (const cls of new Set(label)) {
    if (!classes[cls] || (names.length && names[cls] !== classes[cls].name)) {
      throw new BadState(`class ${JSON.stringify(names[cls] ?? cls)}`);
    }
  }
  const count = instance.reduce((most, id) => Math.max(most, id + 1), 0);
  if (count > MOST) throw new BadState(`${count} instances`);
  const scene = file.state?.scene;
  if (typeof scene !== "string" || scene.length > 99) throw new BadState("street");
  const state = checkState(file.state, { models, scenes: [...scenes, scene], classes: classes.length, most: MOST });
  return { state, base: { size, label, instance, count } };
}

/**
 * Gives a file to the user.
 * @param {Blob} blob
 * @param {string} name
 */
export function download(blob, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}

/**
 * A picture with `scale`² pixels for each of its own.
 * @param {import("./pictures.js").Picture} picture
 * @param {number} scale
 * @returns {import("./pictures.js").Picture}
 */
export function enlarge({ size, data }, scale) {
  const side = size * scale;
  const from = new Uint32Array(data.slice().buffer);
  const out = new Uint32Array(side * side);
  for (let y = 0; y < side; y++) {
    const row = Math.floor(y / scale) * size;
    for (let x = 0; x < side; x++) out[y * side + x] = from[row + Math.floor(x / scale)];
  }
  return { size: side, data: new Uint8ClampedArray(out.buffer) };
}

/**
 * Frames as a video, where a browser can record one.
 * @param {import("./pictures.js").Picture[]} frames
 * @param {number} delay in milliseconds
 * @returns {Promise<Blob>}
 */
export async function record(frames, delay) {
  const canvas = document.createElement("canvas");
  canvas.width = frames[0].size;
  canvas.height = frames[0].size;
  const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
  const recorder = new MediaRecorder(canvas.captureStream());
  /** @type {Blob[]} */
  const chunks = [];
  recorder.ondataavailable = ({ data }) => chunks.push(data);
  const stopped = new Promise((done) => (recorder.onstop = done));
  recorder.start();
  for (const { data, size } of frames) {
    context.putImageData(new ImageData(new Uint8ClampedArray(data), size, size), 0, 0);
    await new Promise((done) => setTimeout(done, delay));
  }
  recorder.stop();
  await stopped;
  return new Blob(chunks, { type: recorder.mimeType });
}

/**
 * Frames as an animated GIF.
 * @param {any} gifenc the module
 * @param {import("./pictures.js").Picture[]} frames
 * @param {number} delay in milliseconds
 * @returns {Blob}
 */
export function animate({ GIFEncoder, quantize, applyPalette }, frames, delay) {
  const gif = GIFEncoder();
  for (const { size, data } of frames) {
    const palette = quantize(data, 256);
    gif.writeFrame(applyPalette(data, palette), size, size, { palette, delay });
  }
  gif.finish();
  return new Blob([gif.bytes()], { type: "image/gif" });
}
