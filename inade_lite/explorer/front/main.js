// @ts-check
/** The page: the explorer with an engine that paints in the browser. */
import { createApp } from "./app.js";
import { createEngine } from "./engine.js";
import { animate, record } from "./files.js";
import { readScenes } from "./scenes.js";
import { WORDS } from "./words.js";

/**
 * The numbers of a real picture.
 * @param {string} address
 * @param {number} size
 */
async function readPicture(address, size) {
  const image = new Image();
  image.src = address;
  await image.decode();
  const canvas = document.createElement("canvas");
  canvas.width = size;
  canvas.height = size;
  const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d", { willReadFrequently: true }));
  context.imageSmoothingEnabled = false;
  context.drawImage(image, 0, 0, size, size);
  return context.getImageData(0, 0, size, size).data;
}

/**
 * @param {import("./pictures.js").Picture[]} frames
 * @param {number} delay
 */
async function animation(frames, delay) {
  try {
    // Without the package the page still has a video to give.
    const address = new URL("./vendor/gifenc.js", location.href).href;
    return animate(await import(address), frames, delay);
  } catch {
    return record(frames, delay);
  }
}

async function start() {
  const root = /** @type {HTMLElement} */ (document.getElementById("explorer"));
  try {
    const engine = createEngine(new URL(".", location.href).href);
    const response = await fetch("scenes.json");
    if (!response.ok) throw new Error(`scenes.json: ${response.status}`);
    const scenes = await readScenes(await response.json());
    const link = {
      read: () => location.hash.slice(1),
      write: (/** @type {string} */ code) => history.replaceState(null, "", `#${code}`),
      address: () => location.href,
    };
    createApp(root, { engine, scenes, words: WORDS, link, readPicture, animation, keys: document });
  } catch (error) {
    root.textContent = WORDS.notLoaded(/** @type {Error} */ (error).message);
  }
}

start();
