// @ts-check
/**
 * Which parts belong to one object: a car with its windows and wheels is one.
 *
 * A part goes to the neighbour with the longest border among the classes that it can be a part of.
 *
 * @typedef {{name: string, color: number[], thing: boolean, partOf?: string[]}} Class
 * @typedef {object} Thing
 * @property {number} id of the instance that owns the others
 * @property {number[]} ids its own first
 * @property {number} classId
 * @property {string} name
 * @property {number} area in pixels, with all parts
 * @property {number[]} box left, top, right, bottom; the last two are not in it
 *
 * @typedef {object} Objects
 * @property {Thing[]} things in order of their ids
 * @property {Map<number, Thing>} thingOf the thing of every instance that is there
 * @property {Map<number, number>} classOf the class of every instance that is there
 */

/**
 * @param {{size: number, label: Uint8Array, instance: Uint16Array}} maps
 * @param {Class[]} classes
 * @returns {Objects}
 */
export function findObjects({ size, label, instance }, classes) {
  /** @type {Map<number, number>} */
  const classOf = new Map();
  /** @type {Map<number, Map<number, number>>} */
  const borders = new Map();
  const touch = (/** @type {number} */ a, /** @type {number} */ b) => {
    const row = borders.get(a) ?? new Map();
    row.set(b, (row.get(b) ?? 0) + 1);
    borders.set(a, row);
  };
  for (let p = 0; p < instance.length; p++) {
    const id = instance[p];
    if (!classOf.has(id)) classOf.set(id, label[p]);
    const neighbours = [(p + 1) % size ? p + 1 : -1, p + size < instance.length ? p + size : -1];
    for (const q of neighbours) {
      if (q < 0 || instance[q] === id) continue;
      touch(id, instance[q]);
      touch(instance[q], id);
    }
  }

  const ids = [...classOf.keys()].sort((a, b) => a - b);
  const ownerOf = new Map(ids.map((id) => [id, id]));
  for (const id of ids) {
    const owners = classes[classOf.get(id) ?? 0]?.partOf ?? [];
    let longest = 0;
    for (const [other, length] of borders.get(id) ?? []) {
      const name = classes[classOf.get(other) ?? 0]?.name;
      if (length > longest && owners.includes(name)) {
        longest = length;
        ownerOf.set(id, other);
      }
    }
  }
  const root = (/** @type {number} */ id) => {
    let at = id;
    // A part of a part: two steps are enough for every table, and a circle ends.
    for (let step = 0; step < 4 && ownerOf.get(at) !== at; step++) at = /** @type {number} */ (ownerOf.get(at));
    return at;
  };

  /** @type {Map<number, Thing>} */
  const byOwner = new Map();
  /** @type {Map<number, Thing>} */
  const thingOf = new Map();
  for (const id of [...ids].sort((a, b) => Number(root(a) !== a) - Number(root(b) !== b) || a - b)) {
    const owner = root(id);
    const classId = classOf.get(owner) ?? 0;
    const thing = byOwner.get(owner) ?? {
      id: owner,
      ids: [],
      classId,
      name: "",
      area: 0,
      box: [size, size, 0, 0],
    };
    thing.ids.push(id);
    byOwner.set(owner, thing);
    thingOf.set(id, thing);
  }
  for (let p = 0; p < instance.length; p++) {
    const thing = /** @type {Thing} */ (thingOf.get(instance[p]));
    const x = p % size;
    const y = (p - x) / size;
    thing.area += 1;
    thing.box = [
      Math.min(thing.box[0], x),
      Math.min(thing.box[1], y),
      Math.max(thing.box[2], x + 1),
      Math.max(thing.box[3], y + 1),
    ];
  }

  const things = [...byOwner.values()].sort((a, b) => a.id - b.id);
  const seen = new Map();
  const total = new Map();
  for (const { classId } of things) total.set(classId, (total.get(classId) ?? 0) + 1);
  for (const thing of things) {
    const number = (seen.get(thing.classId) ?? 0) + 1;
    seen.set(thing.classId, number);
    const name = classes[thing.classId]?.name ?? String(thing.classId);
    thing.name = total.get(thing.classId) > 1 ? `${name} ${number}` : name;
  }
  return { things, thingOf, classOf };
}

