// @ts-check
/**
 * Everything beside the picture: the bar, the card of the selected thing, the eight looks, the palette, the steps, and
 * what is under Mix, Borrow and Compare. Views hold no state of the street: they show what they are told.
 *
 * @typedef {import("./objects.js").Class} Class
 * @typedef {import("./pictures.js").Picture} Picture
 * @typedef {import("./words.js").Words} Words
 * @typedef {Record<string, (...values: any[]) => void>} Acts
 */
import { drawPicture, h, icon, iconButton, menu, segmented, slider } from "./dom.js";

/**
 * @param {Acts} acts
 * @param {Words} words
 * @param {{name: string, title: string}[]} models
 * @param {boolean} hasLink whether the address holds the street
 */
export function createBar(acts, words, models, hasLink) {
  const modes = segmented(
    words.modes,
    [
      ["point", words.point, "point"],
      ["paint", words.paint, "paint"],
    ],
    acts.mode,
  );
  const item = (/** @type {string} */ text, /** @type {() => void} */ onclick) =>
    h("button", { type: "button", onclick }, text);
  const select = h(
    "select",
    { "aria-label": words.model, onchange: () => acts.model(select.value) },
    ...models.map(({ name, title }) => h("option", { value: name }, title)),
  );
  const street = menu("street", words.street, [
    item(words.another, acts.another),
    item(words.empty, acts.empty),
    item(words.surprise, acts.surprise),
    models.length > 1 ? h("label", { class: "menu-row" }, h("span", {}, words.model), select) : null,
  ]);
  const save = menu("save", words.save, [
    item(words.savePicture, acts.savePicture),
    item(words.saveStreet, acts.saveStreet),
    item(words.saveSlide, acts.saveSlide),
    hasLink ? item(words.copyLink, acts.copyLink) : null,
    item(words.open, acts.open),
  ]);
  const keys = menu("keys", words.keys, [
    h("dl", { class: "keys" }, ...words.keyList.flatMap(([key, what]) => [h("dt", {}, key), h("dd", {}, what)])),
  ]);
  keys.classList.add("keys-menu");
  const undo = iconButton("undo", words.undo, acts.undo, "Z");
  const redo = iconButton("redo", words.redo, acts.redo, "Y");
  const element = h(
    "header",
    { class: "bar" },
    h("h1", { class: "brand" }, words.title),
    modes.element,
    h("div", { class: "group" }, undo, redo),
    h("div", { class: "space" }),
    h("div", { class: "group" }, street, save, keys),
  );
  return {
    element,
    /** @param {{mode: string, undo: boolean, redo: boolean, model: string}} view */
    update(view) {
      modes.set(view.mode);
      undo.disabled = !view.undo;
      redo.disabled = !view.redo;
      select.value = view.model;
    },
  };
}

/**
 * The name of what is selected, how much that is, and what can be done with it.
 * @param {Acts} acts
 * @param {Words} words
 */
export function createCard(acts, words) {
  const swatch = h("span", { class: "swatch" });
  const title = h("h2", {});
  const hint = h("p", { class: "hint" }, words.hintNothing);
  const scope = h("div", { class: "chips", role: "group", "aria-label": words.scope });
  const again = h("button", { type: "button", class: "primary", onclick: acts.again }, icon("again"), words.again);
  const lock = iconButton("unlock", words.lock, acts.lock, "L");
  const tools = [
    lock,
    iconButton("reset", words.reset, acts.reset),
    iconButton("copy", words.copyLook, acts.copy, "C"),
    iconButton("paste", words.pasteLook, acts.paste, "V"),
    iconButton("duplicate", words.duplicate, acts.duplicate, "D"),
    iconButton("front", words.front, acts.front, "F"),
    iconButton("remove", words.remove, acts.remove, "Delete"),
  ];
  const row = h("div", { class: "tools" }, ...tools);
  const element = h("section", { class: "card" }, h("div", { class: "title" }, swatch, title), scope, hint, again, row);
  return {
    element,
    /**
     * @param {{name: string, color: number[] | null, some: boolean, locked: boolean, copied: boolean,
     *   scopes: {words: string, on: boolean, act: () => void}[]}} view
     */
    update({ name, color, some, locked, copied, scopes }) {
      title.textContent = name;
      swatch.style.background = color ? `rgb(${color.join(",")})` : "";
      swatch.hidden = !color;
      hint.hidden = some;
      again.disabled = locked;
      lock.replaceChildren(icon(locked ? "lock" : "unlock"));
      lock.setAttribute("aria-label", locked ? words.unlock : words.lock);
      lock.setAttribute("aria-pressed", String(locked));
      lock.title = `${locked ? words.unlock : words.lock} (L)`;
      row.hidden = !some;
      tools[3].disabled = !copied || locked;
      tools[1].disabled = locked;
      scope.hidden = !some;
      // The chips stay the same elements, so that the focus is not lost.
      while (scope.children.length > scopes.length) scope.lastChild?.remove();
      scopes.forEach((choice, i) => {
        const chip = scope.children[i] ?? scope.appendChild(h("button", { type: "button" }));
        chip.textContent = choice.words;
        chip.setAttribute("aria-pressed", String(choice.on));
        /** @type {HTMLButtonElement} */ (chip).onclick = choice.act;
      });
    },
  };
}

