// @ts-check
/** Small helpers that make elements. */

/**
 * An element with properties, listeners (`onclick`), attributes (`aria-label`) and children.
 * @template {keyof HTMLElementTagNameMap} K
 * @param {K} tag
 * @param {Record<string, any>} [properties]
 * @param {(Node | string | null)[]} children
 * @returns {HTMLElementTagNameMap[K]}
 */
export function h(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === undefined || value === null) continue;
    if (name.includes("-") || name === "role" || name === "for") element.setAttribute(name, String(value));
    else if (name === "class") element.className = value;
    else Object.assign(element, { [name]: value });
  }
  element.append(...children.filter((child) => child !== null));
  return element;
}

const PATHS = {
  point: "M5 3l12 8-5.5 1.2L8.7 17z",
  paint: "M14.5 3.5l2 2L9 13l-3 .9L6.9 11zM4 17c1.5 0 2-1 2-2",
  undo: "M8 5L4 9l4 4M4 9h7a4.5 4.5 0 0 1 0 9H9",
  redo: "M12 5l4 4-4 4M16 9H9a4.5 4.5 0 0 0 0 9h2",
  save: "M10 3v9M6.5 8.5L10 12l3.5-3.5M4 15v2h12v-2",
  street: "M3 17V9l4-4 4 4v8zM11 17h6v-6h-6M6 17v-4h2v4",
  lock: "M5.5 9.5h9v7h-9zM7.5 9.5V7a2.5 2.5 0 0 1 5 0v2.5",
  unlock: "M5.5 9.5h9v7h-9zM7.5 9.5V6a2.5 2.5 0 0 1 4.8-1",
  reset: "M4 10a6 6 0 1 0 2-4.5M6 2.5v3.2h3.2",
  copy: "M7.5 7.5h9v9h-9zM12.5 7.5v-4h-9v9h4",
  paste: "M5 4.5h10v12.5H5zM8 3h4v3H8zM8 10h4M8 13h4",
  duplicate: "M3.5 11.5h5v5h-5zM11.5 11.5h5v5h-5zM6 8.5c0-5 8-5 8 0M12 6.5l2 2 2-2",
  front: "M4 8h8v8H4zM8 8V4h8v8h-4M6.5 12h3",
  remove: "M4.5 6h11M8 6V4h4v2M6 6l.7 11h6.6L14 6",
  again: "M16 8.5A6.2 6.2 0 0 0 5 6.5M5 3.5v3.2h3.2M4 11.5a6.2 6.2 0 0 0 11 2M15 16.5v-3.2h-3.2",
  more: "M16 8.5A6.2 6.2 0 0 0 5 6.5M5 3.5v3.2h3.2M4 11.5a6.2 6.2 0 0 0 11 2M15 16.5v-3.2h-3.2",
  left: "M12 4l-6 6 6 6",
  right: "M8 4l6 6-6 6",
  keys: "M3 6h14v9H3zM6 9h.01M9 9h.01M12 9h.01M14.5 9h.01M7 12h6",
  close: "M5 5l10 10M15 5L5 15",
};

/**
 * A small picture of lines, in the color of the text.
 * @param {keyof typeof PATHS} name
 */
export function icon(name) {
  const space = "http://www.w3.org/2000/svg";
  const svg = document.createElementNS(space, "svg");
  svg.setAttribute("viewBox", "0 0 20 20");
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  const path = document.createElementNS(space, "path");
  path.setAttribute("d", PATHS[name]);
  svg.append(path);
  return svg;
}

/**
 * A button with an icon alone; its words are read aloud and shown as a tip.
 * @param {keyof typeof PATHS} name
 * @param {string} words
 * @param {(event: MouseEvent) => void} onclick
 * @param {string} [key] the key that does the same
 */
export function iconButton(name, words, onclick, key) {
  const title = key ? `${words} (${key})` : words;
  return h("button", { type: "button", class: "icon-button", title, "aria-label": words, onclick }, icon(name));
}

/**
 * Some choices, one of which is pressed.
 * @template {string} T
 * @param {string} label
 * @param {[T, string, (keyof typeof PATHS)?][]} choices
 * @param {(choice: T) => void} choose
 */
export function segmented(label, choices, choose) {
  const buttons = choices.map(([value, words, name]) =>
    h("button", { type: "button", value, title: words, onclick: () => choose(value) }, name ? icon(name) : null, h("span", {}, words)),
  );
  const element = h("div", { class: "segmented", role: "group", "aria-label": label }, ...buttons);
  /** @param {string | null} value */
  const set = (value) => buttons.forEach((b) => b.setAttribute("aria-pressed", String(b.value === value)));
  return { element, buttons, set };
}

/**
 * A slider with its name and its value.
 * @param {string} words
 * @param {{min: number, max: number, step: number}} range
 * @param {(value: number) => void} input called while it moves
 * @param {(value: number) => string} [format]
 */
export function slider(words, { min, max, step }, input, format = (value) => value.toFixed(2)) {
  const range = h("input", { type: "range", min: String(min), max: String(max), step: String(step), "aria-label": words });
  const output = h("output", {});
  range.oninput = () => {
    output.textContent = format(+range.value);
    input(+range.value);
  };
  const element = h("label", { class: "slider" }, h("span", {}, words), output, range);
  /** @param {number} value */
  const set = (value) => {
    // A slider that is being moved is the master: no echo sets it back.
    if (+range.value !== value) range.value = String(value);
    output.textContent = format(value);
  };
  set(min);
  return { element, range, set };
}

/**
 * A button that opens a list; it closes by a click elsewhere and by Escape.
 * @param {keyof typeof PATHS} name
 * @param {string} words
 * @param {(Node | null)[]} items
 */
export function menu(name, words, items) {
  const summary = h("summary", { class: "button", title: words, "aria-label": words }, icon(name), h("span", {}, words));
  const list = h("div", { class: "menu-list" }, ...items);
  const element = h("details", { class: "menu" }, summary, list);
  element.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || !element.open) return;
    element.open = false;
    summary.focus();
    event.stopPropagation();
  });
  list.addEventListener("click", (event) => {
    if (event.target instanceof Element && event.target.closest("button")) element.open = false;
  });
  element.addEventListener("toggle", () => {
    const away = (/** @type {Event} */ event) => {
      if (!element.contains(/** @type {Node} */ (event.target))) element.open = false;
      if (!element.open) document.removeEventListener("pointerdown", away, true);
    };
    if (element.open) document.addEventListener("pointerdown", away, true);
  });
  return element;
}

/**
 * A picture drawn into a canvas, or a part of it.
 * @param {HTMLCanvasElement} canvas
 * @param {{size: number, data: Uint8ClampedArray}} picture
 * @param {number[]} [box] left, top, right, bottom
 */
export function drawPicture(canvas, { size, data }, box = [0, 0, size, size]) {
  const [left, top, right, bottom] = box;
  canvas.width = right - left;
  canvas.height = bottom - top;
  const image = new ImageData(new Uint8ClampedArray(data), size, size);
  canvas.getContext("2d")?.putImageData(image, -left, -top);
}

/**
 * A square around a box, with some of the street around it.
 * @param {number[]} box
 * @param {number} size of the picture
 */
export function squareAround([left, top, right, bottom], size) {
  const side = Math.min(size, Math.max(right - left, bottom - top, size / 5) + Math.round(size / 10));
  const from = (/** @type {number} */ low, /** @type {number} */ high) =>
    Math.round(Math.min(Math.max((low + high - side) / 2, 0), size - side));
  const [x, y] = [from(left, right), from(top, bottom)];
  return [x, y, x + Math.round(side), y + Math.round(side)];
}
