// @ts-check
/**
 * Whole things of the streets that are known, to be placed in another street.
 *
 * @typedef {{scene: string, ids: number[], box: number[], area: number}} Stamp
 */
import { findObjects, isBackground } from "./objects.js";

/**
 * @param {import("./scenes.js").Scenes} scenes
 * @returns {(cls: number, size: number) => Stamp[]} the stamps of a class
 */
export function createStamps(scenes) {
  const { classes } = scenes;
  /** @type {Map<string, Stamp[]>} */
  const known = new Map();
  return (cls, size) => {
    const key = `${size} ${cls}`;
    const ready = known.get(key);
    if (ready) return ready;
    const isPart = (classes[cls].partOf ?? []).length > 0;
    const found = scenes.names.flatMap((scene) => {
      const base = scenes.baseOf(scene, size);
      if (!base || isPart) return [];
      return findObjects(base, classes)
        .things.filter((thing) => thing.classId === cls && !isBackground(thing, classes, size))
        .filter(({ box }) => box[0] > 0 && box[1] > 0 && box[2] < size && box[3] < size)
        .map(({ ids, box, area }) => ({ scene, ids, box, area }));
    });
    // Those that something covers are smaller.
    const areas = found.map(({ area }) => area).sort((a, b) => a - b);
    const whole = found.filter(({ area }) => area >= (areas[Math.floor(areas.length / 2)] ?? 0));
    known.set(key, whole);
    return whole;
  };
}
