// @ts-check
/**
 * The picture as the control: outlines, names and the brush are drawn over it, pointers and keys act on it.
 *
 * @typedef {import("./objects.js").Objects} Objects
 * @typedef {import("./pictures.js").Picture} Picture
 * @typedef {{size: number, instance: Uint16Array, label: Uint8Array}} Maps
 *
 * @typedef {object} Acts what a pointer asks for; points are in units of paint.js
 * @property {(id: number, how: {part: boolean, add: boolean}) => void} pick
 * @property {(id: number) => boolean} mayDrag
 * @property {(id: number, dx: number, dy: number) => void} drag
 * @property {(point: [number, number]) => void} stroke each point of a stroke
 * @property {(moved: boolean) => void} end of a drag or a stroke
 * @property {() => void} cancel
 */
import { drawPicture, h } from "./dom.js";
import { outline } from "./objects.js";
import { UNITS } from "./paint.js";

const SVG = "http://www.w3.org/2000/svg";

/** A pointer that moves less than this, in pixels of the screen, clicks. */
const SLOP = { mouse: 5, pen: 7, touch: 10 };

/**
 * @param {Acts} acts
 * @param {{label: string, nameOf: (id: number, part: boolean) => string, idsOf: (id: number, part: boolean) => number[]}} about
 */
