import assert from "node:assert/strict";
import test from "node:test";
import { decode, encode } from "../../../inade_lite/explorer/front/code.js";
import * as s from "../../../inade_lite/explorer/front/state.js";

const start = s.newState("inade", "17", 5);
const KNOWN = { models: ["inade"], scenes: ["17", "empty"], classes: 9, most: 1000 };
const busy = {
  ...start,
  latent: 9,
  looks: { 3: { a: 12 }, 900: { a: "AAECAwQFBgc=", b: 7, t: 0.25, line: false, k: 3, d: [0, -1.5, 0, 3] }, 4: { a: 1, line: true } },
  locked: [3, 8],
  selected: [8, 3, 900],
  edits: [
    { op: "stroke", id: 20, cls: 6, r: 12, at: [10, 20, 5, 250, -3, 260] },
    { op: "stamp", scene: "empty", ids: [2, 1], id: 21, dx: -40, dy: 3 },
    { op: "copy", ids: [20], id: 23, dx: 4, dy: 0 },
    { op: "move", ids: [23, 20], dx: 4, dy: -255 },
    { op: "delete", ids: [1] },
    { op: "front", ids: [2] },
  ],
};

test("a draw changes what it was given and nothing that is locked", () => {
  const locked = s.lock(start, [2], true);
  const next = s.setLooks(locked, s.drawn([1, 2], 77));
  assert.notDeepEqual(s.lookOf(next, 1), s.lookOf(start, 1));
  for (const id of [0, 2, 3]) assert.deepEqual(s.lookOf(next, id), s.lookOf(start, id));
  const all = s.redrawAll(locked, 6);
  assert.deepEqual(s.lookOf(all, 2), s.lookOf(start, 2));
  assert.notDeepEqual(s.lookOf(all, 1), s.lookOf(start, 1));
  assert.equal(all.latent, start.latent);
  assert.equal(s.setLooks(locked, s.drawn([2], 1)), locked);
  assert.deepEqual(s.lookOf(s.resetLooks(next, [1]), 1), s.lookOf(start, 1));
});

test("undo and redo go through everything and lose nothing", () => {
  let history = s.newHistory(start);
  const states = [start];
  for (const next of [s.setLooks(start, s.drawn([1], 4)), s.lock(start, [1], true), busy, s.openScene(busy, "empty", 3)]) {
    history = s.push(history, next);
    states.push(next);
  }
  for (let i = 3; i >= 0; i--) {
    history = s.go(history, -1);
    assert.equal(history.now, states[i]);
  }
  assert.equal(s.go(history, -1), history);
  assert.equal(s.go(history, 4).now, states[4]);
  assert.equal(s.go(history, 99).now, states[4]);
  const branch = s.push(history, s.setLooks(start, s.drawn([2], 4)));
  assert.equal(branch.future.length, 0);
});

test("what is selected makes no step, one gesture makes one", () => {
  let history = s.push(s.newHistory(start), s.select(start, [4]));
  assert.equal(history.past.length, 0);
  for (const t of [0.1, 0.2, 0.3]) {
    history = s.push(history, s.changeLooks(history.now, [4], (look) => ({ ...look, b: 2, t })), "slide");
  }
  assert.equal(history.past.length, 1);
  history = s.push(history, s.toggle(history.now, [5]));
  history = s.push(history, s.changeLooks(history.now, [4], (look) => ({ ...look, t: 1 })), "slide");
  assert.equal(history.past.length, 2);
  assert.deepEqual(s.toggle(history.now, [5, 4]).selected, []);
});

test("states are never changed in place", () => {
  const freeze = (x) => Object.isFrozen(x) || (Object.freeze(x), Object.values(x ?? {}).forEach((y) => typeof y === "object" && freeze(y)));
  const frozen = structuredClone(busy);
  freeze(frozen);
  s.setLooks(frozen, s.drawn([1], 3));
  s.redrawAll(frozen, 2);
  s.lock(frozen, [5], true);
  s.toggle(frozen, [5]);
  s.addEdit(frozen, frozen.edits[0]);
  s.openScene(frozen, "17", 2);
  s.resetLooks(frozen, [3]);
});

test("a code is short and brings everything back", () => {
  assert.deepEqual(decode(encode(busy)), busy);
  assert.deepEqual(decode(encode(start)), start);
  const oneCar = s.select(s.setLooks(start, s.drawn([14, 7, 17], 12345)), [14, 7, 17]);
  assert.ok(encode(oneCar).length < 60, encode(oneCar));
  assert.match(encode(busy), /^[\w-]+$/);
});

test("a code that was cut off or mistyped is refused, whatever is wrong with it", () => {
  const code = encode(busy);
  for (let end = 0; end < code.length; end++) assert.throws(() => decode(code.slice(0, end)), s.BadState);
  for (let i = 0; i < code.length; i += 3) {
    const wrong = code.slice(0, i) + (code[i] === "A" ? "B" : "A") + code.slice(i + 1);
    assert.throws(() => s.checkState(decode(wrong), KNOWN), s.BadState);
  }
  for (const wrong of ["", "hello", "ü", "%%%", "A".repeat(5000)]) assert.throws(() => decode(wrong), s.BadState);
});

test("what comes from outside is checked, and a right state passes unchanged", () => {
  assert.deepEqual(s.checkState(busy, KNOWN), busy);
  const wrong = [
    null, [], 3, "x", {}, { ...busy, version: 2 }, { ...busy, model: "other" }, { ...busy, scene: "99" }, { ...busy, seed: -1 },
    { ...busy, selected: [10000] }, { ...busy, locked: "3" }, { ...busy, looks: { x: { a: 1 } } }, { ...busy, looks: { 3: {} } },
    { ...busy, looks: { 10000: { a: 1 } } }, { ...busy, looks: { 3: { a: "<b>" } } }, { ...busy, looks: { 3: { a: 1, t: 2 } } },
    { ...busy, looks: { 3: { a: 1, d: [NaN] } } }, { ...busy, edits: [{ op: "stroke", id: 5, cls: 9, r: 3, at: [1, 2] }] },
    { ...busy, edits: [{ op: "stroke", id: 5, cls: 1, r: 3, at: [1] }] }, { ...busy, edits: [{ op: "burn", ids: [1] }] },
    { ...busy, edits: [{ op: "move", ids: [1], dx: 1e9, dy: 0 }] }, { ...busy, edits: [{ op: "copy", ids: [1, 2], id: 999, dx: 0, dy: 0 }] },
    { ...busy, edits: [null] }, { ...busy, edits: [{ op: "stamp", scene: "no", ids: [1], id: 2, dx: 0, dy: 0 }] },
  ];
  for (const value of wrong) assert.throws(() => s.checkState(value, KNOWN), s.BadState, JSON.stringify(value));
});
