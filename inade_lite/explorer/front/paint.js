// @ts-check
/**
 * Edits of a street: strokes, stamps, what was dragged, doubled, deleted, brought to the front.
 *
 * The maps are a base, which has no holes, and layers above it. An edit that takes something out of the base fills in
 * what may lie behind. Points and ways are in 1/256 of the picture's height, so that they suit every size.
 *
 * @typedef {{op: "stroke", id: number, cls: number, r: number, at: number[]}} Stroke points x, y, x, y, …
 * @typedef {{op: "stamp", scene: string, ids: number[], id: number, dx: number, dy: number}} Stamp things of a scene;
 *   `id` is the first of the new ones
 * @typedef {{op: "copy", ids: number[], id: number, dx: number, dy: number}} Copy
 * @typedef {{op: "move", ids: number[], dx: number, dy: number}} Move
 * @typedef {{op: "delete", ids: number[]}} Delete
 * @typedef {{op: "front", ids: number[]}} Front
 * @typedef {Stroke | Stamp | Copy | Move | Delete | Front} Edit
 *
 * @typedef {object} Layer
 * @property {number} id
 * @property {Int16Array} x of its pixels; they may lie outside of the picture
 * @property {Int16Array} y
 * @property {Uint8Array} label
 *
 * @typedef {object} Base
 * @property {number} size
 * @property {Uint8Array} label [size * size]
 * @property {Uint16Array} instance
 * @property {number} count
 *
 * @typedef {object} Maps
 * @property {number} size
 * @property {Uint8Array} label
 * @property {Uint16Array} instance
 * @property {number} count one more than the largest id that was ever used
 * @property {Base} base
 * @property {Layer[]} layers from the back to the front
 */

/** What the sides of a picture are cut into. */
export const UNITS = 256;

/** More instances than this are refused. */
export const MOST = 1000;

/**
 * The maps of a base without edits.
 * @param {Base} base
 * @returns {Maps}
 */
export function plain(base) {
  return { size: base.size, label: base.label, instance: base.instance, count: base.count, base, layers: [] };
}

/**
 * The pixels of a brush that goes from point to point.
 * @param {number[]} at points x, y, x, y, … in units
 * @param {number} r radius in units
 * @param {number} size
 */
export function sweep(at, r, size) {
  const unit = size / UNITS;
  const radius = Math.max(r * unit, 0.5);
  const hit = new Uint8Array(size * size);
  const dab = (/** @type {number} */ cx, /** @type {number} */ cy) => {
    for (let y = Math.max(0, Math.floor(cy - radius)); y <= Math.min(size - 1, cy + radius); y++) {
      for (let x = Math.max(0, Math.floor(cx - radius)); x <= Math.min(size - 1, cx + radius); x++) {
        const far = Math.hypot(x + 0.5 - cx, y + 0.5 - cy);
        if (far <= radius || (x === Math.floor(cx) && y === Math.floor(cy))) hit[y * size + x] = 1;
      }
    }
  };
  for (let i = 0; i + 1 < at.length; i += 2) {
    const [x, y] = [at[i] * unit, at[i + 1] * unit];
    const [u, v] = i ? [at[i - 2] * unit, at[i - 1] * unit] : [x, y];
    const steps = Math.max(1, Math.ceil(Math.hypot(x - u, y - v) / Math.max(radius / 2, 0.5)));
    for (let step = 1; step <= steps; step++) dab(u + ((x - u) * step) / steps, v + ((y - v) * step) / steps);
  }
  return [...hit.keys()].filter((p) => hit[p]);
}

/**
 * A layer of some pixels of a picture.
 * @param {number} id
 * @param {number[]} pixels
 * @param {number} size
 * @param {(pixel: number) => number} labelOf
 * @param {number} [dx] in pixels
 * @param {number} [dy]
 * @returns {Layer}
 */
function layerOf(id, pixels, size, labelOf, dx = 0, dy = 0) {
  return {
    id,
    x: Int16Array.from(pixels, (p) => (p % size) + dx),
    y: Int16Array.from(pixels, (p) => Math.floor(p / size) + dy),
    label: Uint8Array.from(pixels, labelOf),
  };
}

/**
 * @param {{instance: Uint16Array}} map
 * @param {number} id
 */