/**
 * What fills the street from side to side and is no thing, as sky and road; it stays where it is.
 * @param {Thing | undefined} thing
 * @param {Class[]} classes
 * @param {number} size
 */
export function isBackground(thing, classes, size) {
  if (!thing) return true;
  return !classes[thing.classId]?.thing && thing.box[2] - thing.box[0] >= size * 0.9;
}

/**
 * The next thing that a key of the arrows leads to: near, and more in the direction than beside it.
 * @param {Thing[]} things
 * @param {Thing | undefined} from
 * @param {number} dx
 * @param {number} dy
 * @returns {Thing | undefined}
 */
export function neighbour(things, from, dx, dy) {
  if (!from) return [...things].sort((a, b) => a.area - b.area).find((thing) => thing.area > 20) ?? things[0];
  const center = (/** @type {Thing} */ { box }) => [(box[0] + box[2]) / 2, (box[1] + box[3]) / 2];
  const [x, y] = center(from);
  let best;
  let least = Infinity;
  for (const thing of things) {
    if (thing === from) continue;
    const [u, v] = center(thing);
    const along = (u - x) * dx + (v - y) * dy;
    const aside = Math.abs((u - x) * dy) + Math.abs((v - y) * dx);
    if (along <= 0.5) continue;
    // What lies around a thing, as the road around a car, comes last.
    const [l, t, r, b] = thing.box;
    const around = l <= from.box[0] && t <= from.box[1] && r >= from.box[2] && b >= from.box[3];
    const cost = along + 2 * aside + (around ? 1000 : 0);
    if (cost < least) {
      least = cost;
      best = thing;
    }
  }
  return best;
}

/**
 * The border of some instances as the path of an SVG, along the edges of pixels.
 * @param {Uint16Array} instance
 * @param {number} size
 * @param {(id: number) => boolean} inside
 * @returns {string}
 */
export function outline(instance, size, inside) {
  const is = (/** @type {number} */ x, /** @type {number} */ y) =>
    x >= 0 && y >= 0 && x < size && y < size && inside(instance[y * size + x]);
  /** Edges by the corner where they begin; what is inside lies to the right of an edge. */
  /** @type {Map<number, number[]>} */
  const edges = new Map();
  const side = size + 1;
  const add = (/** @type {number} */ x, /** @type {number} */ y, /** @type {number} */ u, /** @type {number} */ v) => {
    const from = y * side + x;
    edges.set(from, [...(edges.get(from) ?? []), v * side + u]);
  };
  for (let y = 0; y < size; y++) {
    for (let x = 0; x < size; x++) {
      if (!is(x, y)) continue;
      if (!is(x, y - 1)) add(x, y, x + 1, y);
      if (!is(x + 1, y)) add(x + 1, y, x + 1, y + 1);
      if (!is(x, y + 1)) add(x + 1, y + 1, x, y + 1);
      if (!is(x - 1, y)) add(x, y + 1, x, y);
    }
  }
  let path = "";
  for (const start of [...edges.keys()]) {
    while (edges.get(start)?.length) {
      let at = start;
      let last = 0;
      path += `M${at % side} ${Math.floor(at / side)}`;
      for (let next = edges.get(at)?.pop(); next !== undefined; next = edges.get(at)?.pop()) {
        // Corners alone are written down: an edge that goes on straight is skipped.
        const step = next - at;
        if (step !== last && last) path += `L${at % side} ${Math.floor(at / side)}`;
        last = step;
        at = next;
      }
      path += "Z";
    }
  }
  return path;
}
