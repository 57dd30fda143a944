// @ts-check
/**
 * The explorer: holds the history of the street, listens to the views, tells them what to show.
 *
 * The page and the notebook differ in what they hand in: an engine that paints, the streets, and what their place
 * offers besides.
 *
 * @typedef {import("./state.js").State} State
 * @typedef {import("./looks.js").Look} Look
 * @typedef {import("./outfits.js").Outfit} Outfit
 * @typedef {import("./pictures.js").Model} Model
 *
 * @typedef {object} Place
 * @property {{load: (name: string, onProgress?: (done: number, all: number) => void) => Promise<any>,
 *   paint: (request: import("./pictures.js").Request) => Promise<Uint8ClampedArray>,
 *   encode: (request: any) => Promise<{mu: Float32Array, logvar: Float32Array}>}} engine
 * @property {import("./scenes.js").Scenes} scenes
 * @property {import("./words.js").Words} words
 * @property {{read: () => string, write: (code: string) => void, address: () => string} | null} link
 * @property {(address: string, size: number) => Promise<Uint8ClampedArray>} readPicture
 * @property {(frames: import("./pictures.js").Picture[], delay: number) => Promise<Blob>} animation
 * @property {Document | HTMLElement} keys what listens to the keyboard
 * @property {State | null} [state] to begin with
 * @property {(state: State) => void} [changed]
 */
import { createBorrowing } from "./borrowing.js";
import { carry } from "./carry.js";
import { createComparing } from "./comparing.js";
import { drawPicture, h, squareAround } from "./dom.js";
import { DIRECTIONS, flatten, mix, plainDirections, SEEDS } from "./looks.js";
import { findObjects, isBackground, neighbour } from "./objects.js";
import { atomFor, dress, outfitOf } from "./outfits.js";
import { createEditor, MOST, UNITS } from "./paint.js";
import * as panel from "./panel.js";
import { createPictures } from "./pictures.js";
import { createSaving } from "./saving.js";
import { createStage } from "./stage.js";
import { createStamps } from "./stamps.js";
import * as states from "./state.js";

/**
 * @param {HTMLElement} root
 * @param {Place} place
 */