export function createStage(acts, about) {
  const canvas = h("canvas", { class: "picture", width: 64, height: 64 });
  const heat = h("canvas", { class: "heat", hidden: true });
  const lines = document.createElementNS(SVG, "svg");
  lines.setAttribute("class", "lines");
  lines.setAttribute("preserveAspectRatio", "none");
  lines.setAttribute("aria-hidden", "true");
  const line = (/** @type {string} */ kind, shape = "path") => {
    const path = document.createElementNS(SVG, shape);
    path.setAttribute("class", kind);
    lines.append(path);
    return path;
  };
  // A light and a dark line side by side can be seen on every color.
  const chosen = [line("chosen under"), line("chosen over")];
  const hovering = [line("hovering under"), line("hovering over")];
  const brush = [line("brush under", "circle"), line("brush over", "circle")];
  const tag = h("div", { class: "tag", hidden: true });
  const badges = h("div", { class: "badges" });
  const cover = h("div", { class: "cover", hidden: true, role: "status" });
  const element = h(
    "div",
    { class: "stage", tabIndex: 0, role: "application", "aria-label": about.label },
    canvas,
    heat,
    lines,
    badges,
    tag,
    cover,
  );

  /** @type {Maps | null} */
  let maps = null;
  /** @type {number[]} */
  let selected = [];
  let mode = "point";
  let radius = 12;
  let hovered = -1;
  let hoveredPart = false;
  /** Where the mouse was last, for when the street moves under it. */
  /** @type {{clientX: number, clientY: number} | null} */
  let last = null;
  /** @type {{id: number, pointer: number, x: number, y: number, from: [number, number], moved: boolean} | null} */
  let gesture = null;

  /** @param {{clientX: number, clientY: number}} event @returns {[number, number]} */
  function unitsAt(event) {
    const box = canvas.getBoundingClientRect();
    const x = ((event.clientX - box.left) / box.width) * UNITS;
    const y = ((event.clientY - box.top) / box.height) * UNITS;
    return [Math.round(x), Math.round(y)];
  }

  /** @param {{clientX: number, clientY: number}} event */
  function idAt(event) {
    if (!maps) return -1;
    const { size, instance } = maps;
    const [x, y] = unitsAt(event).map((v) => Math.min(Math.max(Math.floor((v * size) / UNITS), 0), size - 1));
    return instance[y * size + x];
  }

  /** @param {Element[]} paths @param {number[]} ids */
  function trace(paths, ids) {
    const inside = new Set(ids);
    const path = maps && ids.length ? outline(maps.instance, maps.size, (id) => inside.has(id)) : "";
    for (const each of paths) each.setAttribute("d", path);
  }

  /** @param {number[]} ids */
  function boxOf(ids) {
    if (!maps) return null;
    const { size, instance } = maps;
    let [left, top, right, bottom] = [size, size, 0, 0];
    const inside = new Set(ids);
    instance.forEach((id, p) => {
      if (!inside.has(id)) return;
      const x = p % size;
      const y = (p - x) / size;
      left = Math.min(left, x);
      top = Math.min(top, y);
      right = Math.max(right, x + 1);
      bottom = Math.max(bottom, y + 1);
    });
    return right ? { left: left / size, top: top / size, right: right / size, bottom: bottom / size } : null;
  }

  /** @param {string} text @param {number[]} ids */
  function name(text, ids) {
    const box = boxOf(ids);
    tag.hidden = !box || !text;
    if (!box || tag.hidden) return;
    tag.textContent = text;
    const high = box.top > 0.09;
    // Large things, as the sky, have their name inside.
    tag.dataset.place = high ? "above" : "inside";
    tag.style.left = `${100 * Math.min(Math.max((box.left + box.right) / 2, 0.09), 0.91)}%`;
    tag.style.top = `${100 * box.top}%`;
  }

  function redrawHover() {
    const show = hovered >= 0 && mode === "point" && !gesture?.moved;
    const ids = show ? about.idsOf(hovered, hoveredPart) : [];
    // What is selected has its line already.
    trace(hovering, ids.every((id) => selected.includes(id)) ? [] : ids);
    if (show) name(about.nameOf(hovered, hoveredPart), ids);
    else tag.hidden = true;
  }

  /** @param {number} id @param {boolean} [part] */
  function hover(id, part = false) {
    if (id === hovered && part === hoveredPart) return;
    hovered = id;
    hoveredPart = part;
    redrawHover();
  }

  /** @param {PointerEvent | null} event */
  function moveBrush(event) {
    const show = event !== null && mode === "paint" && maps !== null;
    for (const circle of brush) {
      circle.setAttribute("visibility", show ? "visible" : "hidden");
      if (!show) continue;
      const scale = maps ? maps.size / UNITS : 1;
      const [x, y] = unitsAt(event);
      circle.setAttribute("cx", String(x * scale));
      circle.setAttribute("cy", String(y * scale));
      circle.setAttribute("r", String(Math.max(radius * scale, 0.5)));
    }
  }

  element.addEventListener("pointerdown", (event) => {
    if (event.button !== 0 || gesture || !maps) return;
    const [id, from] = [idAt(event), unitsAt(event)];
    gesture = { id, pointer: event.pointerId, x: event.clientX, y: event.clientY, from, moved: false };
    element.setPointerCapture(event.pointerId);
    if (mode === "paint") acts.stroke(from);
    moveBrush(event);
  });
  element.addEventListener("pointermove", (event) => {
    moveBrush(event);
    if (!gesture) {
      if (event.pointerType === "touch") return;
      last = { clientX: event.clientX, clientY: event.clientY };
      hover(idAt(event), event.altKey);
      return;
    }
    if (event.pointerId !== gesture.pointer) return;
    const slop = SLOP[/** @type {keyof typeof SLOP} */ (event.pointerType)] ?? SLOP.mouse;
    const far = Math.hypot(event.clientX - gesture.x, event.clientY - gesture.y) > slop;
    if (!gesture.moved && far) {
      gesture.moved = true;
      hover(-1);
    }
    if (!gesture.moved) return;
    const [x, y] = unitsAt(event);
    if (mode === "paint") acts.stroke([x, y]);
    else if (acts.mayDrag(gesture.id)) acts.drag(gesture.id, x - gesture.from[0], y - gesture.from[1]);
  });
  element.addEventListener("pointerup", (event) => {
    if (!gesture || event.pointerId !== gesture.pointer) return;
    const { id, moved } = gesture;
    gesture = null;
    if (mode === "paint" || moved) acts.end(moved);
    else acts.pick(id, { part: event.altKey, add: event.shiftKey });
    if (event.pointerType === "touch") {
      hover(-1);
      moveBrush(null);
    } else last = { clientX: event.clientX, clientY: event.clientY };
  });
  element.addEventListener("pointercancel", () => cancel());
  element.addEventListener("pointerleave", () => {
    if (gesture) return;
    last = null;
    hover(-1);
    moveBrush(null);
  });
  // A finger scrolls the page, unless it paints or lies on what is selected.
  element.addEventListener(
    "touchstart",
    (event) => {
      const touch = event.touches[0];
      if (event.touches.length === 1 && (mode === "paint" || selected.includes(idAt(touch)))) event.preventDefault();
    },
    { passive: false },
  );
  element.addEventListener("contextmenu", (event) => event.pointerType === "touch" && event.preventDefault());

  function cancel() {
    const was = gesture !== null;
    gesture = null;
    if (was) acts.cancel();
    redrawHover();
    return was;
  }

  return {
    element,
    cancel,
    idAt,
    /** @param {Picture} picture */
    show(picture) {
      drawPicture(canvas, picture);
    },
    /** @param {Maps} next */
    setMaps(next) {
      maps = next;
      lines.setAttribute("viewBox", `0 0 ${next.size} ${next.size}`);
      trace(chosen, selected);
      if (hovered >= 0 && last) hovered = idAt(last);
      redrawHover();
    },
    /** @param {number[]} ids @param {number[][]} locks the ids of each locked thing */
    setSelected(ids, locks = []) {
      selected = ids;
      trace(chosen, ids);
      redrawHover();
      badges.replaceChildren(
        ...locks.map(boxOf).flatMap((box) => {
          if (!box) return [];
          const badge = h("span", { class: "badge" });
          badge.style.left = `${50 * (box.left + box.right)}%`;
          badge.style.top = `${50 * (box.top + box.bottom)}%`;
          return [badge];
        }),
      );
    },
    /** @param {string} next @param {number} r */
    setMode(next, r) {
      mode = next;
      radius = r;
      element.dataset.mode = next;
      if (next !== "paint") moveBrush(null);
      redrawHover();
    },
    /** @param {string | null} text */
    setCover(text) {
      cover.hidden = text === null;
      cover.textContent = text ?? "";
    },
    /** @param {{size: number, map: Float32Array} | null} change |Δ| of every pixel, 0 to 255 */
    setHeat(change) {
      heat.hidden = change === null;
      if (!change) return;
      const data = new Uint8ClampedArray(change.map.length * 4);
      change.map.forEach((value, p) => data.set(heatColor(value / 128), 4 * p));
      drawPicture(heat, { size: change.size, data });
    },
  };
}

/**
 * From dark blue over grey to yellow: light grows with the value, so that everybody can read it.
 * @param {number} value 0 to 1
 */
export function heatColor(value) {
  const x = Math.min(Math.max(value, 0), 1);
  const stops = [
    [0, 32, 77],
    [87, 92, 109],
    [166, 157, 117],
    [255, 234, 70],
  ];
  const at = Math.min(Math.floor(x * 3), 2);
  const share = x * 3 - at;
  const color = stops[at].map((low, c) => Math.round(low + share * (stops[at + 1][c] - low)));
  return [...color, 235];
}