function pixelsOf({ instance }, id) {
  /** @type {number[]} */
  const out = [];
  instance.forEach((other, p) => {
    if (other === id) out.push(p);
  });
  return out;
}

/**
 * The base without some pixels. Between two pieces of one instance the hole is that instance; elsewhere it is the
 * nearest of the large ones, and rather one at the side than one above or below, so that a horizon goes on.
 * @param {Base} base
 * @param {number[]} hole
 * @returns {Base}
 */
export function fill(base, hole) {
  const { size } = base;
  const gone = new Uint8Array(size * size);
  for (const p of hole) gone[p] = 1;
  const area = new Map();
  base.instance.forEach((id, p) => {
    if (!gone[p]) area.set(id, (area.get(id) ?? 0) + 1);
  });
  if (!area.size) return base;
  const largest = Math.max(...area.values());
  const large = (/** @type {number} */ id) => area.get(id) >= Math.min(0.04 * size * size, largest);

  /** The first pixel in a direction that is not in the hole, or -1. */
  const look = (/** @type {number} */ p, /** @type {number} */ dx, /** @type {number} */ dy) => {
    let x = p % size;
    let y = Math.floor(p / size);
    for (;;) {
      x += dx;
      y += dy;
      if (x < 0 || y < 0 || x >= size || y >= size) return -1;
      if (!gone[y * size + x]) return y * size + x;
    }
  };
  const label = base.label.slice();
  const instance = base.instance.slice();
  /** For every row, the large instances' nearest pixels to the left and to the right. */
  const nearest = Array.from({ length: size }, (_, y) => {
    const row = new Int16Array(size).fill(-1);
    const seen = [];
    for (let x = 0; x < size; x++) if (!gone[y * size + x] && large(base.instance[y * size + x])) seen.push(x);
    if (!seen.length) return row;
    let i = 0;
    for (let x = 0; x < size; x++) {
      while (i + 1 < seen.length && Math.abs(seen[i + 1] - x) <= Math.abs(seen[i] - x)) i++;
      row[x] = seen[i];
    }
    return row;
  });
  for (const p of hole) {
    const [left, right, up, down] = [look(p, -1, 0), look(p, 1, 0), look(p, 0, -1), look(p, 0, 1)];
    let from = -1;
    if (left >= 0 && right >= 0 && base.instance[left] === base.instance[right]) from = left;
    else if (up >= 0 && down >= 0 && base.instance[up] === base.instance[down]) from = up;
    else {
      const [x, y] = [p % size, Math.floor(p / size)];
      let least = Infinity;
      for (let v = 0; v < size; v++) {
        const u = nearest[v][x];
        const cost = Math.abs(u - x) + 3 * Math.abs(v - y);
        if (u >= 0 && cost < least) {
          least = cost;
          from = v * size + u;
        }
      }
    }
    label[p] = base.label[from];
    instance[p] = base.instance[from];
  }
  return { ...base, label, instance };
}

/**
 * Takes instances out of the base: they become layers just above it.
 * @param {Maps} maps
 * @param {number[]} ids
 * @returns {Maps}
 */
function lift(maps, ids) {
  const { base, size } = maps;
  const taken = ids.map((id) => layerOf(id, pixelsOf(base, id), size, (p) => base.label[p])).filter((l) => l.x.length);
  const hole = ids.flatMap((id) => pixelsOf(base, id));
  if (!hole.length) return maps;
  return { ...maps, base: fill(base, hole), layers: [...taken, ...maps.layers] };
}

/**
 * Paints the layers on the base.
 * @param {Maps} maps
 * @returns {Maps}
 */
function flat(maps) {
  const { size, base } = maps;
  const label = base.label.slice();
  const instance = base.instance.slice();
  for (const layer of maps.layers) {
    for (let i = 0; i < layer.x.length; i++) {
      const x = layer.x[i];
      const y = layer.y[i];
      if (x < 0 || y < 0 || x >= size || y >= size) continue;
      label[y * size + x] = layer.label[i];
      instance[y * size + x] = layer.id;
    }
  }
  return { ...maps, label, instance };
}

/**
 * The maps after one edit.
 * @param {Maps} maps
 * @param {Edit} edit
 * @param {(scene: string) => Base | undefined} baseOf of the scenes, at this size
 * @returns {Maps}
 */
