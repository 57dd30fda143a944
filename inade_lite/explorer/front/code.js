// @ts-check
/**
 * A state as a short code for the page's address, and back.
 *
 * The code is base64url of bytes: numbers of 7 bits a byte, and two bytes of a checksum at the end, so that a code
 * that was cut off or mistyped is found out.
 *
 * @typedef {import("./state.js").State} State
 */
import { BadState } from "./state.js";

const VERSION = 1;
const OPS = /** @type {const} */ (["stroke", "stamp", "copy", "move", "delete", "front"]);

/** @param {Uint8Array} bytes */
function checksum(bytes) {
  let hash = 0x811c9dc5;
  for (const byte of bytes) hash = Math.imul(hash ^ byte, 0x01000193);
  return (hash ^ (hash >>> 16)) & 0xffff;
}

function writer() {
  /** @type {number[]} */
  const bytes = [];
  const out = {
    bytes,
    /** @param {number} value 0 or more */
    number(value) {
      for (; value >= 128; value = Math.floor(value / 128)) bytes.push((value % 128) + 128);
      bytes.push(value);
    },
    /** @param {number} value */
    signed(value) {
      out.number(value < 0 ? -2 * value - 1 : 2 * value);
    },
    /** @param {string} value */
    text(value) {
      const coded = new TextEncoder().encode(value);
      out.number(coded.length);
      bytes.push(...coded);
    },
    /** @param {number[]} ids */
    ids(ids) {
      out.number(ids.length);
      let last = 0;
      for (const id of ids) {
        out.signed(id - last);
        last = id;
      }
    },
    /** @param {import("./looks.js").Atom} atom */
    atom(atom) {
      if (typeof atom === "number") return out.number(2 * atom);
      const coded = atob(atom);
      out.number(2 * coded.length + 1);
      for (let i = 0; i < coded.length; i++) bytes.push(coded.charCodeAt(i));
    },
  };
  return out;
}

/** @param {Uint8Array} bytes */
function reader(bytes) {
  let at = 0;
  const next = () => {
    if (at >= bytes.length) throw new BadState("too short");
    return bytes[at++];
  };
  const take = (/** @type {number} */ count) => {
    if (at + count > bytes.length) throw new BadState("too short");
    at += count;
    return bytes.subarray(at - count, at);
  };
  const input = {
    done: () => at === bytes.length,
    number() {
      let value = 0;
      for (let place = 1, byte = 128; byte >= 128; place *= 128) {
        byte = next();
        value += (byte % 128) * place;
        if (value > Number.MAX_SAFE_INTEGER) throw new BadState("number");
      }
      return value;
    },
    signed() {
      const value = input.number();
      return value % 2 ? -(value + 1) / 2 : value / 2;
    },
    text: () => new TextDecoder().decode(take(input.number())),
    ids() {
      const count = input.number();
      if (count > bytes.length) throw new BadState("too short");
      let last = 0;
      return Array.from({ length: count }, () => (last += input.signed()));
    },
    atom() {
      const value = input.number();
      if (value % 2 === 0) return value / 2;
      return btoa(String.fromCharCode(...take((value - 1) / 2)));
    },
  };
  return input;
}

/**
 * @param {State} state
 * @returns {string}
 */
export function encode(state) {
  const out = writer();
  out.number(VERSION);
  out.text(state.model);
  out.text(state.scene);
  out.number(state.seed);
  out.number(state.latent);
  out.ids(state.locked);
  out.ids(state.selected);
  const looks = Object.entries(state.looks).map(([id, look]) => /** @type {const} */ ([+id, look]));
  out.ids(looks.map(([id]) => id));
  for (const [, look] of looks) {
    const has = [look.b !== undefined, look.t !== undefined, look.k !== undefined, look.d !== undefined];
    out.number(has.reduce((sum, yes, i) => sum + (yes ? 1 << i : 0), 0) + (look.line === undefined ? 0 : look.line ? 16 : 32));
    out.atom(look.a);
    if (look.b !== undefined) out.atom(look.b);
    if (look.t !== undefined) out.number(Math.round(look.t * 1000));
    if (look.k !== undefined) out.number(look.k);
    if (look.d !== undefined) {
      out.number(look.d.length);
      for (const amount of look.d) out.signed(Math.round(amount * 100));
    }
  }
  out.number(state.edits.length);
  for (const edit of state.edits) {
    out.number(OPS.indexOf(edit.op));
    if (edit.op === "stroke") {
      out.number(edit.id);
      out.number(edit.cls);
      out.number(edit.r);
      out.number(edit.at.length / 2);
      edit.at.forEach((value, i) => out.signed(i < 2 ? value : value - edit.at[i - 2]));
      continue;
    }
    if (edit.op === "stamp") out.text(edit.scene);
    out.ids(edit.ids);
    if (edit.op === "stamp" || edit.op === "copy") out.number(edit.id);
    if (edit.op !== "delete" && edit.op !== "front") {
      out.signed(edit.dx);
      out.signed(edit.dy);
    }
  }
  const bytes = Uint8Array.from(out.bytes);
  const sum = checksum(bytes);
  let text = "";
  for (const byte of [...bytes, sum >> 8, sum & 255]) text += String.fromCharCode(byte);
  return btoa(text).replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "");
}

/**
 * What a code says, still to be checked by `checkState`; BadState for a code that is not whole.
 * @param {string} code
 * @returns {any}
 */
export function decode(code) {
  let text;
  try {
    text = atob(code.replaceAll("-", "+").replaceAll("_", "/"));
  } catch {
    throw new BadState("characters");
  }
  const all = Uint8Array.from(text, (character) => character.charCodeAt(0));
  const bytes = all.subarray(0, -2);
  if (all.length < 8 || checksum(bytes) !== all[all.length - 2] * 256 + all[all.length - 1]) {
    throw new BadState("not whole");
  }
  const input = reader(bytes);
  const version = input.number();
  if (version !== VERSION) throw new BadState(`version ${version}`);
  const [model, scene] = [input.text(), input.text()];
  const [seed, latent] = [input.number(), input.number()];
  const [locked, selected, ids] = [input.ids(), input.ids(), input.ids()];
  /** @type {Record<string, import("./looks.js").Look>} */
  const looks = {};
  for (const id of ids) {
    const has = input.number();
    /** @type {import("./looks.js").Look} */
    const look = { a: input.atom() };
    if (has & 1) look.b = input.atom();
    if (has & 2) look.t = input.number() / 1000;
    if (has & 4) look.k = input.number();
    if (has & 8) look.d = Array.from({ length: Math.min(input.number(), 99) }, () => input.signed() / 100);
    if (has & 48) look.line = Boolean(has & 16);
    looks[id] = look;
  }
  const edits = [];
  for (let left = input.number(); left > 0; left--) {
    const op = OPS[input.number()];
    if (op === "stroke") {
      const [id, cls, r, points] = [input.number(), input.number(), input.number(), input.number()];
      /** @type {number[]} */
      const at = [];
      for (let i = 0; i < 2 * points; i++) at.push(input.signed() + (i < 2 ? 0 : at[i - 2]));
      edits.push({ op, id, cls, r, at });
      continue;
    }
    /** @type {any} */
    const edit = { op };
    if (op === "stamp") edit.scene = input.text();
    edit.ids = input.ids();
    if (op === "stamp" || op === "copy") edit.id = input.number();
    if (op !== "delete" && op !== "front") {
      edit.dx = input.signed();
      edit.dy = input.signed();
    }
    edits.push(edit);
  }
  if (!input.done()) throw new BadState("too long");
  return { version, model, scene, seed, latent, edits, looks, locked, selected };
}
