// @ts-check
/**
 * The notebook: the explorer as an anywidget, with a kernel that paints.
 *
 * Nothing of the street is a trait: requests and answers are messages. So no echo sets a slider back, two views of one
 * widget do not pull at each other, and a notebook that is opened stays unmodified.
 *
 * @typedef {object} Host
 * @property {{get: (name: string) => any, send: (content: any, callbacks?: any, buffers?: ArrayBufferView[]) => void,
 *   on: (event: string, callback: (...values: any[]) => void) => void,
 *   off: (event: string, callback: (...values: any[]) => void) => void}} model
 * @property {HTMLElement} el
 */
import { createApp } from "./app.js";
import { readScenes } from "./scenes.js";
import { WORDS } from "./words.js";

/** Milliseconds after which a kernel that says nothing is spoken of. */
const PATIENCE = 12000;

/**
 * Questions to the kernel and its answers, by number.
 * @param {Host["model"]} model
 * @param {(quiet: boolean) => void} quiet told when the kernel does not answer, and when it does again
 */
export function createKernel(model, quiet) {
  /** @type {Map<number, {done: (answer: any) => void, fail: (error: Error) => void, timer: any}>} */
  const open = new Map();
  let last = 0;
  const answer = (/** @type {any} */ content, /** @type {DataView[]} */ buffers) => {
    const question = open.get(content?.id);
    if (!question) return;
    open.delete(content.id);
    clearTimeout(question.timer);
    quiet(false);
    if (content.error) question.fail(new Error(content.error));
    else question.done({ ...content, buffers: buffers ?? [] });
  };
  model.on("msg:custom", answer);
  /** Whether a message left: a kernel that is gone takes none. @param {any} content @param {ArrayBufferView[]} buffers */
  function send(content, buffers = []) {
    try {
      model.send(content, undefined, buffers.map(bytesOf));
      return true;
    } catch {
      quiet(true);
      return false;
    }
  }
  /** @param {string} kind @param {any} content @param {ArrayBufferView[]} [buffers] @returns {Promise<any>} */
  function ask(kind, content, buffers = []) {
    const id = ++last;
    return new Promise((done, fail) => {
      // A kernel that is busy with a cell answers later: the question stays open.
      open.set(id, { done, fail, timer: setTimeout(() => quiet(true), PATIENCE) });
      if (send({ id, kind, ...content }, buffers)) return;
      clearTimeout(open.get(id)?.timer);
      open.delete(id);
      fail(new Error(WORDS.noKernel));
    });
  }
  const floats = (/** @type {DataView} */ view) => new Float32Array(bytesOf(view).slice().buffer);
  return {
    ask,
    send,
    /** @param {string} name */
    load: async (name) => {
      const { model: loaded, buffers } = await ask("load", { name });
      return { ...loaded, directions: floats(buffers[0]) };
    },
    /** @param {import("./pictures.js").Request} request */
    async paint({ label, instance, count, noise, latent, model: name }) {
      const { buffers } = await ask("paint", { count, model: name }, [label, instance, noise, latent]);
      const rgb = bytesOf(buffers[0]);
      const out = new Uint8ClampedArray((rgb.length / 3) * 4).fill(255);
      for (let p = 0; p < rgb.length / 3; p++) out.set(rgb.subarray(3 * p, 3 * p + 3), 4 * p);
      return out;
    },
    /** @param {any} request */
    async encode({ rgb, label, instance, count, model: name }) {
      const { buffers } = await ask("encode", { count, model: name }, [label, instance, rgb]);
      return { mu: floats(buffers[0]), logvar: floats(buffers[1]) };
    },
    close() {
      model.off("msg:custom", answer);
      for (const { timer } of open.values()) clearTimeout(timer);
    },
  };
}

/** @param {ArrayBufferView} view */
function bytesOf(view) {
  return new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
}

/**
 * The light or the dark of JupyterLab, which is not that of the browser.
 * @param {HTMLElement} root
 */
