// @ts-check
/**
 * The explorer: holds the history of the street, listens to the views, tells them what to show.
 *
 * The page and the notebook differ in what they hand in: an engine that paints, the streets, and what their place
 * offers besides.
 *
 * @typedef {import("./state.js").State} State
 * @typedef {import("./looks.js").Atom} Atom
 * @typedef {import("./looks.js").Look} Look
 * @typedef {import("./pictures.js").Picture} Picture
 * @typedef {import("./pictures.js").Model} Model
 * @typedef {import("./pictures.js").Request} Request
 * @typedef {import("./objects.js").Thing} Thing
 * @typedef {{main: Atom, parts: Record<number, Atom>}} Outfit the look of a thing and of its parts, by class
 *
 * @typedef {object} Place
 * @property {{load: (name: string, onProgress?: (done: number, all: number) => void) => Promise<any>,
 *   paint: (request: Request) => Promise<Uint8ClampedArray>,
 *   encode: (request: any) => Promise<{mu: Float32Array, logvar: Float32Array}>}} engine
 * @property {import("./scenes.js").Scenes} scenes
 * @property {import("./words.js").Words} words
 * @property {{read: () => string, write: (code: string) => void, address: () => string} | null} link
 * @property {(address: string, size: number) => Promise<Uint8ClampedArray>} readPicture
 * @property {(frames: Picture[], delay: number) => Promise<Blob>} animation
 * @property {Document | HTMLElement} keys what listens to the keyboard
 * @property {State | null} [state] to begin with
 * @property {(state: State) => void} [changed]
 */
import { decode, encode } from "./code.js";
import { drawPicture, h, squareAround } from "./dom.js";
import { download, enlarge, readStreet, writeStreet } from "./files.js";
import { atomOf, DIRECTIONS, flatten, gaussians, mix, plainDirections, SEEDS } from "./looks.js";
import { findObjects, neighbour } from "./objects.js";
import { createEditor, MOST, UNITS } from "./paint.js";
import * as panel from "./panel.js";
import { createPictures, difference, requestOf } from "./pictures.js";
import * as states from "./state.js";
import { createStage } from "./stage.js";

