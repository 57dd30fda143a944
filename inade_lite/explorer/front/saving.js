// @ts-check
/**
 * What the explorer saves and opens: the picture, the street, a slide, a link.
 *
 * @typedef {import("./state.js").State} State
 * @typedef {import("./pictures.js").Model} Model
 * @typedef {import("./app.js").Place} Place
 *
 * @typedef {object} App
 * @property {() => State} now
 * @property {() => Model | null} model
 * @property {(state: State) => import("./paint.js").Maps} mapsOf
 * @property {() => number[]} chosenIds what an action is about
 * @property {() => number} otherSeed of the look that a slide goes to, where there is none
 * @property {ReturnType<typeof import("./pictures.js").createPictures>} pictures
 * @property {ReturnType<typeof import("./panel.js").createMessages>} messages
 * @property {(state: State) => Promise<void>} opened takes the street of a file
 */
import { decode, encode } from "./code.js";
import { drawPicture, h } from "./dom.js";
import { download, enlarge, readStreet, writeStreet } from "./files.js";
import { flatten, mix, SEEDS } from "./looks.js";
import { MOST } from "./paint.js";
import { requestOf } from "./pictures.js";
import * as states from "./state.js";

const MOST_BYTES = 20e6; // of a file
const FRAMES = 24;

/**
 * @param {App} app
 * @param {Place} place
 */
export function createSaving(app, { scenes, words, link, animation }) {
  const { classes } = scenes;
  const { messages, pictures } = app;
  const known = () => ({ models: scenes.models.map(({ name }) => name), scenes: scenes.known() });

  async function savePicture() {
    const picture = await pictures.later(app.now(), /** @type {Model} */ (app.model()), "save");
    if (!picture) return;
    const canvas = h("canvas", {});
    drawPicture(canvas, enlarge(picture, Math.max(1, Math.round(512 / picture.size))));
    canvas.toBlob((blob) => blob && download(blob, "street.png"));
  }

  function saveStreet() {
    const now = app.now();
    const model = /** @type {Model} */ (app.model());
    const base = /** @type {import("./paint.js").Base} */ (scenes.baseOf(now.scene, model.size));
    const text = writeStreet(now, base, requestOf(now, model, app.mapsOf(now)), classes);
    download(new Blob([text], { type: "application/json" }), "street.json");
  }

  /** @param {File} file */
  async function openFile(file) {
    try {
      if (file.size > MOST_BYTES) throw new Error(`${Math.round(file.size / 1e6)} MB`);
      const { state, base } = readStreet(await file.text(), { ...known(), classes });
      let { scene } = state;
      const own = scenes.baseOf(scene, base.size);
      const same = own?.label.every((cls, p) => cls === base.label[p] && own.instance[p] === base.instance[p]);
      if (!same) {
        scene = `file ${Math.floor(Math.random() * SEEDS)}`;
        scenes.add(scene, base);
      }
      await app.opened({ ...state, scene });
      messages.show(words.opened);
    } catch (error) {
      messages.show(words.badFile(/** @type {Error} */ (error).message));
    }
  }

  /** There and back between two looks, slower at the ends. */
  async function saveSlide() {
    const now = app.now();
    const model = /** @type {Model} */ (app.model());
    const ids = app.chosenIds();
    const hasOther = ids.some((id) => states.lookOf(now, id).b !== undefined);
    const frames = [];
    try {
      for (let i = 0; i < FRAMES; i++) {
        const t = Math.round(500 * (1 - Math.cos((2 * Math.PI * i) / FRAMES))) / 1000;
        const state = states.changeLooks(now, ids, (look, id) =>
          hasOther
            ? { ...look, t: look.b === undefined ? look.t : t }
            : { a: flatten(look, model.noiseDim, model.directions), b: mix(app.otherSeed(), id), t },
        );
        const picture = await pictures.later(state, model, "slide");
        if (!picture) return;
        frames.push(enlarge(picture, Math.max(1, Math.round(384 / picture.size))));
        messages.show(words.saving(i + 1, FRAMES));
      }
      const blob = await animation(frames, 80);
      download(blob, blob.type.includes("gif") ? "street.gif" : "street.webm");
      messages.hide();
    } catch (error) {
      messages.show(`${words.noAnimation} (${/** @type {Error} */ (error).message})`);
    }
  }

  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;
  function writeLink() {
    clearTimeout(timer);
    // A street that came from a file is not in the address: nobody else has its maps.
    if (link && scenes.names.concat(states.EMPTY).includes(app.now().scene)) link.write(encode(app.now()));
  }

  async function copyLink() {
    writeLink();
    try {
      await navigator.clipboard.writeText(link?.address() ?? "");
      messages.show(words.linkCopied);
    } catch {
      messages.show(words.linkInAddress);
    }
  }

  /** @returns {State | null} */
  function readLink() {
    const code = link?.read();
    if (!code) return null;
    try {
      return states.checkState(decode(code), { ...known(), classes: classes.length, most: MOST });
    } catch (error) {
      messages.show(words.badCode(/** @type {Error} */ (error).message), true);
      return null;
    }
  }

  return {
    savePicture,
    saveStreet,
    saveSlide,
    openFile,
    copyLink,
    readLink,
    /** Soon: the hand may still move. */
    linkLater() {
      clearTimeout(timer);
      timer = setTimeout(writeLink, 300);
    },
    destroy: () => clearTimeout(timer),
  };
}