export function apply(maps, edit, baseOf) {
  const { size } = maps;
  const pixels = (/** @type {number} */ units) => Math.round((units * size) / UNITS);
  if (edit.op === "stroke") {
    const painted = sweep(edit.at, edit.r, size);
    const layers = [...maps.layers, layerOf(edit.id, painted, size, () => edit.cls)];
    return flat({ ...maps, layers, count: Math.max(maps.count, edit.id + 1) });
  }
  if (edit.op === "stamp" || edit.op === "copy") {
    const source = edit.op === "stamp" ? baseOf(edit.scene) : undefined;
    const [dx, dy] = [pixels(edit.dx), pixels(edit.dy)];
    /** @type {Layer[]} */
    const added = [];
    edit.ids.forEach((id, i) => {
      const known = source ? [] : maps.layers.filter((layer) => layer.id === id);
      for (const { x, y, label } of known) {
        added.push({ id: edit.id + i, x: x.map((value) => value + dx), y: y.map((value) => value + dy), label });
      }
      const from = source ?? (edit.op === "copy" ? maps.base : undefined);
      if (from) added.push(layerOf(edit.id + i, pixelsOf(from, id), size, (p) => from.label[p], dx, dy));
    });
    const count = Math.max(maps.count, edit.id + edit.ids.length);
    return flat({ ...maps, layers: [...maps.layers, ...added.filter((layer) => layer.x.length)], count });
  }
  const ids = new Set(edit.ids);
  const lifted = lift(maps, edit.ids);
  const mine = lifted.layers.filter((layer) => ids.has(layer.id));
  const others = lifted.layers.filter((layer) => !ids.has(layer.id));
  if (edit.op === "delete") return flat({ ...lifted, layers: others });
  if (edit.op === "front") return flat({ ...lifted, layers: [...others, ...mine] });
  const [dx, dy] = [pixels(edit.dx), pixels(edit.dy)];
  const layers = lifted.layers.map((layer) =>
    ids.has(layer.id)
      ? { ...layer, x: layer.x.map((value) => value + dx), y: layer.y.map((value) => value + dy) }
      : layer,
  );
  return flat({ ...lifted, layers });
}

/**
 * The maps after many edits. The last results are kept: while a stroke grows, only it is painted again.
 * @param {(scene: string) => Base | undefined} baseOf
 */
export function createEditor(baseOf) {
  /** @type {{base: Base, edits: Edit[], maps: Maps}[]} */
  let kept = [];
  /**
   * @param {Base} base
   * @param {Edit[]} edits
   * @returns {Maps}
   */
  return function mapsOf(base, edits) {
    let best;
    for (const entry of kept) {
      const n = entry.edits.length;
      const fits = entry.base === base && n <= edits.length && entry.edits.every((edit, i) => edit === edits[i]);
      if (fits && (!best || n > best.edits.length)) best = entry;
    }
    if (best && best.edits.length === edits.length) return best.maps;
    let maps = best ? best.maps : plain(base);
    for (let i = best ? best.edits.length : 0; i < edits.length; i++) {
      maps = apply(maps, edits[i], baseOf);
      // What comes before the last edit is asked for again and again while that one grows.
      if (i === edits.length - 2) kept = [{ base, edits: edits.slice(0, -1), maps }, ...kept];
    }
    kept = [{ base, edits, maps }, ...kept].slice(0, 12);
    return maps;
  };
}

/**
 * A street with nothing in it: sky, grass, road, or one class where there are no such classes.
 * @param {{name: string}[]} classes
 * @param {number} size
 * @returns {Base}
 */
export function emptyStreet(classes, size) {
  const id = (/** @type {string} */ name) => classes.findIndex((other) => other.name === name);
  const bands = [id("sky"), id("grass"), id("road")].filter((cls) => cls >= 0);
  const ends = bands.length === 3 ? [0.5, 0.7, 1] : [1];
  const label = new Uint8Array(size * size);
  const instance = new Uint16Array(size * size);
  for (let p = 0; p < label.length; p++) {
    const band = ends.findIndex((end) => Math.floor(p / size) < end * size);
    label[p] = bands.length === 3 ? bands[band] : 0;
    instance[p] = band;
  }
  return { size, label, instance, count: ends.length };
}
