import assert from "node:assert/strict";
import test from "node:test";
import { apply, createEditor, emptyStreet, plain, sweep } from "../../../inade_lite/explorer/front/paint.js";
import { CLASSES, ID, letters, STREET } from "./street.js";

const none = () => undefined;
const street = plain(STREET);
const CAR = [ID.C, ID.v, ID.O];
const PIXEL = 16; // units

test("what is deleted shows what lies behind: the road, the house and the grass", () => {
  const rows = letters(apply(apply(street, { op: "delete", ids: CAR }, none), { op: "delete", ids: [ID.P] }, none));
  assert.equal(rows[10], "rrrrrrrrrrrDDDrr");
  assert.equal(rows[13], "rrrrrrrrrrrQrQrr");
  assert.equal(rows[6], ".HHHHH..........");
  assert.equal(rows[7], "gHHHHHgggggggggg");
  assert.equal(rows[8], "gggggggggggggggg");
});

test("behind a deleted house the horizon goes on", () => {
  const rows = letters(apply(street, { op: "delete", ids: [ID.H, ID.R, ID.w] }, none));
  assert.equal(rows[3], "................");
  assert.equal(rows[7].replace("P", "g"), "gggggggggggggggg");
});

test("in a corner, too, the horizon goes on: what is at the side counts more than what is above", () => {
  const rows = ["......", "TT....", "TT....", "TTgggg", "TTgggg", "TTgggg"].join("");
  const instance = Uint16Array.from([...rows], (letter) => ({ ".": 0, g: 1, T: 2 })[letter]);
  const corner = plain({ size: 6, label: Uint8Array.from(instance), instance, count: 3 });
  const { instance: filled } = apply(corner, { op: "delete", ids: [2] }, none);
  assert.deepEqual([...filled], [...rows].map((letter, p) => (letter === "g" || p >= 18 ? 1 : 0)));
});

test("what is dragged moves, and dragged back nothing is lost", () => {
  const there = apply(street, { op: "move", ids: CAR, dx: 6 * PIXEL, dy: 2 * PIXEL }, none);
  assert.equal(letters(there)[10], "rrrrrrrrrrrDDDrr");
  assert.equal(letters(there)[12], "rrrrrrrrCCCDDDDr".replace("DDDDr", "DDDDr"));
  const out = apply(there, { op: "move", ids: CAR, dx: -300, dy: 0 }, none);
  assert.ok(!out.instance.includes(ID.C));
  const back = apply(out, { op: "move", ids: CAR, dx: 300 - 6 * PIXEL, dy: -2 * PIXEL }, none);
  assert.deepEqual(letters(back), letters(street));
});

test("a copy has new ids and the classes of its parts", () => {
  const copy = apply(street, { op: "copy", ids: CAR, id: 20, dx: 4 * PIXEL, dy: 0 }, none);
  assert.equal(letters(copy, { 20: "X", 21: "x", 22: "o" })[11], "rCCvCXXxXXDDuDDr");
  assert.equal(copy.count, 23);
  assert.equal(copy.label[11 * 16 + 7], 5);
  const again = apply(copy, { op: "copy", ids: [20], id: 30, dx: 0, dy: -5 * PIXEL }, none);
  assert.equal(again.instance.filter((id) => id === 30).length, copy.instance.filter((id) => id === 20).length);
});

test("to the front: what covered it is covered", () => {
  const covered = apply(street, { op: "stroke", id: 13, cls: 1, r: 8, at: [72, 180] }, none);
  assert.equal(covered.instance[11 * 16 + 4], 13);
  const front = apply(covered, { op: "front", ids: CAR }, none);
  assert.equal(front.instance[11 * 16 + 4], ID.C);
});

test("a stroke is an instance, and can extend one; a stamp takes things of another street", () => {
  const stroke = apply(street, { op: "stroke", id: 13, cls: 6, r: 8, at: [8, 8, 120, 8] }, none);
  assert.equal(letters(stroke, { 13: "X" })[0], "XXXXXXXX........");
  const longer = apply(stroke, { op: "stroke", id: 13, cls: 6, r: 8, at: [136, 8] }, none);
  assert.equal(letters(longer, { 13: "X" })[0], "XXXXXXXXX.......");
  assert.equal(longer.count, 14);
  const stamp = apply(street, { op: "stamp", scene: "x", ids: CAR, id: 40, dx: 0, dy: -10 * PIXEL }, () => STREET);
  assert.equal(letters(stamp, { 40: "X", 41: "x", 42: "o" })[1], ".XXxXX..........");
});

test("the smallest brush paints the pixel under it, a brush outside paints nothing", () => {
  assert.deepEqual(sweep([130, 130], 1, 16), [8 * 16 + 8]);
  assert.deepEqual(sweep([-900, 5], 10, 16), []);
});

test("the editor gives the same maps as edit after edit, and reuses them", () => {
  const mapsOf = createEditor(none);
  const edits = [
    { op: "move", ids: CAR, dx: 32, dy: 0 },
    { op: "stroke", id: 13, cls: 0, r: 20, at: [40, 40, 200, 200] },
    { op: "delete", ids: [ID.D] },
  ];
  const all = mapsOf(STREET, edits);
  assert.deepEqual(letters(all), letters(edits.reduce((maps, edit) => apply(maps, edit, none), street)));
  assert.equal(mapsOf(STREET, [...edits]), all);
  assert.deepEqual(letters(mapsOf(STREET, [])), letters(street));
});

test("the last thing cannot leave a hole, and an empty street has its bands", () => {
  const one = plain({ size: 2, label: new Uint8Array(4), instance: new Uint16Array(4), count: 1 });
  assert.deepEqual(apply(one, { op: "delete", ids: [0] }, none).instance, new Uint16Array(4));
  const empty = emptyStreet(CLASSES, 10);
  assert.deepEqual([empty.label[0], empty.label[50], empty.label[99]], [0, 1, 2]);
  assert.equal(emptyStreet([{ name: "dot" }], 4).count, 1);
});
