/**
 * The picture of the instance explorer that is clicked: the front end of `_canvas` in widgets.py.
 *
 * An anywidget module (https://anywidget.dev). The host calls `render` once for each place that shows the widget.
 *
 * Gets the traits
 *   png      the picture, bytes of a PNG whose sides are whole multiples of H and W
 *   ids      the instance of each pixel, bytes of little-endian uint16 [H, W]
 *   columns  W
 *   names    {id: what the instance is called}
 * and sets
 *   ready    true once the picture is here; Python then hides the plain picture that stood in its place
 *   clicked  the id of the instance that was clicked last
 */

/**
 * The part of anywidget's model that is used here.
 * @typedef {object} Model
 * @property {(name: string) => any} get
 * @property {(name: string, value: any) => void} set
 * @property {() => void} save_changes
 * @property {(event: string, callback: () => void) => void} on
 * @property {(event: string, callback: () => void) => void} off
 */

/** The id of no instance. */
const NONE = -1;

/**
 * The bytes of a trait. Hosts give a DataView, which may lie inside of a larger buffer.
 * @param {Model} model
 * @param {string} name
 * @returns {Uint8Array<ArrayBuffer>}
 */
function bytesOf(model, name) {
  const view = model.get(name);
  return new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
}

/**
 * The index of the cell at `offset` pixels in a row of `count` cells that is `length` pixels long; the nearest one for
 * an offset outside, which a pointer on the border has.
 * @param {number} offset
 * @param {number} length
 * @param {number} count
 * @returns {number}
 */
function cellAt(offset, length, count) {
  const cell = Math.floor((offset / length) * count);
  return Math.min(Math.max(cell, 0), count - 1);
}

/**
 * Draws the picture, and one instance lighter than the others.
 * @param {CanvasRenderingContext2D} context
 * @param {ImageBitmap} picture
 * @param {Uint16Array} ids of the instances, [H * W]
 * @param {number} columns W
 * @param {number} hovered the id of the lighter instance, or NONE
 */
function draw(context, picture, ids, columns, hovered) {
  const canvas = context.canvas;
  if (canvas.width !== picture.width || canvas.height !== picture.height) {
    canvas.width = picture.width;
    canvas.height = picture.height;
  }
  context.drawImage(picture, 0, 0);

  const size = canvas.width / columns;
  context.fillStyle = "rgba(255, 255, 255, 0.3)";
  ids.forEach((id, pixel) => {
    if (id !== hovered) return;
    const column = pixel % columns;
    const row = Math.floor(pixel / columns);
    context.fillRect(column * size, row * size, size, size);
  });
}

/**
 * Shows the widget in an element.
 * @param {{ model: Model, el: HTMLElement }} host
 * @returns {() => void} what the host calls when it takes the element away
 */
function render({ model, el }) {
  const columns = model.get("columns");
  const names = model.get("names");
  // A copy, because an array of uint16 must begin at an even byte of its buffer.
  const ids = new Uint16Array(bytesOf(model, "ids").slice().buffer);
  const rows = ids.length / columns;
  const canvas = document.createElement("canvas");
  const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
  canvas.style.cursor = "pointer";

  /** @type {ImageBitmap | null} */
  let picture = null;
  let hovered = NONE;
  let loads = 0;

  function redraw() {
    if (picture) draw(context, picture, ids, columns, hovered);
  }

  async function load() {
    loads += 1;
    const turn = loads;
    const png = new Blob([bytesOf(model, "png")], { type: "image/png" });
    const decoded = await createImageBitmap(png);
    // While the slider moves, pictures come faster than they are decoded, and an old one may be ready last.
    if (turn !== loads) return;
    picture = decoded;
    redraw();
  }

  /** @param {MouseEvent} event */
  function instanceAt(event) {
    const box = canvas.getBoundingClientRect();
    const column = cellAt(event.clientX - box.left, box.width, columns);
    const row = cellAt(event.clientY - box.top, box.height, rows);
    return ids[row * columns + column];
  }

  /** @param {number} id */
  function hover(id) {
    if (id === hovered) return;
    hovered = id;
    canvas.title = names[id] ?? "";
    redraw();
  }

  canvas.addEventListener("mousemove", (event) => hover(instanceAt(event)));
  canvas.addEventListener("mouseleave", () => hover(NONE));
  canvas.addEventListener("click", (event) => {
    model.set("clicked", instanceAt(event));
    model.save_changes();
  });
  model.on("change:png", load);
  load();

  el.appendChild(canvas);
  model.set("ready", true);
  model.save_changes();
  return () => model.off("change:png", load);
}

export default { render };
