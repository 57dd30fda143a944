// @ts-check
/**
 * Looks of real streets: an encoder reads them off a picture, thing by thing, and the selected thing takes one.
 *
 * @typedef {import("./objects.js").Thing} Thing
 * @typedef {import("./outfits.js").Outfit} Outfit
 * @typedef {{mu: Float32Array, logvar: Float32Array}} Told what an encoder says of every instance, [I, 2, Z] each
 *
 * @typedef {object} App
 * @property {() => import("./pictures.js").Model | null} model
 * @property {() => number} size of the model's pictures
 * @property {() => boolean} hasSelected
 * @property {(base: import("./paint.js").Base) => import("./objects.js").Objects} objectsOfBase
 * @property {() => number} seed a new one
 * @property {(outfit: Outfit, tag: string | null) => void} wear the selected put it on
 * @property {() => void} update
 * @property {ReturnType<typeof import("./panel.js").createMessages>} messages
 */
import { atomOf, gaussians, mix } from "./looks.js";
import { createBorrow } from "./panel.js";
import { createStage } from "./stage.js";

/**
 * @param {App} app
 * @param {import("./app.js").Place} place
 */
export function createBorrowing(app, { engine, scenes, words, readPicture }) {
  let at = 0;
  let sigma = 0; // how far from the mean, in deviations
  let draw = 1; // the seed of what sigma adds
  /** @type {Thing | null} */
  let taken = null;
  /** @type {Map<string, Told>} */
  const known = new Map();

  const name = () => scenes.real[at];
  function real() {
    const base = scenes.baseOf(name(), app.size());
    const address = scenes.pictureOf(name(), app.size());
    return base && address ? { base, address, objects: app.objectsOfBase(base) } : null;
  }
  const idle = () => {};
  const stage = createStage(
    { pick: (id) => borrowFrom(id), mayDrag: () => false, drag: idle, stroke: idle, end: idle, cancel: idle },
    {
      label: words.hintBorrow,
      nameOf: (id) => real()?.objects.thingOf.get(id)?.name ?? "",
      idsOf: (id) => real()?.objects.thingOf.get(id)?.ids ?? [],
    },
  );
  stage.element.classList.add("small");
  const acts = {
    browse(/** @type {number} */ step) {
      at = (at + step + scenes.real.length) % scenes.real.length;
      taken = null;
      show();
      app.update();
    },
    uncertainty(/** @type {number} */ value) {
      sigma = value;
      wear("uncertainty");
    },
  };
  const view = createBorrow(acts, words, stage.element);

  async function show() {
    const street = real();
    const shown = name();
    if (!street) return;
    stage.setMaps(street.base);
    stage.setSelected(taken?.ids ?? []);
    try {
      const data = await readPicture(street.address, street.base.size);
      if (shown === name()) stage.show({ size: street.base.size, data });
    } catch (error) {
      app.messages.show(words.failed(/** @type {Error} */ (error).message));
    }
  }

  /** @param {number} id */
  async function borrowFrom(id) {
    const street = real();
    const model = app.model();
    const thing = street?.objects.thingOf.get(id);
    if (!street || !thing || !model) return;
    if (!app.hasSelected()) return app.messages.show(words.hintBorrowNothing);
    taken = thing;
    draw = app.seed();
    stage.setSelected(thing.ids);
    try {
      const key = `${model.name} ${name()}`;
      if (!known.has(key)) {
        const { label, instance, count, size } = street.base;
        const rgb = planes(await readPicture(street.address, size));
        known.set(key, await engine.encode({ rgb, label, instance, count, model: model.name }));
      }
      wear(null);
    } catch (error) {
      app.messages.show(words.failed(/** @type {Error} */ (error).message));
    }
  }

  /** @param {string | null} tag */
  function wear(tag) {
    const model = app.model();
    const told = known.get(`${model?.name} ${name()}`);
    const street = real();
    if (!told || !taken || !street || !model || !app.hasSelected()) return app.update();
    const row = 2 * model.noiseDim;
    const atom = (/** @type {number} */ id) => {
      const numbers = gaussians(mix(draw, id), row).map((value, i) => {
        const k = id * row + i;
        return told.mu[k] + sigma * Math.exp(told.logvar[k] / 2) * value;
      });
      return atomOf(numbers);
    };
    const [main, ...others] = taken.ids;
    const parts = Object.fromEntries(others.map((id) => [street.objects.classOf.get(id) ?? 0, atom(id)]));
    app.wear({ main: atom(main), parts }, tag);
  }

  return {
    element: view.element,
    show,
    forget() {
      taken = null;
    },
    /** @param {boolean} some whether anything is selected */
    update(some) {
      const model = app.model();
      const encodes = Boolean(model?.encodes && model.level === "instance" && scenes.real.length);
      view.update({ some, encodes, taken: taken !== null && some, sigma });
    },
  };
}

/**
 * A picture's numbers from -1 to 1, first all of red, then green and blue.
 * @param {Uint8ClampedArray} data RGBA
 */
export function planes(data) {
  const pixels = data.length / 4;
  return Float32Array.from({ length: 3 * pixels }, (_, i) => data[4 * (i % pixels) + Math.floor(i / pixels)] / 127.5 - 1);
}