export function createApp(root, place) {
  const { engine, scenes, words, link } = place;
  const classes = scenes.classes;
  const seed = () => Math.floor(Math.random() * SEEDS);

  // ---- What is known

  /** @type {Map<string, Model>} */
  const models = new Map();
  /** @type {Model | null} */
  let model = null;
  let history = states.newHistory(states.newState(scenes.models[0].name, scenes.names[0]));
  /** What a hand that still moves makes of the street. */
  /** @type {State | null} */
  let preview = null;
  /** @type {{kind: "stroke" | "move", from: State, edit: any, ids: number[]} | null} */
  let gesture = null;
  let mode = "point";
  let paintClass = Math.max(0, classes.findIndex(({ name }) => name === "balloon"));
  let brush = 14;
  let tab = "mix";
  let candidateSeed = seed();
  /** @type {Outfit | null} */
  let copied = null;
  /** Whether a small picture is carried about. */
  let isCarried = false;

  /** @type {Map<number, ReturnType<typeof createEditor>>} */
  const editors = new Map();
  /** @param {State} state @param {number} size */
  function mapsAt(state, size) {
    const editor = editors.get(size) ?? createEditor((name) => scenes.baseOf(name, size));
    editors.set(size, editor);
    const base = scenes.baseOf(state.scene, size) ?? scenes.baseOf(states.EMPTY, size);
    return editor(/** @type {import("./paint.js").Base} */ (base), state.edits);
  }
  const size = () => model?.size ?? scenes.baseOf(scenes.names[0], 64)?.size ?? 64;
  const mapsOf = (/** @type {State} */ state) => mapsAt(state, size());
  const pictures = createPictures(engine, (state, { size: side }) => mapsAt(state, side));
  /** @type {WeakMap<object, import("./objects.js").Objects>} */
  const objectsOfMaps = new WeakMap();
  /** @param {import("./paint.js").Base | import("./paint.js").Maps} maps */
  function objectsIn(maps) {
    const objects = objectsOfMaps.get(maps) ?? findObjects(maps, classes);
    objectsOfMaps.set(maps, objects);
    return objects;
  }
  const objectsOf = (/** @type {State} */ state) => objectsIn(mapsOf(state));
  const stampsOf = createStamps(scenes);
  const stamps = (/** @type {number} */ cls) => stampsOf(cls, size());
  const shown = () => preview ?? history.now;

  // ---- The views

  /** @type {Record<string, (...values: any[]) => void>} */
  const acts = {
    mode: (next) => setMode(next),
    model: (name) => changeModel(name),
    another: () => openScene(nextScene()),
    empty: () => openScene(states.EMPTY),
    surprise,
    undo: () => jump(-1),
    redo: () => jump(1),
    jump,
    savePicture: () => saving.savePicture(),
    saveStreet: () => saving.saveStreet(),
    saveSlide: () => saving.saveSlide(),
    copyLink: () => saving.copyLink(),
    open: () => input.click(),
    again,
    lock: toggleLock,
    reset: () => change(states.resetLooks(history.now, chosenIds())),
    copy: () => {
      copied = worn(history.now);
      update();
    },
    paste: () => {
      if (!copied) return messages.show(words.nothingCopied);
      wear(copied);
    },
    duplicate,
    front: () => edit({ op: "front", ids: history.now.selected }),
    remove,
    keep: (i) => keep(i),
    more: () => {
      candidateSeed = seed();
      update();
    },
    dragLook: (i, event) => carryOutfit(event, () => worn(candidate(i))),
    paintClass: (cls) => {
      paintClass = cls;
      update();
    },
    brushSize: (r) => {
      brush = r;
      stage.setMode(mode, brush);
    },
    slide: (t) => changeLooks((look) => ({ ...look, t }), "slide"),
    way: (way) => changeLooks((look) => ({ ...look, line: way === "line" })),
    blocks: (k) => changeLooks((look) => ({ ...look, k }), "blocks"),
    direction: (i, value) =>
      changeLooks((look) => {
        const d = Array.from({ length: DIRECTIONS }, (_, each) => look.d?.[each] ?? 0);
        d[i] = value;
        return { ...look, d };
      }, `direction ${i}`),
    freshOther: () => {
      const draw = seed();
      slideTo((id) => mix(draw, id));
    },
    pasteOther: () => {
      const outfit = copied;
      if (!outfit) return messages.show(words.nothingCopied);
      const ids = chosenIds();
      slideTo((id) => atomFor(outfit, id, ids, objectsOf(history.now)));
    },
  };

  const bar = panel.createBar(acts, words, scenes.models, link !== null);
  const card = panel.createCard(acts, words);
  const candidates = panel.createCandidates(acts, words);
  const palette = panel.createPalette(acts, words, classes);
  const steps = panel.createSteps(acts, words);
  const mixing = panel.createMix(acts, words, DIRECTIONS);
  const messages = panel.createMessages(words);
  /** What the parts of the explorer ask of the whole. */
  const app = {
    model: () => model,
    size,
    seed,
    load,
    messages,
    pictures,
    mapsAt,
    mapsOf,
    chosenIds,
    now: () => history.now,
    before: () => history.past.at(-1),
    update: () => update(),
  };
  const borrowing = createBorrowing(
    { ...app, hasSelected: () => history.now.selected.length > 0, objectsOfBase: objectsIn, wear },
    place,
  );
  const comparing = createComparing(
    {
      ...app,
      isOpen: () => tab === "compare" && mode === "point",
      setHeat: (change_) => stage.setHeat(change_),
      loaded: () => stage.setCover(null),
    },
    place,
  );
  const saving = createSaving({ ...app, otherSeed: () => mix(candidateSeed, 0), opened }, place);
  const tabs = panel.createTabs(
    words.tabs,
    [
      ["mix", words.mix, mixing.element],
      ["borrow", words.borrow, borrowing.element],
      ["compare", words.compare, comparing.element],
    ],
    (name) => {
      tab = name;
      if (model) update();
      if (name === "borrow") borrowing.show();
    },
  );
  const stage = createStage(
    {
      pick,
      mayDrag,
      drag,
      stroke,
      end,
      cancel: () => {
        gesture = null;
        preview = null;
        update();
      },
    },
    {
      label: words.stage,
      nameOf: (id, part) => nameOf(part ? [id] : (objectsOf(shown()).thingOf.get(id)?.ids ?? [])),
      idsOf: (id, part) => (part ? [id] : (objectsOf(shown()).thingOf.get(id)?.ids ?? [])),
    },
  );
  const said = h("div", { class: "aloud", "aria-live": "polite" });
  const input = h("input", { type: "file", accept: ".json,application/json", hidden: true });
  input.onchange = () => {
    const file = input.files?.[0];
    if (file) saving.openFile(file);
    input.value = "";
  };
  root.classList.add("inade");
  const frame = h("div", { class: "frame" }, stage.element);
  // JupyterLab has keys of its own; here they mean what they mean here.
  root.dataset.lmSuppressShortcuts = "true";
  root.replaceChildren(
    h(
      "div",
      { class: "room" },
      h(
        "div",
        { class: "app" },
        bar.element,
        h("div", { class: "left" }, frame, steps.element),
        h("aside", { class: "right" }, card.element, candidates.element, palette.element, tabs.element),
      ),
    ),
    said,
    input,
  );
  // A page shows its messages at the bottom of the window. In a notebook that is far away: there they lie on the picture.
  (link ? root : frame).append(messages.element);

  // ---- From one street to the next

  /** @param {State} next @param {string | null} [tag] */
  function change(next, tag = null) {
    const before = history.now;
    history = states.push(history, next, tag);
    if (history.now !== before && states.sameStreet(history.now, before)) pictures.alias(history.now, before);
    if (history.now !== before) place.changed?.(history.now);
    update();
  }

  /** @param {(look: Look, id: number) => Look} how @param {string | null} [tag] */
  function changeLooks(how, tag = null) {
    if (refuse()) return update();
    change(states.changeLooks(history.now, chosenIds(), how), tag);
  }

  /** @param {number} count */
  function jump(count) {
    history = states.go(history, count);
    place.changed?.(history.now);
    if (history.now.model !== model?.name) return changeModel(history.now.model, true);
    update();
  }

  /** What an action is about: the selected, or all where nothing is. */
  function chosenIds() {
    const { selected } = history.now;
    return selected.length ? selected : [...objectsOf(history.now).thingOf.keys()];
  }

  /** Says that the selected is locked, where all of it is. */
  function refuse() {
    const { locked, selected } = history.now;
    const all = selected.length > 0 && selected.every((id) => locked.includes(id));
    if (all) messages.show(words.locked(nameOf(selected)));
    return all;
  }

  function again() {
    if (refuse()) return;
    const draw = seed();
    const { now } = history;
    if (!now.selected.length) return change(states.redrawAll(now, draw));
    change(states.setLooks(now, states.drawn(now.selected, draw)));
  }

  function toggleLock() {
    const { now } = history;
    if (!now.selected.length) return;
    change(states.lock(now, now.selected, !now.selected.every((id) => now.locked.includes(id))));
  }

  /** @param {any} what an edit of paint.js @param {number[]} [selected] */
  function edit(what, selected = history.now.selected) {
    if (what.op !== "stroke" && !what.ids.length) return;
    change(states.select(states.addEdit(history.now, what), selected));
  }

  function remove() {
    const { selected } = history.now;
    if (!selected.length) return;
    const left = [...objectsOf(history.now).thingOf.keys()].filter((id) => !selected.includes(id));
    if (!left.length) return messages.show(words.lastThing);
    edit({ op: "delete", ids: selected }, []);
  }

  /** @param {number} count @returns {number | null} the first of the new ids */
  function newIds(count) {
    const first = mapsOf(history.now).count;
    if (first + count <= MOST) return first;
    messages.show(words.tooMany(MOST));
    return null;
  }

  function duplicate() {
    const ids = history.now.selected;
    const id = newIds(ids.length);
    if (!ids.length || id === null) return;
    const box = boxOf(ids);
    const side = size();
    const wide = box[2] - box[0];
    // Beside it, where there is room.
    const right = box[2] + wide / 2 < side;
    const dx = Math.round((((right ? 1 : -1) * Math.max(2, wide * 0.6)) * UNITS) / side);
    edit(
      { op: "copy", ids, id, dx, dy: 0 },
      ids.map((_, i) => id + i),
    );
  }

  /** @param {number[]} ids */
  function boxOf(ids) {
    const { thingOf } = objectsOf(history.now);
    const boxes = ids.flatMap((id) => thingOf.get(id)?.box ?? []);
    const side = size();
    if (!boxes.length || !history.now.selected.length) return [0, 0, side, side];
    const every = (/** @type {number} */ corner) => boxes.filter((_, i) => i % 4 === corner);
    return [Math.min(...every(0)), Math.min(...every(1)), Math.max(...every(2)), Math.max(...every(3))];
  }

  // ---- Streets

  function nextScene() {
    const others = scenes.names.filter((name) => name !== history.now.scene);
    return others[Math.floor(Math.random() * others.length)] ?? scenes.names[0];
  }

  /** @param {string} name */
  function openScene(name) {
    borrowing.forget();
    change(states.openScene(history.now, name, seed()));
  }

  function surprise() {
    let state = states.openScene(history.now, nextScene(), seed());
    // Some things of other streets come along.
    for (const name of ["balloon", "car", "tree", "person", "balloon"]) {
      const cls = classes.findIndex((each) => each.name === name);
      const stamp = cls < 0 || Math.random() < 0.3 ? null : anyStamp(cls);
      const id = mapsOf(state).count;
      if (!stamp || id + stamp.ids.length > MOST) continue;
      const room = UNITS - ((stamp.box[2] - stamp.box[0]) * UNITS) / size();
      const x = (stamp.box[0] * UNITS) / size();
      const dx = Math.round(Math.random() * room - x);
      state = states.addEdit(state, { op: "stamp", scene: stamp.scene, ids: stamp.ids, id, dx, dy: 0 });
    }
    change(state);
  }

  /** @param {string} name @param {boolean} [quiet] after undo: the history already has it */
  async function changeModel(name, quiet = false) {
    try {
      const next = await load(name);
      model = next;
      stage.setCover(null);
      if (quiet) update();
      else change({ ...history.now, model: name });
    } catch (error) {
      stage.setCover(null);
      messages.show(words.notLoaded(/** @type {Error} */ (error).message), true);
      update();
    }
  }

  /** @param {string} name @returns {Promise<Model>} */
  async function load(name) {
    const known = models.get(name);
    if (known) return known;
    stage.setCover(words.starting);
    const loaded = await engine.load(name, (done, all) => {
      if (all) stage.setCover(words.loading(Math.round((100 * done) / all)));
    });
    const named = loaded.directions?.length ? loaded.directions : plainDirections(loaded.noiseDim);
    const ready = { ...loaded, name, directions: named };
    models.set(name, ready);
    return ready;
  }

  // ---- Looks as things

  /** What the chosen ones wear. @param {State} state @returns {Outfit} */
  const worn = (state) => outfitOf(state, chosenIds(), objectsOf(state), /** @type {Model} */ (model));

  /** The chosen ones put it on. @param {Outfit} outfit @param {string | null} [tag] */
  function wear(outfit, tag = null) {
    if (refuse()) return update();
    change(dress(history.now, chosenIds(), outfit, objectsOf(history.now)), tag);
  }

  /** @param {(id: number) => import("./looks.js").Atom | null} other */
  function slideTo(other) {
    const { noiseDim, directions } = /** @type {Model} */ (model);
    changeLooks((look, id) => {
      const b = other(id);
      return b === null ? look : { a: flatten(look, noiseDim, directions), b, t: 0, line: look.line ?? false };
    });
  }

  /**
   * A look that is carried from a small picture to a thing in the large one.
   * @param {PointerEvent} event
   * @param {() => Outfit} outfit
   */
  function carryOutfit(event, outfit) {
    const drop = (/** @type {PointerEvent} */ to) => {
      const box = stage.element.getBoundingClientRect();
      const isOver = to.clientX >= box.left && to.clientX < box.right && to.clientY >= box.top && to.clientY < box.bottom;
      const taken = outfit();
      const thing = isOver ? objectsOf(history.now).thingOf.get(stage.idAt(to)) : undefined;
      if (!thing) return;
      const next = states.select(history.now, thing.ids);
      pictures.alias(next, history.now);
      if (thing.ids.every((id) => next.locked.includes(id))) return messages.show(words.locked(thing.name));
      change(dress(next, thing.ids, taken, objectsOf(next)));
    };
    carry(event, root, (is) => (isCarried = is), drop);
  }
  for (const [canvas, t] of /** @type {[HTMLCanvasElement, number][]} */ ([
    [mixing.from, 0],
    [mixing.to, 1],
  ])) {
    canvas.addEventListener("pointerdown", (event) => carryOutfit(event, () => worn(atEnd(t))));
  }

  /** The street at an end of the slide. @param {number} t */
  function atEnd(t) {
    return states.changeLooks({ ...history.now, locked: [] }, chosenIds(), (look) => ({ ...look, t, k: 0 }));
  }

  // ---- Eight looks

  /** @param {number} i @returns {State} */
  function candidate(i) {
    const { now } = history;
    const draw = mix(candidateSeed, i);
    return now.selected.length
      ? states.setLooks(now, states.drawn(now.selected, draw))
      : states.redrawAll(now, draw);
  }

  /** @param {number} i */
  function keep(i) {
    if (isCarried || refuse() || mode !== "point") return;
    const kept = eight[i] ?? candidate(i);
    change(kept);
  }

  /** @type {State[]} */
  let eight = [];
  let eightKey = "";
  function showCandidates() {
    const { now } = history;
    if (!model || mode !== "point") return;
    const { selected, looks, locked } = now;
    const rest = Object.fromEntries(Object.entries(looks).filter(([id]) => !selected.includes(+id)));
    // Whatever the selected looks like now, its candidates are the same.
    const key = selected.length
      ? JSON.stringify([candidateSeed, now.model, now.scene, now.seed, now.latent, selected, rest, locked, now.edits])
      : JSON.stringify([candidateSeed, now.model, now.scene, locked, locked.map((id) => looks[id]), now.edits]);
    const off = selected.length > 0 && selected.every((id) => locked.includes(id));
    candidates.setOff(off);
    if (key !== eightKey) {
      eightKey = key;
      eight = Array.from({ length: 8 }, (_, i) => candidate(i));
      pictures.drop("candidates");
      candidates.wait();
      const box = squareAround(boxOf(selected), size());
      eight.forEach(async (state, i) => {
        const picture = await pictures.later(state, /** @type {Model} */ (model), "candidates").catch(() => null);
        if (picture && eight[i] === state) candidates.draw(i, picture, box);
      });
    }
    candidates.mark(eight.findIndex((state) => states.sameLooks(state, now, chosenIds())));
  }

  // ---- Pointing

  /** @param {number[]} ids */
  function nameOf(ids) {
    const { thingOf, classOf, things } = objectsOf(shown());
    if (!ids.length) return words.nothing;
    const found = [...new Set(ids.map((id) => thingOf.get(id)).filter((thing) => thing !== undefined))];
    if (found.length === 1) {
      const [thing] = found;
      const part = ids.length === 1 && thing.ids.length > 1 && ids[0] !== thing.id;
      const cls = classes[classOf.get(ids[0]) ?? 0]?.name ?? "";
      if (part) return words.partOf(cls, thing.name);
      return ids.length < thing.ids.length ? words.alone(thing.name) : thing.name;
    }
    if (found.length === things.length) return words.everything;
    const sameClass = found.every((thing) => thing.classId === found[0]?.classId);
    const all = sameClass && things.filter(({ classId }) => classId === found[0].classId).length === found.length;
    return all ? words.all(classes[found[0].classId].name) : words.several(found.length);
  }

  /** @param {number[]} ids */
  function select(ids) {
    const next = states.select(history.now, ids);
    change(next);
    said.textContent = words.selected(nameOf(ids));
  }

  /** @param {number} id @param {{part: boolean, add: boolean}} how */
  function pick(id, { part, add }) {
    const thing = objectsOf(history.now).thingOf.get(id);
    if (!thing) return;
    const ids = part ? [id] : thing.ids;
    const { selected } = history.now;
    if (add) change(states.toggle(history.now, ids));
    // A second click on what is selected draws it again, which a finger can do, too.
    else if (ids.length === selected.length && ids.every((each) => selected.includes(each))) again();
    else select(ids);
  }

  /** @param {number} id */
  function mayDrag(id) {
    const { selected } = history.now;
    const { thingOf } = objectsOf(history.now);
    const dragged = selected.includes(id) ? selected : [id];
    return dragged.every((each) => !isBackground(thingOf.get(each), classes, size()));
  }

  /** @param {number} id @param {number} dx @param {number} dy */
  function drag(id, dx, dy) {
    if (!gesture) {
      const { now } = history;
      const ids = now.selected.includes(id) ? now.selected : (objectsOf(now).thingOf.get(id)?.ids ?? []);
      const from = states.select(now, ids);
      if (from !== now) pictures.alias(from, now);
      gesture = { kind: "move", from, edit: null, ids };
    }
    if (gesture.kind !== "move") return;
    preview = moved(gesture.from, gesture.ids, dx, dy);
    update();
  }

  /** A drag that goes on from the last one is one edit. @param {State} state @param {number[]} ids @param {number} dx @param {number} dy */
  function moved(state, ids, dx, dy) {
    const unit = UNITS / size();
    const snap = (/** @type {number} */ way) => Math.round(way / unit) * unit;
    const last = state.edits.at(-1);
    if (last?.op === "move" && last.ids.length === ids.length && last.ids.every((id, i) => id === ids[i])) {
      const both = { ...last, dx: last.dx + snap(dx), dy: last.dy + snap(dy) };
      return { ...state, edits: [...state.edits.slice(0, -1), both] };
    }
    return states.addEdit(state, { op: "move", ids, dx: snap(dx), dy: snap(dy) });
  }

  // ---- Painting

  /** @param {[number, number]} point */
  function stroke([x, y]) {
    if (!gesture) {
      const maps = mapsOf(history.now);
      const side = maps.size;
      const pixel = [x, y].map((v) => Math.min(Math.max(Math.floor((v * side) / UNITS), 0), side - 1));
      const at = pixel[1] * side + pixel[0];
      const under = maps.label[at] === paintClass ? maps.instance[at] : null;
      const id = under ?? newIds(1);
      if (id === null) return;
      gesture = { kind: "stroke", from: history.now, edit: { op: "stroke", id, cls: paintClass, r: brush, at: [x, y] }, ids: [id] };
      // A click places a whole thing: nothing is painted before the hand moves.
      if (stamps(paintClass).length && under === null) return;
    } else if (gesture.kind === "stroke") {
      const { at } = gesture.edit;
      if (Math.hypot(at.at(-2) - x, at.at(-1) - y) < 2) return;
      gesture.edit = { ...gesture.edit, at: [...at, x, y] };
    }
    preview = states.addEdit(gesture.from, gesture.edit);
    update();
  }

  /** @param {boolean} hasMoved */
  function end(hasMoved) {
    const done = gesture;
    const last = preview;
    gesture = null;
    preview = null;
    if (!done) return;
    if (done.kind === "stroke" && !hasMoved && !last) {
      const [x, y] = done.edit.at;
      const stamp = anyStamp(paintClass);
      const id = stamp && newIds(stamp.ids.length);
      if (!stamp || id === null) return update();
      const unit = UNITS / size();
      const dx = Math.round(x - ((stamp.box[0] + stamp.box[2]) / 2) * unit);
      const dy = Math.round(y - ((stamp.box[1] + stamp.box[3]) / 2) * unit);
      const ids = stamp.ids.map((_, i) => /** @type {number} */ (id) + i);
      return edit({ op: "stamp", scene: stamp.scene, ids: stamp.ids, id, dx, dy }, ids);
    }
    if (!last) return update();
    change(states.select(last, done.ids));
    if (states.sameStreet(last, history.now) && last !== history.now) pictures.alias(history.now, last);
  }

  /** @param {number} cls */
  function anyStamp(cls) {
    const all = stamps(cls);
    return all[Math.floor(Math.random() * all.length)] ?? null;
  }

  /** @param {string} next */
  function setMode(next) {
    mode = next;
    stage.cancel();
    root.dataset.mode = mode;
    stage.setMode(mode, brush);
    update();
  }

  /** The street of a file. @param {State} state */
  async function opened(state) {
    if (state.model !== model?.name) model = await load(state.model);
    stage.setCover(null);
    change(state);
  }

  // ---- What is shown

  let asked = 0;
  let painted = 0;
  async function showPicture() {
    if (!model) return;
    const state = shown();
    const turn = ++asked;
    const ready = pictures.find(state, model);
    try {
      const picture = ready ?? (await pictures.show(state, model));
      if (!picture || turn < painted) return;
      painted = turn;
      stage.show(picture);
      root.dataset.painted = String(Number(root.dataset.painted ?? 0) + 1);
      if (!gesture) showSteps();
    } catch (error) {
      messages.show(words.failed(/** @type {Error} */ (error).message), true);
    }
  }
  const find = (/** @type {State} */ state) => (model ? pictures.find(state, model) : undefined);
  const showSteps = () => steps.update([...history.past, history.now, ...history.future], history.past.length, find);

  /** Steps that went by too fast have no picture yet. There is time for it now. */
  function fillSteps() {
    pictures.drop("steps");
    if (!model) return;
    for (const state of [...history.past, ...history.future]) {
      if (find(state)) continue;
      pictures.later(state, model, "steps").then((picture) => picture && !gesture && showSteps(), () => {});
    }
  }

  function update() {
    const state = shown();
    const maps = mapsOf(state);
    const objects = objectsOf(state);
    const selected = gesture?.kind === "stroke" && preview ? gesture.ids : state.selected;
    const present = selected.filter((id) => objects.thingOf.has(id));
    stage.setMaps(maps);
    const lockedThings = objects.things.filter(({ ids }) => ids.every((id) => state.locked.includes(id)));
    stage.setSelected(
      mode === "paint" && !gesture ? [] : present,
      lockedThings.map(({ ids }) => ids),
    );
    showPicture();
    if (gesture) return;

    const things = [...new Set(present.map((id) => objects.thingOf.get(id)))];
    const first = things[0];
    const some = present.length > 0;
    const locked = some && present.every((id) => state.locked.includes(id));
    const ofClass = first ? objects.things.filter(({ classId }) => classId === first.classId) : [];
    const sameIds = (/** @type {number[]} */ ids) =>
      ids.length === present.length && ids.every((id) => present.includes(id));
    const scope = (/** @type {string} */ text, /** @type {number[]} */ ids) => ({
      words: text,
      on: sameIds(ids),
      act: () => select(ids),
    });
    const everything = objects.things.flatMap(({ ids }) => ids);
    bar.update({ mode, undo: history.past.length > 0, redo: history.future.length > 0, model: state.model });
    card.update({
      name: nameOf(present),
      color: first ? classes[first.classId].color : null,
      some,
      locked,
      copied: copied !== null,
      scopes: first
        ? [
            scope(words.only, first.ids),
            ...(ofClass.length > 1 ? [scope(words.all(classes[first.classId].name), ofClass.flatMap(({ ids }) => ids))] : []),
            scope(words.everything, everything),
          ]
        : [],
    });
    palette.update({ cls: paintClass, r: brush, stamps: stamps(paintClass).length > 0 });
    showCandidates();
    mixing.update({
      some,
      look: some ? states.lookOf(state, present[0]) : null,
      copied: copied !== null,
      blocks: model?.blocks ?? 0,
    });
    showEnds();
    borrowing.update(some);
    comparing.update();
    showSteps();
    fillSteps();
    saving.linkLater();
  }

  let endsKey = "";
  function showEnds() {
    const { now } = history;
    if (!model || tab !== "mix" || !now.selected.length || mode !== "point") return;
    const looks = now.selected.map((id) => ({ ...states.lookOf(now, id), t: 0, k: 0 }));
    const key = JSON.stringify([now.scene, now.model, now.seed, now.selected, looks, now.edits.length]);
    if (key === endsKey) return;
    endsKey = key;
    pictures.drop("ends");
    const box = squareAround(boxOf(now.selected), size());
    for (const [canvas, t] of /** @type {[HTMLCanvasElement, number][]} */ ([
      [mixing.from, 0],
      [mixing.to, 1],
    ])) {
      if (t && looks[0].b === undefined) continue;
      pictures.later(atEnd(t), model, "ends").then(
        (picture) => picture && key === endsKey && drawPicture(canvas, picture, box),
        () => {},
      );
    }
  }

  // ---- Keys

  /** @param {KeyboardEvent} event */
  function press(event) {
    const target = /** @type {HTMLElement} */ (event.target);
    if (target.closest?.("input:not([type=range], [type=checkbox]), select, textarea, [contenteditable=true]")) return;
    if (event.altKey || !model) return;
    const control = event.ctrlKey || event.metaKey;
    const name = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    const arrows = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
    const arrow = arrows[/** @type {keyof typeof arrows} */ (name)];
    const onControl = target.closest?.("button, summary, input, a, [role=tablist]") !== null;
    /** @type {(() => void) | undefined} */
    let act;
    if (control) {
      if (name === "z") act = event.shiftKey ? acts.redo : acts.undo;
      else if (name === "y") act = acts.redo;
    } else if (arrow) {
      if (!onControl || target.closest(".stage")) act = () => (event.shiftKey ? nudge(arrow) : walk(arrow));
    } else if (name === " ") {
      if (!onControl) act = acts.again;
    } else if (/^[1-8]$/.test(name)) act = () => keep(Number(name) - 1);
    else if (name === "Escape") act = escape;
    else {
      const all = () => scopeOfClass();
      const names = {
        z: acts.undo, y: acts.redo, a: all, l: acts.lock, c: acts.copy, v: acts.paste, d: acts.duplicate,
        f: acts.front, Delete: acts.remove, Backspace: acts.remove, b: () => setMode(mode === "paint" ? "point" : "paint"),
      };
      act = names[/** @type {keyof typeof names} */ (name)];
    }
    if (!act) return;
    event.preventDefault();
    event.stopPropagation();
    act();
  }

  /** @param {number[]} arrow */
  function walk([dx, dy]) {
    const { things, thingOf } = objectsOf(history.now);
    const next = neighbour(things, thingOf.get(history.now.selected[0]), dx, dy);
    if (next) select(next.ids);
  }

  /** @param {number[]} arrow */
  function nudge([dx, dy]) {
    const ids = history.now.selected;
    if (!ids.length || !mayDrag(ids[0])) return;
    const unit = UNITS / size();
    change(moved(history.now, ids, dx * unit, dy * unit), `nudge ${ids}`);
  }

  function scopeOfClass() {
    const { things, thingOf } = objectsOf(history.now);
    const first = thingOf.get(history.now.selected[0]);
    if (first) select(things.filter(({ classId }) => classId === first.classId).flatMap(({ ids }) => ids));
  }

  function escape() {
    messages.hide();
    if (stage.cancel()) return;
    if (mode === "paint") setMode("point");
    else if (history.now.selected.length) select([]);
  }

  // After a button was clicked, Space and the arrows are for the street again; whoever uses the keyboard stays there.
  root.addEventListener("click", (event) => {
    // Not event.target: an icon that the click has replaced is in no button any more.
    const button = event.composedPath().find((node) => node instanceof HTMLButtonElement);
    if (event.detail && button && !button.closest(".menu, .tabs, .message")) stage.element.focus({ preventScroll: true });
  });
  place.keys.addEventListener("keydown", /** @type {EventListener} */ (press));
  const over = (/** @type {DragEvent} */ event) => event.preventDefault();
  const drop = (/** @type {DragEvent} */ event) => {
    event.preventDefault();
    const file = event.dataTransfer?.files[0];
    if (file) saving.openFile(file);
  };
  root.addEventListener("dragover", over);
  root.addEventListener("drop", drop);

  // ---- The beginning

  async function start() {
    const told = place.state ?? saving.readLink();
    const begin = told ?? states.newState(scenes.models[0].name, scenes.names[0]);
    history = states.newHistory(begin);
    root.dataset.mode = mode;
    stage.setMode(mode, brush);
    tabs.open(tab);
    // The map, until there is a picture.
    const maps = mapsOf(begin);
    const data = new Uint8ClampedArray(maps.label.length * 4);
    maps.label.forEach((cls, p) => data.set([...classes[cls].color, 255], 4 * p));
    stage.show({ size: maps.size, data });
    try {
      model = await load(begin.model);
      stage.setCover(null);
      update();
    } catch (error) {
      stage.setCover(words.notLoaded(/** @type {Error} */ (error).message));
    }
  }
  const ready = start();

  return {
    ready,
    messages,
    /** The state that is shown. */
    state: () => history.now,
    destroy() {
      place.keys.removeEventListener("keydown", /** @type {EventListener} */ (press));
      saving.destroy();
      root.replaceChildren();
    },
  };
}
