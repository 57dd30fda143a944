import assert from "node:assert/strict";
import test from "node:test";
import { findObjects, neighbour, outline } from "../../../inade_lite/explorer/front/objects.js";
import { CLASSES, ID, STREET } from "./street.js";

const objects = findObjects(STREET, CLASSES);

test("a car is one object with its windows and wheels, a house with its roof and windows", () => {
  assert.deepEqual(objects.thingOf.get(ID.v).ids, [ID.C, ID.v, ID.O]);
  assert.deepEqual(objects.thingOf.get(ID.Q).ids, [ID.D, ID.u, ID.Q]);
  assert.deepEqual(objects.thingOf.get(ID.w).ids, [ID.H, ID.R, ID.w]);
  assert.equal(objects.things.length, 7);
});

test("things are numbered where there are several of a class, and have boxes", () => {
  const names = objects.things.map((thing) => thing.name);
  assert.deepEqual(names, ["sky", "grass", "road", "house", "car 1", "car 2", "person"]);
  assert.deepEqual(objects.thingOf.get(ID.C).box, [1, 10, 6, 14]);
  assert.equal(objects.thingOf.get(ID.P).area, 3);
});

test("a part that touches no owner is an object of its own, also in a map of one pixel", () => {
  const one = { size: 1, label: Uint8Array.of(7), instance: Uint16Array.of(3) };
  assert.deepEqual(findObjects(one, CLASSES).things.map((thing) => [thing.id, thing.name]), [[3, "wheel"]]);
});

test("the longest border wins", () => {
  // A window between two cars: two pixels of border with the left one, four with the right one.
  const map = ["AAAA", "AwwB", "BBBB", "BBBB"].join("");
  const label = Uint8Array.from([...map], (c) => ({ A: 6, B: 6, w: 5 })[c]);
  const instance = Uint16Array.from([...map], (c) => ({ A: 0, B: 1, w: 2 })[c]);
  const { thingOf } = findObjects({ size: 4, label, instance }, CLASSES);
  assert.equal(thingOf.get(2).id, 0);
});

test("arrows lead to the thing in that direction, or nowhere", () => {
  const car = objects.thingOf.get(ID.C);
  assert.equal(neighbour(objects.things, car, 1, 0).name, "car 2");
  assert.equal(neighbour(objects.things, objects.thingOf.get(ID["."]), 0, -1), undefined);
  assert.equal(neighbour(objects.things, car, 0, -1).name, "person");
  assert.ok(neighbour(objects.things, undefined, 1, 0));
});

test("an outline goes around pixels, also around holes and corners that touch", () => {
  const path = (rows) => outline(Uint16Array.from([...rows.join("")], Number), rows.length, (id) => id === 1);
  assert.equal(path(["00", "01"]), "M1 1L2 1L2 2L1 2Z");
  assert.equal(path(["111", "101", "111"]).match(/M/g).length, 2);
  assert.equal(path(["10", "01"]).match(/Z/g).length >= 1, true);
  assert.equal(path(["00", "00"]), "");
});