function followTheme(root) {
  const { body } = document;
  const follow = () => {
    const light = body.dataset.jpThemeLight ?? (body.dataset.vscodeThemeKind?.includes("dark") ? "false" : undefined);
    root.style.colorScheme = light === undefined ? "" : light === "false" ? "dark" : "light";
  };
  const observer = new MutationObserver(follow);
  observer.observe(body, { attributes: true });
  follow();
  return () => observer.disconnect();
}

/**
 * Hides what stands before the explorer for places without a kernel: a still picture, and a line below it.
 * @param {HTMLElement} el
 * @param {number[]} size of that picture
 */
function hideStill(el, size) {
  const line = el.closest(".jp-OutputArea-child")?.previousElementSibling;
  const still = line?.previousElementSibling;
  const image = still?.querySelector("img");
  if (!(line instanceof HTMLElement) || !(still instanceof HTMLElement) || !image) return;
  const hide = () => {
    if (image.naturalWidth !== size[0] || image.naturalHeight !== size[1]) return;
    line.style.display = "none";
    still.style.display = "none";
  };
  if (image.complete) hide();
  else image.addEventListener("load", hide);
}

/**
 * What runs the cell of a widget, in JupyterLab and Notebook 7; null elsewhere.
 * A widget cannot ask for it, so this does what a reader would: goes into the cell, and presses Run in the toolbar.
 * @param {HTMLElement} el
 * @returns {{words: string, act: () => void} | null}
 */
function runsCell(el) {
  const editor = el.closest(".jp-CodeCell")?.querySelector(".jp-InputArea-editor .cm-content");
  const run = el.closest(".jp-NotebookPanel")?.querySelector("[data-command='notebook:run-cell-and-select-next']");
  if (!(editor instanceof HTMLElement) || !(run instanceof HTMLElement)) return null;
  return {
    words: WORDS.runCell,
    act() {
      editor.focus();
      // Its buttons act when they are pressed.
      run.dispatchEvent(new MouseEvent("mousedown", { bubbles: true, cancelable: true }));
    },
  };
}

/** @param {Host} host */
async function render({ model, el }) {
  const root = document.createElement("div");
  el.append(root);
  const given = model.get("place");
  /** @type {ReturnType<typeof createApp> | null} */
  let app = null;
  let isQuiet = false;
  const quiet = (/** @type {boolean} */ now) => {
    if (now && !isQuiet) app?.messages.show(WORDS.noKernel, true, runsCell(el));
    if (!now && isQuiet) app?.messages.hide();
    isQuiet = now;
  };
  const kernel = createKernel(model, quiet);
  const gone = () => quiet(true);
  model.on("comm_live_update", gone);
  const release = followTheme(root);
  const scenes = await readScenes(given.scenes);
  app = createApp(root, {
    engine: kernel,
    scenes,
    words: WORDS,
    link: null,
    keys: root,
    state: given.state,
    changed: (state) => kernel.send({ id: 0, kind: "state", state }),
    async readPicture(address) {
      const bytes = Uint8Array.from(atob(address.slice(address.indexOf(",") + 1)), (c) => c.charCodeAt(0));
      const bitmap = await createImageBitmap(new Blob([bytes], { type: "image/png" }));
      const canvas = document.createElement("canvas");
      canvas.width = bitmap.width;
      canvas.height = bitmap.height;
      const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d", { willReadFrequently: true }));
      context.drawImage(bitmap, 0, 0);
      return context.getImageData(0, 0, bitmap.width, bitmap.height).data;
    },
    async animation(frames, delay) {
      const { buffers } = await kernel.ask("animate", { size: frames[0].size, delay }, frames.map(({ data }) => data));
      return new Blob([bytesOf(buffers[0]).slice()], { type: "image/gif" });
    },
  });
  hideStill(el, given.still);
  return () => {
    model.off("comm_live_update", gone);
    release();
    kernel.close();
    app?.destroy();
  };
}

export default { render };