/**
 * Eight small pictures to choose from.
 * @param {Acts} acts `keep(i)`, `more()`, `dragLook(i, event)`
 * @param {Words} words
 */
export function createCandidates(acts, words) {
  const tiles = Array.from({ length: 8 }, (_, i) => {
    const canvas = h("canvas", { width: 8, height: 8 });
    const tile = h(
      "button",
      { type: "button", class: "tile", "aria-label": words.candidate(i + 1), title: `${words.candidate(i + 1)} (${i + 1})`, onclick: () => acts.keep(i) },
      canvas,
    );
    tile.addEventListener("pointerdown", (event) => acts.dragLook(i, event));
    return { tile, canvas };
  });
  const more = h("button", { type: "button", class: "quiet", onclick: acts.more }, icon("more"), words.more);
  const element = h(
    "section",
    { class: "candidates", "aria-label": words.candidates },
    h("div", { class: "tiles" }, ...tiles.map(({ tile }) => tile)),
    more,
  );
  return {
    element,
    /** @param {boolean} off */
    setOff(off) {
      element.toggleAttribute("inert", off);
    },
    wait() {
      for (const { tile } of tiles) tile.classList.add("waiting");
    },
    /** @param {number} i @param {Picture} picture @param {number[]} box */
    draw(i, picture, box) {
      drawPicture(tiles[i].canvas, picture, box);
      tiles[i].tile.classList.remove("waiting");
    },
    /** @param {number} kept or -1 */
    mark(kept) {
      tiles.forEach(({ tile }, i) => tile.setAttribute("aria-pressed", String(i === kept)));
    },
  };
}

/**
 * The classes to paint with, and the size of the brush.
 * @param {Acts} acts
 * @param {Words} words
 * @param {Class[]} classes
 */
export function createPalette(acts, words, classes) {
  const hint = h("p", { class: "hint" });
  const buttons = classes.map((cls, i) => {
    const swatch = h("span", { class: "swatch" });
    swatch.style.background = `rgb(${cls.color.join(",")})`;
    return h("button", { type: "button", onclick: () => acts.paintClass(i) }, swatch, cls.name);
  });
  const size = slider(words.brush, { min: 2, max: 40, step: 1 }, acts.brushSize, String);
  const element = h(
    "section",
    { class: "palette", "aria-label": words.palette },
    h("div", { class: "colors", role: "group", "aria-label": words.palette }, ...buttons),
    size.element,
    hint,
  );
  return {
    element,
    /** @param {{cls: number, r: number, stamps: boolean}} view */
    update({ cls, r, stamps }) {
      buttons.forEach((button, i) => button.setAttribute("aria-pressed", String(i === cls)));
      size.set(r);
      hint.textContent = stamps ? words.hintStamp : words.hintPaint;
    },
  };
}

/**
 * A small picture for every step.
 * @param {Acts} acts `jump(steps)`
 * @param {Words} words
 */
