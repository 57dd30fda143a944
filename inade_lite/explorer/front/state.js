// @ts-check
/**
 * All that the explorer knows is one plain object. An action is a function from a state to a state, so that undo,
 * redo, files and the address cost nothing.
 *
 * @typedef {import("./looks.js").Look} Look
 * @typedef {import("./looks.js").Atom} Atom
 * @typedef {import("./paint.js").Edit} Edit
 *
 * @typedef {object} State
 * @property {1} version
 * @property {string} model
 * @property {string} scene
 * @property {number} seed of all looks that nobody changed
 * @property {number} latent the seed of the latent
 * @property {Edit[]} edits
 * @property {Record<string, Look>} looks by the id of the instance
 * @property {number[]} locked
 * @property {number[]} selected
 *
 * @typedef {object} History
 * @property {State[]} past the oldest first
 * @property {State} now
 * @property {State[]} future the next first
 * @property {string | null} tag what is going on: the same tag again does not make another step
 */
import { DIRECTIONS, mix } from "./looks.js";

/** The name of the street with nothing in it. */
export const EMPTY = "empty";

/** Undo goes back this far. */
const STEPS = 200;

/**
 * @param {string} model
 * @param {string} scene
 * @param {number} [seed]
 * @returns {State}
 */
export function newState(model, scene, seed = 0) {
  return { version: 1, model, scene, seed, latent: 0, edits: [], looks: {}, locked: [], selected: [] };
}

// ---- Looks

/**
 * @param {State} state
 * @param {number} id
 * @returns {Look}
 */
export function lookOf(state, id) {
  return state.looks[id] ?? { a: mix(state.seed, id) };
}

/**
 * New looks for some instances; those that are locked keep theirs.
 * @param {State} state
 * @param {[number, Look][]} looks
 * @returns {State}
 */
export function setLooks(state, looks) {
  const free = looks.filter(([id]) => !state.locked.includes(id));
  if (!free.length) return state;
  return { ...state, looks: { ...state.looks, ...Object.fromEntries(free) } };
}

/**
 * The looks of one draw, an own one for every part.
 * @param {number[]} ids
 * @param {number} seed
 * @returns {[number, Look][]}
 */
export function drawn(ids, seed) {
  return ids.map((id) => [id, { a: mix(seed, id) }]);
}

/**
 * Changes the looks that instances have.
 * @param {State} state
 * @param {number[]} ids
 * @param {(look: Look, id: number) => Look} change
 * @returns {State}
 */
export function changeLooks(state, ids, change) {
  return setLooks(
    state,
    ids.map((id) => [id, change(lookOf(state, id), id)]),
  );
}

/**
 * The looks that the street had in the beginning.
 * @param {State} state
 * @param {number[]} ids
 * @returns {State}
 */
export function resetLooks(state, ids) {
  const rest = Object.entries(state.looks).filter(([id]) => !ids.includes(+id) || state.locked.includes(+id));
  return rest.length === Object.keys(state.looks).length ? state : { ...state, looks: Object.fromEntries(rest) };
}

/**
 * The look of the whole street: a new seed and a new latent. What is locked keeps its look.
 * @param {State} state
 * @param {number} seed
 * @returns {State}
 */
export function redrawAll(state, seed) {
  const kept = state.locked.map((id) => [id, lookOf(state, id)]);
  // A locked thing lives in the light of the latent: with one locked, the latent stays.
  const latent = state.locked.length ? state.latent : seed;
  return { ...state, seed, latent, looks: Object.fromEntries(kept) };
}

// ---- What is selected and locked

/**
 * @param {State} state
 * @param {number[]} ids
 * @returns {State}
 */
export function select(state, ids) {
  const same = ids.length === state.selected.length && ids.every((id, i) => id === state.selected[i]);
  return same ? state : { ...state, selected: ids };
}

/**
 * Adds instances to the selected, or takes them out where all of them are selected.
 * @param {State} state
 * @param {number[]} ids
 * @returns {State}
 */
export function toggle(state, ids) {
  const all = ids.every((id) => state.selected.includes(id));
  const rest = state.selected.filter((id) => !ids.includes(id));
  return { ...state, selected: all ? rest : [...rest, ...ids] };
}

/**
 * @param {State} state
 * @param {number[]} ids
 * @param {boolean} locked
 * @returns {State}
 */
export function lock(state, ids, locked) {
  const rest = state.locked.filter((id) => !ids.includes(id));
  return { ...state, locked: locked ? [...rest, ...ids].sort((a, b) => a - b) : rest };
}

// ---- The street

/**
 * @param {State} state
 * @param {Edit} edit
 * @returns {State}
 */
export function addEdit(state, edit) {
  return { ...state, edits: [...state.edits, edit] };
}

/**
 * Another street, as new.
 * @param {State} state
 * @param {string} scene
 * @param {number} seed
 * @returns {State}
 */
export function openScene(state, scene, seed) {
  return { ...newState(state.model, scene, seed), latent: seed };
}

// ---- Undo and redo

/**
 * @param {State} state
 * @returns {History}
 */
export function newHistory(state) {
  return { past: [], now: state, future: [], tag: null };
}

/**
 * The history after an action. What is selected makes no step of its own.
 * @param {History} history
 * @param {State} state
 * @param {string | null} [tag]
 * @returns {History}
 */