/** The models that stand beside the one that is chosen. */
const RIVALS = ["class_noise", "spade_vae"];

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
  let showHeat = false;
  let showRivals = false;
  const borrow = { at: 0, sigma: 0, seed: 1, thing: /** @type {Thing | null} */ (null), known: new Map() };

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
  /** @param {State} state */
  function objectsOf(state) {
    const maps = mapsOf(state);
    const objects = objectsOfMaps.get(maps) ?? findObjects(maps, classes);
    objectsOfMaps.set(maps, objects);
    return objects;
  }
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
    savePicture,
    saveStreet,
    saveSlide,
    copyLink,
    open: () => input.click(),
    again,
    lock: toggleLock,
    reset: () => change(states.resetLooks(history.now, chosenIds())),
    copy: () => {
      copied = outfitOf(history.now, chosenIds());
      update();
    },
    paste: () => {
      if (!copied) return messages.show(words.nothingCopied);
      change(dress(history.now, chosenIds(), copied));
    },
    duplicate,
    front: () => edit({ op: "front", ids: history.now.selected }),
    remove,
    keep: (i) => keep(i),
    more: () => {
      candidateSeed = seed();
      update();
    },
    dragLook: (i, event) => dragOutfit(event, () => outfitOf(candidate(i), chosenIds())),
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
      slideTo((id) => atomFor(history.now, ids, id, outfit));
    },
    browse: (step) => {
      borrow.at = (borrow.at + step + scenes.real.length) % scenes.real.length;
      borrow.thing = null;
      showReal();
      update();
    },
    uncertainty: (sigma) => {
      borrow.sigma = sigma;
      takeBorrowed("uncertainty");
    },
    heat: (on) => {
      showHeat = on;
      compare();
    },
    rivals: loadRivals,
  };

  const bar = panel.createBar(acts, words, scenes.models, link !== null);
  const card = panel.createCard(acts, words);
  const candidates = panel.createCandidates(acts, words);
  const palette = panel.createPalette(acts, words, classes);
  const steps = panel.createSteps(acts, words);
  const mixing = panel.createMix(acts, words, DIRECTIONS);
  const realStage = createStage(
    {
      pick: (id) => borrowFrom(id),
      mayDrag: () => false,
      drag() {},
      stroke() {},
      end() {},
      cancel() {},
    },
    {
      label: words.hintBorrow,
      nameOf: (id) => realObjects()?.thingOf.get(id)?.name ?? "",
      idsOf: (id) => realObjects()?.thingOf.get(id)?.ids ?? [],
    },
  );
  realStage.element.classList.add("small");
  const borrowing = panel.createBorrow(acts, words, realStage.element);
  const rivals = scenes.models.filter(({ name }) => RIVALS.includes(name));
  const comparing = panel.createCompare(acts, words, rivals);
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
      if (name === "borrow") showReal();
    },
  );
  const messages = panel.createMessages(words);
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
    if (file) openFile(file);
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
    borrow.thing = null;
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

  /**
   * The look of a thing and of its parts.
   * @param {State} state
   * @param {number[]} ids
   * @returns {Outfit}
   */
  function outfitOf(state, ids) {
    const { noiseDim, directions } = /** @type {Model} */ (model);
    const { classOf, thingOf } = objectsOf(state);
    const atom = (/** @type {number} */ id) => flatten(states.lookOf(state, id), noiseDim, directions);
    const main = ids.find((id) => thingOf.get(id)?.id === id) ?? ids[0];
    /** @type {Record<number, Atom>} */
    const parts = {};
    for (const id of ids) if (id !== main && thingOf.get(id)?.id !== id) parts[classOf.get(id) ?? 0] ??= atom(id);
    return { main: atom(main), parts };
  }

  /**
   * What an instance gets of an outfit; null for a part that has none there.
   * @param {State} state
   * @param {number[]} ids all that are dressed
   * @param {number} id
   * @param {Outfit} outfit
   */
  function atomFor(state, ids, id, { main, parts }) {
    const { classOf, thingOf } = objectsOf(state);
    const owner = thingOf.get(id)?.id;
    const isMain = owner === id || owner === undefined || !ids.includes(owner);
    return isMain ? main : (parts[classOf.get(id) ?? -1] ?? null);
  }

  /** @param {State} state @param {number[]} ids @param {Outfit} outfit */
  function dress(state, ids, outfit) {
    if (state === history.now && refuse()) return state;
    const looks = ids.flatMap((id) => {
      const a = atomFor(state, ids, id, outfit);
      return a === null ? [] : [/** @type {[number, Look]} */ ([id, { a }])];
    });
    return states.setLooks(state, looks);
  }

  /** @param {(id: number) => Atom | null} other */
  function slideTo(other) {
    const { noiseDim, directions } = /** @type {Model} */ (model);
    changeLooks((look, id) => {
      const b = other(id);
      return b === null ? look : { a: flatten(look, noiseDim, directions), b, t: 0, line: look.line ?? false };
    });
  }

  let dragged = false;
  /**
   * A look that is carried from a small picture to a thing in the large one.
   * @param {PointerEvent} event
   * @param {() => Outfit} outfit
   */
  function dragOutfit(event, outfit) {
    const from = /** @type {HTMLElement} */ (event.currentTarget);
    const picture = from instanceof HTMLCanvasElement ? from : from.querySelector("canvas");
    if (!picture || event.button !== 0) return;
    dragged = false;
    /** @type {HTMLCanvasElement | null} */
    let ghost = null;
    const move = (/** @type {PointerEvent} */ to) => {
      if (!ghost && Math.hypot(to.clientX - event.clientX, to.clientY - event.clientY) < 9) return;
      if (!ghost) {
        ghost = h("canvas", { class: "ghost", width: picture.width, height: picture.height });
        ghost.getContext("2d")?.drawImage(picture, 0, 0);
        root.append(ghost);
        dragged = true;
      }
      const room = root.getBoundingClientRect();
      ghost.style.left = `${to.clientX - room.left}px`;
      ghost.style.top = `${to.clientY - room.top}px`;
    };
    const stop = (/** @type {PointerEvent} */ to) => {
      removeEventListener("pointermove", move);
      removeEventListener("pointerup", stop);
      removeEventListener("pointercancel", stop);
      ghost?.remove();
      const box = stage.element.getBoundingClientRect();
      const over = to.clientX >= box.left && to.clientX < box.right && to.clientY >= box.top && to.clientY < box.bottom;
      // The click that follows this event is not meant for the small picture.
      setTimeout(() => (dragged = false));
      if (!ghost || !over || to.type !== "pointerup") return;
      const worn = outfit();
      const thing = objectsOf(history.now).thingOf.get(stage.idAt(to));
      if (!thing) return;
      const next = states.select(history.now, thing.ids);
      pictures.alias(next, history.now);
      if (thing.ids.every((id) => next.locked.includes(id))) return messages.show(words.locked(thing.name));
      change(dress(next, thing.ids, worn));
    };
    addEventListener("pointermove", move);
    addEventListener("pointerup", stop);
    addEventListener("pointercancel", stop);
  }
  for (const [canvas, t] of /** @type {[HTMLCanvasElement, number][]} */ ([
    [mixing.from, 0],
    [mixing.to, 1],
  ])) {
    canvas.addEventListener("pointerdown", (event) => dragOutfit(event, () => outfitOf(atEnd(t), chosenIds())));
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
    if (dragged || refuse() || mode !== "point") return;
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
    candidates.mark(eight.findIndex((state) => sameLooks(state, now, chosenIds())));
  }

  /** @param {State} a @param {State} b @param {number[]} ids */
  function sameLooks(a, b, ids) {
    return ids.every((id) => JSON.stringify(states.lookOf(a, id)) === JSON.stringify(states.lookOf(b, id)));
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
    if (history.now.selected.includes(id)) {
      return history.now.selected.every((each) => !isBackground(objectsOf(history.now).thingOf.get(each)));
    }
    return !isBackground(objectsOf(history.now).thingOf.get(id));
  }

  /** What fills the street from side to side stays where it is. @param {Thing | undefined} thing */
  function isBackground(thing) {
    if (!thing) return true;
    const stuff = !classes[thing.classId]?.thing;
    return stuff && thing.box[2] - thing.box[0] >= size() * 0.9;
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

  /** @type {Map<string, {scene: string, ids: number[], box: number[], area: number}[]>} */
  const stampsOf = new Map();
  /** Whole things of a class in the streets that are known. @param {number} cls */
  function stamps(cls) {
    const key = `${size()} ${cls}`;
    const known = stampsOf.get(key);
    if (known) return known;
    const found = scenes.names.flatMap((scene) => {
      const base = scenes.baseOf(scene, size());
      if (!base) return [];
      return findObjects(base, classes)
        .things.filter(({ classId, box }) => classId === cls && box[0] > 0 && box[2] < base.size && box[1] > 0)
        .filter((thing) => !(classes[cls].partOf ?? []).length && !isBackground(thing) && thing.box[3] < base.size)
        .map(({ ids, box, area }) => ({ scene, ids, box, area }));
    });
    // Those that something covers are smaller.
    const areas = found.map(({ area }) => area).sort((a, b) => a - b);
    const whole = found.filter(({ area }) => area >= (areas[Math.floor(areas.length / 2)] ?? 0));
    stampsOf.set(key, whole);
    return whole;
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

  // ---- Looks of real streets

  const realName = () => scenes.real[borrow.at];
  function realObjects() {
    const base = scenes.baseOf(realName(), size());
    if (!base) return null;
    const objects = objectsOfMaps.get(base) ?? findObjects(base, classes);
    objectsOfMaps.set(base, objects);
    return objects;
  }

  async function showReal() {
    const name = realName();
    const base = name && scenes.baseOf(name, size());
    const address = name && scenes.pictureOf(name, size());
    if (!base || !address) return;
    realStage.setMaps(base);
    realStage.setSelected(borrow.thing?.ids ?? []);
    try {
      const data = await place.readPicture(address, base.size);
      if (name === realName()) realStage.show({ size: base.size, data });
    } catch (error) {
      messages.show(words.failed(/** @type {Error} */ (error).message));
    }
  }

  /** @param {number} id */
  async function borrowFrom(id) {
    const thing = realObjects()?.thingOf.get(id);
    const name = realName();
    const base = scenes.baseOf(name, size());
    const address = scenes.pictureOf(name, size());
    if (!thing || !base || !address || !model) return;
    if (!history.now.selected.length) return messages.show(words.hintBorrowNothing);
    borrow.thing = thing;
    borrow.seed = seed();
    realStage.setSelected(thing.ids);
    try {
      const key = `${model.name} ${name}`;
      if (!borrow.known.has(key)) {
        const data = await place.readPicture(address, base.size);
        const pixels = base.size ** 2;
        const rgb = new Float32Array(3 * pixels);
        for (let i = 0; i < 3 * pixels; i++) rgb[i] = data[4 * (i % pixels) + Math.floor(i / pixels)] / 127.5 - 1;
        const { label, instance, count } = base;
        borrow.known.set(key, await engine.encode({ rgb, label, instance, count, model: model.name }));
      }
      takeBorrowed(null);
    } catch (error) {
      messages.show(words.failed(/** @type {Error} */ (error).message));
    }
  }

  /** @param {string | null} tag */
  function takeBorrowed(tag) {
    const told = borrow.known.get(`${model?.name} ${realName()}`);
    const objects = realObjects();
    if (!told || !borrow.thing || !objects || !model || !history.now.selected.length) return update();
    const row = 2 * model.noiseDim;
    const atom = (/** @type {number} */ id) => {
      const wobble = gaussians(mix(borrow.seed, id), row);
      const first = id * row;
      const numbers = wobble.map(
        (value, i) => told.mu[first + i] + borrow.sigma * Math.exp(told.logvar[first + i] / 2) * value,
      );
      return atomOf(numbers);
    };
    const [main, ...others] = borrow.thing.ids;
    const parts = Object.fromEntries(others.map((id) => [objects.classOf.get(id) ?? 0, atom(id)]));
    change(dress(history.now, chosenIds(), { main: atom(main), parts }), tag);
  }

  // ---- What a change did

  /** Whether a pixel was meant by the last step. @param {State} before @param {State} after @param {number} side */
  function meant(before, after, side) {
    const [old, now] = [mapsAt(before, side), mapsAt(after, side)];
    const ids = new Set();
    for (let id = 0; id < Math.max(old.count, now.count); id++) if (!sameLooks(before, after, [id])) ids.add(id);
    return (/** @type {number} */ p) => ids.has(now.instance[p]) || old.instance[p] !== now.instance[p];
  }

  async function compare() {
    const { now } = history;
    const before = history.past.at(-1);
    if (!model || tab !== "compare" || mode !== "point") return stage.setHeat(null);
    if (!before || before.model !== now.model) {
      comparing.update(null);
      return stage.setHeat(null);
    }
    const both = await Promise.all([before, now].map((state) => pictures.later(state, /** @type {Model} */ (model), "compare")));
    if (history.now !== now || tab !== "compare" || !both[0] || !both[1]) return;
    const told = difference(both[0], both[1], meant(before, now, both[0].size));
    comparing.update(told);
    stage.setHeat(showHeat ? { size: both[0].size, map: told.map } : null);
    if (!showRivals) return;
    rivals.forEach(async ({ name }, i) => {
      const rival = models.get(name);
      if (!rival) return;
      const two = await Promise.all([before, now].map((state) => pictures.later(state, rival, "compare")));
      if (history.now !== now || !two[0] || !two[1]) return;
      comparing.drawRival(i, two[1], difference(two[0], two[1], meant(before, now, rival.size)));
    });
  }

  async function loadRivals() {
    try {
      for (const { name } of rivals) await load(name);
      showRivals = true;
      comparing.showRivals();
      if (history.past.length) compare();
      else {
        rivals.forEach(async ({ name }, i) => {
          const picture = await pictures.later(history.now, /** @type {Model} */ (models.get(name)), "compare");
          if (picture) comparing.drawRival(i, picture, null);
        });
      }
    } catch (error) {
      messages.show(words.notLoaded(/** @type {Error} */ (error).message));
    }
    stage.setCover(null);
  }

  // ---- Files and links

  async function currentPicture() {
    return pictures.later(history.now, /** @type {Model} */ (model), "save");
  }

  async function savePicture() {
    const picture = await currentPicture();
    if (!picture) return;
    const canvas = h("canvas", {});
    drawPicture(canvas, enlarge(picture, Math.max(1, Math.round(512 / picture.size))));
    canvas.toBlob((blob) => blob && download(blob, "street.png"));
  }

  function saveStreet() {
    const { now } = history;
    const current = /** @type {Model} */ (model);
    const base = /** @type {import("./paint.js").Base} */ (scenes.baseOf(now.scene, current.size));
    const text = writeStreet(now, base, requestOf(now, current, mapsOf(now)), classes);
    download(new Blob([text], { type: "application/json" }), "street.json");
  }

  /** @param {File} file */
  async function openFile(file) {
    try {
      if (file.size > 20e6) throw new Error(`${Math.round(file.size / 1e6)} MB`);
      const names = scenes.models.map(({ name }) => name);
      const { state, base } = readStreet(await file.text(), { models: names, scenes: scenes.known(), classes });
      let scene = state.scene;
      const known = scenes.baseOf(scene, base.size);
      const same = known?.label.every((cls, p) => cls === base.label[p] && known.instance[p] === base.instance[p]);
      if (!same) {
        scene = `file ${seed()}`;
        scenes.add(scene, base);
      }
      if (state.model !== model?.name) model = await load(state.model);
      stage.setCover(null);
      change({ ...state, scene });
      messages.show(words.opened);
    } catch (error) {
      messages.show(words.badFile(/** @type {Error} */ (error).message));
    }
  }

  async function saveSlide() {
    const { now } = history;
    const current = /** @type {Model} */ (model);
    const ids = chosenIds();
    const hasOther = ids.some((id) => states.lookOf(now, id).b !== undefined);
    const { noiseDim, directions } = current;
    const frames = [];
    const count = 24;
    try {
      for (let i = 0; i < count; i++) {
        // There and back, slower at the ends.
        const t = (1 - Math.cos((2 * Math.PI * i) / count)) / 2;
        const at = Math.round(t * 1000) / 1000;
        const state = states.changeLooks(now, ids, (look, id) =>
          hasOther
            ? { ...look, t: look.b === undefined ? look.t : at }
            : { a: flatten(look, noiseDim, directions), b: mix(mix(candidateSeed, 0), id), t: at },
        );
        const picture = await pictures.later(state, current, "slide");
        if (!picture) return;
        frames.push(enlarge(picture, Math.max(1, Math.round(384 / picture.size))));
        messages.show(words.saving(i + 1, count));
      }
      const blob = await place.animation(frames, 80);
      download(blob, blob.type.includes("gif") ? "street.gif" : "street.webm");
      messages.hide();
    } catch (error) {
      messages.show(`${words.noAnimation} (${/** @type {Error} */ (error).message})`);
    }
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

  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let linkTimer;
  function writeLink() {
    clearTimeout(linkTimer);
    // A street that came from a file is not in the address: nobody else has its maps.
    if (link && scenes.names.concat(states.EMPTY).includes(history.now.scene)) link.write(encode(history.now));
  }

  /** @returns {State | null} */
  function readLink() {
    const code = link?.read();
    if (!code) return null;
    const names = scenes.models.map(({ name }) => name);
    try {
      return states.checkState(decode(code), { models: names, scenes: scenes.known(), classes: classes.length, most: MOST });
    } catch (error) {
      messages.show(words.badCode(/** @type {Error} */ (error).message), true);
      return null;
    }
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
      if (!gesture) steps.update([...history.past, history.now, ...history.future], history.past.length, find);
    } catch (error) {
      messages.show(words.failed(/** @type {Error} */ (error).message), true);
    }
  }
  const find = (/** @type {State} */ state) => (model ? pictures.find(state, model) : undefined);

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
    borrowing.update({
      some,
      encodes: Boolean(model?.encodes && model.level === "instance" && scenes.real.length),
      taken: borrow.thing !== null && some,
      sigma: borrow.sigma,
    });
    compare().catch((error) => messages.show(words.failed(error.message)));
    steps.update([...history.past, history.now, ...history.future], history.past.length, find);
    clearTimeout(linkTimer);
    linkTimer = setTimeout(writeLink, 300);
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
    const button = event.target instanceof Element ? event.target.closest("button") : null;
    if (event.detail && button && !button.closest(".menu, .tabs, .message")) stage.element.focus({ preventScroll: true });
  });
  place.keys.addEventListener("keydown", /** @type {EventListener} */ (press));
  const over = (/** @type {DragEvent} */ event) => event.preventDefault();
  const drop = (/** @type {DragEvent} */ event) => {
    event.preventDefault();
    const file = event.dataTransfer?.files[0];
    if (file) openFile(file);
  };
  root.addEventListener("dragover", over);
  root.addEventListener("drop", drop);

  // ---- The beginning

  async function start() {
    const told = place.state ?? readLink();
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
      clearTimeout(linkTimer);
      root.replaceChildren();
    },
  };
}