export function createSteps(acts, words) {
  const element = h("nav", { class: "steps", "aria-label": words.history });
  /** @type {WeakMap<object, HTMLCanvasElement>} */
  const canvases = new WeakMap();
  return {
    element,
    /**
     * @param {object[]} states
     * @param {number} now
     * @param {(state: any) => Picture | undefined} find
     */
    update(states, now, find) {
      const first = Math.max(0, Math.min(now - 12, states.length - 24));
      const shown = states.slice(first, first + 24);
      const buttons = shown.map((state, i) => {
        let canvas = canvases.get(state);
        const picture = canvas ? undefined : find(state);
        if (!canvas) canvas = h("canvas", { width: 1, height: 1 });
        if (picture) {
          drawPicture(canvas, picture);
          canvases.set(state, canvas);
        }
        const label = words.step(first + i + 1);
        const onclick = () => acts.jump(first + i - now);
        const button = h("button", { type: "button", title: label, "aria-label": label, onclick }, canvas);
        if (first + i === now) button.setAttribute("aria-current", "step");
        return button;
      });
      element.replaceChildren(...buttons);
      const current = element.querySelector("[aria-current]");
      if (current instanceof HTMLElement) element.scrollLeft = current.offsetLeft - element.clientWidth / 2;
    },
  };
}

/**
 * Slides between two looks, directions, blocks.
 * @param {Acts} acts
 * @param {Words} words
 * @param {number} directions how many
 */
export function createMix(acts, words, directions) {
  const [from, to] = [h("canvas", { width: 8, height: 8 }), h("canvas", { width: 8, height: 8 })];
  const button = (/** @type {string} */ text, /** @type {() => void} */ onclick) =>
    h("button", { type: "button", class: "quiet", onclick }, text);
  const paste = button(words.paste, acts.pasteOther);
  const way = segmented(words.way, [["arc", words.arc], ["line", words.line]], acts.way);
  const t = slider(words.slide, { min: 0, max: 1, step: 0.01 }, acts.slide);
  const k = slider(words.blocks, { min: 0, max: 7, step: 1 }, acts.blocks, String);
  const ways = Array.from({ length: directions }, (_, i) =>
    slider(words.direction(i + 1), { min: -3, max: 3, step: 0.1 }, (value) => acts.direction(i, value), (v) => v.toFixed(1)),
  );
  const hint = h("p", { class: "hint" }, words.hintMix);
  const controls = h(
    "div",
    { class: "stack" },
    h(
      "div",
      { class: "pair" },
      h("figure", {}, from, h("figcaption", {}, words.thisLook)),
      h("figure", {}, to, h("figcaption", {}, words.otherLook)),
      h("div", { class: "stack" }, button(words.fresh, acts.freshOther), paste),
    ),
    t.element,
    way.element,
    k.element,
    h("hr"),
    ...ways.map(({ element }) => element),
  );
  const element = h("div", { class: "tab-body" }, hint, controls);
  return {
    element,
    from,
    to,
    /** @param {{some: boolean, look: import("./looks.js").Look | null, copied: boolean, blocks: number}} view */
    update({ some, look, copied, blocks }) {
      hint.hidden = some;
      controls.hidden = !some;
      if (!look) return;
      const other = look.b !== undefined;
      paste.disabled = !copied;
      t.range.disabled = !other;
      k.range.disabled = !other;
      k.range.max = String(blocks);
      to.classList.toggle("none", !other);
      way.set(look.line ? "line" : "arc");
      way.buttons.forEach((each) => (each.disabled = !other));
      t.set(look.t ?? 0);
      k.set(look.k ?? 0);
      ways.forEach((each, i) => each.set(look.d?.[i] ?? 0));
    },
  };
}

/**
 * A real street whose looks can be borrowed.
 * @param {Acts} acts
 * @param {Words} words
 * @param {HTMLElement} stage
 */
export function createBorrow(acts, words, stage) {
  const hint = h("p", { class: "hint" });
  const sigma = slider(words.uncertainty, { min: 0, max: 1.5, step: 0.05 }, acts.uncertainty);
  const row = h(
    "div",
    { class: "row" },
    iconButton("left", words.previous, () => acts.browse(-1)),
    h("div", { class: "space" }),
    iconButton("right", words.next, () => acts.browse(1)),
  );
  const body = h("div", { class: "stack" }, stage, row, sigma.element);
  const element = h("div", { class: "tab-body" }, hint, body);
  return {
    element,
    /** @param {{some: boolean, encodes: boolean, taken: boolean, sigma: number}} view */
    update(view) {
      hint.textContent = !view.encodes ? words.noEncoder : view.some ? words.hintBorrow : words.hintBorrowNothing;
      body.hidden = !view.encodes;
      sigma.range.disabled = !view.taken;
      sigma.set(view.sigma);
    },
  };
}

/**
 * What the last change did, inside and outside, and the same draw by the rivals.
 * @param {Acts} acts
 * @param {Words} words
 * @param {{name: string, title: string}[]} rivals
 */
