// @ts-check
/**
 * Looks as things: that of a whole object with its parts, which another one of any class can wear.
 *
 * @typedef {import("./looks.js").Atom} Atom
 * @typedef {import("./looks.js").Look} Look
 * @typedef {import("./objects.js").Objects} Objects
 * @typedef {import("./pictures.js").Model} Model
 * @typedef {import("./state.js").State} State
 * @typedef {{main: Atom, parts: Record<number, Atom>}} Outfit the look of a thing and of its parts, by class
 */
import { flatten } from "./looks.js";
import { lookOf, setLooks } from "./state.js";

/**
 * The look of a thing and of its parts.
 * @param {State} state
 * @param {number[]} ids
 * @param {Objects} objects
 * @param {Model} model
 * @returns {Outfit}
 */
export function outfitOf(state, ids, { classOf, thingOf }, { noiseDim, directions }) {
  const atom = (/** @type {number} */ id) => flatten(lookOf(state, id), noiseDim, directions);
  const main = ids.find((id) => thingOf.get(id)?.id === id) ?? ids[0];
  /** @type {Record<number, Atom>} */
  const parts = {};
  for (const id of ids) if (id !== main && thingOf.get(id)?.id !== id) parts[classOf.get(id) ?? 0] ??= atom(id);
  return { main: atom(main), parts };
}

/**
 * What an instance gets of an outfit; null for a part that has none there.
 * @param {Outfit} outfit
 * @param {number} id
 * @param {number[]} ids all that are dressed
 * @param {Objects} objects
 */
export function atomFor({ main, parts }, id, ids, { classOf, thingOf }) {
  const owner = thingOf.get(id)?.id;
  const isMain = owner === id || owner === undefined || !ids.includes(owner);
  return isMain ? main : (parts[classOf.get(id) ?? -1] ?? null);
}

/**
 * The street with things in an outfit.
 * @param {State} state
 * @param {number[]} ids
 * @param {Outfit} outfit
 * @param {Objects} objects
 */
export function dress(state, ids, outfit, objects) {
  const looks = ids.flatMap((id) => {
    const a = atomFor(outfit, id, ids, objects);
    return a === null ? [] : [/** @type {[number, Look]} */ ([id, { a }])];
  });
  return setLooks(state, looks);
}