export function push(history, state, tag = null) {
  const { now, past } = history;
  if (state === now) return history;
  if (sameStreet(state, now)) return { ...history, now: state, tag: null };
  const again = tag !== null && tag === history.tag;
  return { past: again ? past : [...past, now].slice(-STEPS), now: state, future: [], tag };
}

/**
 * The history after steps back (negative) or forth.
 * @param {History} history
 * @param {number} steps
 * @returns {History}
 */
export function go(history, steps) {
  const line = [...history.past, history.now, ...history.future];
  const at = Math.min(Math.max(history.past.length + steps, 0), line.length - 1);
  if (at === history.past.length) return history;
  return { past: line.slice(0, at), now: line[at], future: line.slice(at + 1), tag: null };
}

/**
 * Whether two states show the same: all but what is selected is equal.
 * @param {State} a
 * @param {State} b
 */
export function sameStreet(a, b) {
  return (
    a.edits === b.edits &&
    a.looks === b.looks &&
    a.locked === b.locked &&
    a.seed === b.seed &&
    a.latent === b.latent &&
    a.scene === b.scene &&
    a.model === b.model
  );
}

// ---- States that come from outside

/** What is wrong with a state that came from a file or an address. */
export class BadState extends Error {
  name = "BadState";
}

/**
 * A state that is safe to use, out of whatever was read; BadState says what is wrong.
 * @param {any} value
 * @param {{models: string[], scenes: string[], classes: number, most: number}} known
 * @returns {State}
 */
export function checkState(value, { models, scenes, classes, most }) {
  const need = (/** @type {boolean} */ fine, /** @type {string} */ what) => {
    if (!fine) throw new BadState(what);
  };
  const whole = (/** @type {any} */ x, low = 0, high = 2 ** 31) => Number.isInteger(x) && x >= low && x <= high;
  const isId = (/** @type {any} */ x) => whole(x, 0, most - 1);
  const isIds = (/** @type {any} */ x) => Array.isArray(x) && x.length <= most && x.every(isId);
  const isAtom = (/** @type {any} */ x) =>
    whole(x) || (typeof x === "string" && x.length <= 4096 && /^[A-Za-z0-9+/]+=*$/.test(x) && x.length % 4 === 0);
  const isNumber = (/** @type {any} */ x, /** @type {number} */ low, /** @type {number} */ high) =>
    typeof x === "number" && x >= low && x <= high;

  need(value !== null && typeof value === "object" && !Array.isArray(value), "no street in it");
  need(value.version === 1, `version ${JSON.stringify(value.version)}`);
  need(models.includes(value.model), `model ${JSON.stringify(value.model)}`);
  need(scenes.includes(value.scene), `street ${JSON.stringify(value.scene)}`);
  need(whole(value.seed) && whole(value.latent), "seed");
  need(isIds(value.locked) && isIds(value.selected), "instances");
  need(Array.isArray(value.edits) && value.edits.length <= 5000, "strokes");
  need(value.looks !== null && typeof value.looks === "object" && !Array.isArray(value.looks), "looks");
  for (const [id, look] of Object.entries(value.looks)) {
    need(/^\d+$/.test(id) && isId(+id), `instance ${id}`);
    const { a, b, t, line, k, d } = Object(look);
    need(isAtom(a) && (b === undefined || isAtom(b)), `look of instance ${id}`);
    need(t === undefined || isNumber(t, 0, 1), `look of instance ${id}`);
    need(line === undefined || typeof line === "boolean", `look of instance ${id}`);
    need(k === undefined || whole(k, 0, 99), `look of instance ${id}`);
    const way = (/** @type {any} */ x) => isNumber(x, -4, 4);
    need(d === undefined || (Array.isArray(d) && d.length <= DIRECTIONS && d.every(way)), `look of instance ${id}`);
  }
  for (const edit of value.edits) {
    const { op, id, cls, r, at, ids, dx, dy, scene } = Object(edit);
    const way = (/** @type {any} */ x) => whole(x, -4096, 4096);
    if (op === "stroke") {
      need(isId(id), `instance ${id}`);
      need(whole(cls, 0, classes - 1), `class ${JSON.stringify(cls)}`);
      need(whole(r, 0, 256), "brush");
      need(Array.isArray(at) && at.length >= 2 && at.length <= 4000 && at.length % 2 === 0 && at.every(way), "stroke");
    } else {
      need(["stamp", "copy", "move", "delete", "front"].includes(op), `edit ${JSON.stringify(op)}`);
      need(isIds(ids) && ids.length > 0, `edit ${op}`);
      if (op === "stamp") need(scenes.includes(scene), `street ${JSON.stringify(scene)}`);
      if (op === "stamp" || op === "copy") need(isId(id) && isId(id + ids.length - 1), `instance ${id}`);
      if (op !== "delete" && op !== "front") need(way(dx) && way(dy), `edit ${op}`);
    }
  }
  const { version, model, scene, seed, latent, edits, looks, locked, selected } = value;
  return { version, model, scene, seed, latent, edits, looks, locked, selected };
}

/**
 * Whether some instances look the same in both.
 * @param {State} a
 * @param {State} b
 * @param {number[]} ids
 */
export function sameLooks(a, b, ids) {
  return ids.every((id) => JSON.stringify(lookOf(a, id)) === JSON.stringify(lookOf(b, id)));
}
