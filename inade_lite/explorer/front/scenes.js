// @ts-check
/**
 * The streets that can be opened, at every size that a model paints.
 *
 * @typedef {import("./paint.js").Base} Base
 * @typedef {{base: Base, picture: string | null}} Scene picture: the address of the real picture
 */
import { fromBase64, wide } from "./files.js";
import { emptyStreet } from "./paint.js";
import { EMPTY } from "./state.js";

/**
 * @param {string} text base64 of bytes, compressed by zlib or as they are
 * @param {number} length of the bytes
 */
async function unpack(text, length) {
  const bytes = fromBase64(text);
  if (bytes.length === length) return bytes;
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

/**
 * Reads scenes.json.
 * @param {any} json
 */
export async function readScenes(json) {
  /** @type {Map<string, Scene>} by size and name */
  const scenes = new Map();
  /** @type {string[]} */
  const names = [];
  const sizes = { ...json.sizes, [json.size]: json.scenes };
  for (const [side, list] of Object.entries(sizes)) {
    const size = Number(side);
    for (const { name, label, instance, picture } of list) {
      const ids = wide(await unpack(instance, 2 * size * size));
      const count = ids.reduce((most, id) => Math.max(most, id + 1), 0);
      const base = { size, label: await unpack(label, size * size), instance: ids, count };
      scenes.set(`${size} ${name}`, { base, picture: picture ?? null });
      if (!names.includes(name)) names.push(name);
    }
  }
  // The order of the first size is the one in which the streets are offered.
  const first = json.scenes.map((/** @type {{name: string}} */ { name }) => name);
  const order = [...first, ...names.filter((name) => !first.includes(name))];

  /**
   * The maps of a street at a size; where it has others only, they are scaled.
   * @param {string} name
   * @param {number} size
   * @returns {Base | undefined}
   */
  function baseOf(name, size) {
    const key = `${size} ${name}`;
    const known = scenes.get(key)?.base;
    if (known) return known;
    if (name === EMPTY) {
      scenes.set(key, { base: emptyStreet(json.classes, size), picture: null });
      return scenes.get(key)?.base;
    }
    const other = [...scenes].find(([each]) => each.slice(each.indexOf(" ") + 1) === name);
    if (!other) return undefined;
    const base = scaled(other[1].base, size);
    scenes.set(key, { base, picture: other[1].picture });
    return base;
  }

  return {
    classes: /** @type {import("./objects.js").Class[]} */ (json.classes),
    models: /** @type {{name: string, title: string}[]} */ (json.models),
    /** The names of the streets that are offered. */
    names: order,
    /** Streets with a real picture. */
    real: order.filter((name) => [...scenes].some(([key, { picture }]) => key.endsWith(` ${name}`) && picture)),
    /** All names that a state may have. */
    known: () => [...new Set([...order, EMPTY, ...[...scenes.keys()].map((key) => key.slice(key.indexOf(" ") + 1))])],
    baseOf,
    /** @param {string} name @param {number} size */
    pictureOf: (name, size) => {
      baseOf(name, size);
      return scenes.get(`${size} ${name}`)?.picture ?? null;
    },
    /** @param {string} name @param {Base} base */
    add(name, base) {
      scenes.set(`${base.size} ${name}`, { base, picture: null });
    },
  };
}

/** @typedef {Awaited<ReturnType<typeof readScenes>>} Scenes */

/**
 * Maps at another size; every pixel takes the nearest.
 * @param {Base} base
 * @param {number} size
 * @returns {Base}
 */
export function scaled(base, size) {
  const label = new Uint8Array(size * size);
  const instance = new Uint16Array(size * size);
  for (let p = 0; p < label.length; p++) {
    const x = Math.floor(((p % size) * base.size) / size);
    const y = Math.floor((Math.floor(p / size) * base.size) / size);
    label[p] = base.label[y * base.size + x];
    instance[p] = base.instance[y * base.size + x];
  }
  return { size, label, instance, count: base.count };
}
