// @ts-check
/**
 * What the last change did: inside of the thing that was meant and outside, and with other models.
 *
 * @typedef {import("./pictures.js").Model} Model
 * @typedef {import("./state.js").State} State
 *
 * @typedef {object} App
 * @property {() => State} now
 * @property {() => State | undefined} before
 * @property {() => Model | null} model
 * @property {() => boolean} isOpen whether anybody looks
 * @property {(state: State, size: number) => import("./paint.js").Maps} mapsAt
 * @property {(name: string) => Promise<Model>} load
 * @property {(change: {size: number, map: Float32Array} | null) => void} setHeat
 * @property {() => void} loaded a cover over the picture can go
 * @property {ReturnType<typeof import("./pictures.js").createPictures>} pictures
 * @property {ReturnType<typeof import("./panel.js").createMessages>} messages
 */
import { createCompare } from "./panel.js";
import { difference } from "./pictures.js";
import { sameLooks } from "./state.js";

/** The models that stand beside the one that is chosen. */
const RIVALS = ["class_noise", "spade_vae"];

/**
 * @param {App} app
 * @param {import("./app.js").Place} place
 */
export function createComparing(app, { scenes, words }) {
  let showHeat = false;
  /** @type {Model[]} */
  let loaded = [];
  const rivals = scenes.models.filter(({ name }) => RIVALS.includes(name));
  const acts = {
    heat(/** @type {boolean} */ on) {
      showHeat = on;
      update();
    },
    rivals: loadRivals,
  };
  const view = createCompare(acts, words, rivals);

  /** Whether a pixel was meant by the last step. @param {State} before @param {State} after @param {number} size */
  function meant(before, after, size) {
    const [old, now] = [app.mapsAt(before, size), app.mapsAt(after, size)];
    const ids = new Set();
    for (let id = 0; id < Math.max(old.count, now.count); id++) if (!sameLooks(before, after, [id])) ids.add(id);
    return (/** @type {number} */ p) => ids.has(now.instance[p]) || old.instance[p] !== now.instance[p];
  }

  /** Both pictures of a model; null where the street went on meanwhile. @param {State[]} states @param {Model} model */
  async function painted(states, model) {
    const now = app.now();
    const found = await Promise.all(states.map((state) => app.pictures.later(state, model, "compare")));
    const [first, second] = found;
    return now === app.now() && app.isOpen() && first && second ? { first, second } : null;
  }

  async function update() {
    const now = app.now();
    const before = app.before();
    const model = app.model();
    if (!model || !app.isOpen()) return app.setHeat(null);
    if (!before || before.model !== now.model) {
      view.update(null);
      return app.setHeat(null);
    }
    const both = await painted([before, now], model);
    if (!both) return;
    const { size } = both.first;
    const told = difference(both.first, both.second, meant(before, now, size));
    view.update(told);
    app.setHeat(showHeat ? { size, map: told.map } : null);
    loaded.forEach(async (rival, i) => {
      const two = await painted([before, now], rival);
      if (two) view.drawRival(i, two.second, difference(two.first, two.second, meant(before, now, rival.size)));
    });
  }

  async function loadRivals() {
    try {
      const found = [];
      for (const { name } of rivals) found.push(await app.load(name));
      loaded = found;
      view.showRivals();
      if (app.before()) update();
      else {
        loaded.forEach(async (rival, i) => {
          const picture = await app.pictures.later(app.now(), rival, "compare");
          if (picture) view.drawRival(i, picture, null);
        });
      }
    } catch (error) {
      app.messages.show(words.notLoaded(/** @type {Error} */ (error).message));
    }
    app.loaded();
  }

  return {
    element: view.element,
    update: () => update().catch((error) => app.messages.show(words.failed(error.message))),
  };
}