export function createCompare(acts, words, rivals) {
  const number = () => h("output", {}, "–");
  const cells = [number(), number()];
  const heat = h("input", { type: "checkbox", onchange: () => acts.heat(heat.checked) });
  const load = h("button", { type: "button", class: "quiet", onclick: acts.rivals }, words.rivalsShow);
  const tiles = rivals.map(({ title }) => {
    const canvas = h("canvas", { width: 8, height: 8 });
    const text = h("span", { class: "numbers" });
    return { canvas, text, figure: h("figure", {}, canvas, h("figcaption", {}, title, text)) };
  });
  const pair = h("div", { class: "rivals", hidden: true }, ...tiles.map(({ figure }) => figure));
  const element = h(
    "div",
    { class: "tab-body stack" },
    h("h3", {}, words.change),
    h(
      "dl",
      { class: "change" },
      h("div", {}, h("dt", {}, words.inside), h("dd", {}, cells[0], ` ${words.of255}`)),
      h("div", {}, h("dt", {}, words.outside), h("dd", {}, cells[1], ` ${words.of255}`)),
    ),
    h("label", { class: "check" }, heat, words.heat),
    rivals.length ? h("h3", {}, words.rivals) : null,
    rivals.length ? load : null,
    pair,
  );
  const text = (/** @type {{inside: number, outside: number}} */ { inside, outside }) =>
    [inside, outside].map((value) => value.toFixed(1));
  return {
    element,
    /** @param {{inside: number, outside: number} | null} change */
    update(change) {
      const values = change ? text(change) : ["–", "–"];
      cells.forEach((cell, i) => (cell.textContent = values[i]));
    },
    showRivals() {
      load.hidden = true;
      pair.hidden = false;
    },
    /** @param {number} i @param {Picture} picture @param {{inside: number, outside: number} | null} change */
    drawRival(i, picture, change) {
      drawPicture(tiles[i].canvas, picture);
      const values = change ? text(change) : null;
      tiles[i].text.textContent = values ? `${words.inside} ${values[0]} · ${words.outside} ${values[1]}` : "";
    },
  };
}

/**
 * Tabs of which one is open, as the keyboard expects them.
 * @param {string} label
 * @param {[string, string, HTMLElement][]} tabs name, words, body
 * @param {(name: string) => void} opened
 */
export function createTabs(label, tabs, opened) {
  const buttons = tabs.map(([name, words]) =>
    h("button", { type: "button", role: "tab", value: name, onclick: () => open(name) }, words),
  );
  const list = h("div", { class: "tab-list", role: "tablist", "aria-label": label }, ...buttons);
  const bodies = tabs.map(([, words, body]) => {
    body.setAttribute("role", "tabpanel");
    body.setAttribute("aria-label", words);
    return body;
  });
  list.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    event.preventDefault();
    event.stopPropagation();
    const at = buttons.findIndex((button) => button === document.activeElement);
    const next = buttons[(at + step + buttons.length) % buttons.length];
    next.focus();
    next.click();
  });
  /** @param {string} name */
  function open(name) {
    buttons.forEach((button, i) => {
      const on = button.value === name;
      button.setAttribute("aria-selected", String(on));
      button.tabIndex = on ? 0 : -1;
      bodies[i].hidden = !on;
    });
    opened(name);
  }
  const element = h("section", { class: "tabs" }, list, ...bodies);
  return { element, open };
}

/** Messages that come and go. */
export function createMessages(/** @type {Words} */ words) {
  const text = h("span", {});
  const offer = h("button", { type: "button", class: "offer", hidden: true });
  const close = iconButton("close", words.close, () => hide());
  const element = h("div", { class: "message", role: "status", "aria-live": "polite", hidden: true }, text, offer, close);
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;
  function hide() {
    element.hidden = true;
  }
  return {
    element,
    hide,
    /**
     * @param {string} message
     * @param {boolean} [stays]
     * @param {{words: string, act: () => void} | null} [remedy] what a button beside the message does
     */
    show(message, stays = false, remedy = null) {
      text.textContent = message;
      offer.hidden = !remedy;
      offer.textContent = remedy?.words ?? "";
      offer.onclick = remedy?.act ?? null;
      element.hidden = false;
      clearTimeout(timer);
      if (!stays) timer = setTimeout(hide, 6000);
    },
  };
}
