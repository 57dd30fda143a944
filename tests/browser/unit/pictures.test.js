import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test from "node:test";
import { enlarge, readStreet, writeStreet } from "../../../inade_lite/explorer/front/files.js";
import { mix } from "../../../inade_lite/explorer/front/looks.js";
import { createPictures, difference, requestOf } from "../../../inade_lite/explorer/front/pictures.js";
import { readScenes } from "../../../inade_lite/explorer/front/scenes.js";
import * as s from "../../../inade_lite/explorer/front/state.js";
import { CLASSES, STREET } from "./street.js";

const MODEL = { name: "m", size: 16, noiseDim: 4, latentDim: 5, blocks: 3, level: "instance", encodes: true, directions: new Float32Array(0) };
const state = s.newState("m", "17", 5);

test("the noise of a state is the recorded one, which Python makes, too", () => {
  const told = JSON.parse(readFileSync(new URL("noise.json", import.meta.url), "utf8"));
  const model = { ...MODEL, directions: Float32Array.from(told.directions) };
  const close = (a, b) => assert.ok(a.length === b.length && a.every((x, i) => Math.abs(x - b[i]) < 2e-6));
  const { noise, latent } = requestOf(told.state, model, { count: 5 });
  close(noise, told.noise);
  close(latent, told.latent_instance);
  close(requestOf(told.state, { ...model, level: "image" }, { count: 5 }).latent, told.latent_image);
  const street = { label: Uint8Array.of(0, 0, 1, 1, 1), instance: Uint16Array.of(0, 1, 2, 3, 4), count: 5 };
  const { 1: _, ...looks } = told.state.looks;
  close(requestOf({ ...told.state, looks }, { ...model, level: "class" }, street).noise, told.noise_class);
  for (const [a, b, seed] of told.seeds) assert.equal(mix(a, b), seed);
});

test("a draw for one instance is a draw for its class where a class has one noise", () => {
  const model = { ...MODEL, level: "class" };
  const noise = (looks) => requestOf({ ...state, looks }, model, STREET).noise.slice(8 * 8, 10 * 8);
  const drawn = noise({ 9: { a: 4 } });
  assert.notDeepEqual(drawn, noise({}));
  assert.deepEqual(drawn.slice(0, 8), drawn.slice(8));
  assert.notDeepEqual(noise({ 8: { a: 4 }, 9: { a: 4 } }), noise({ 8: { a: 4 }, 9: { a: 5 } }));
});

test("one request at a time; the street before the small pictures; of the street only the newest", async () => {
  const order = [];
  let under = 0;
  const paint = async ({ noise }) => {
    assert.equal(++under, 1);
    await new Promise((done) => setTimeout(done, 2));
    order.push(noise[0]);
    under -= 1;
    return new Uint8ClampedArray(4);
  };
  const pictures = createPictures({ paint }, () => STREET);
  const many = Array.from({ length: 6 }, (_, i) => s.newState("m", "17", 100 + i));
  const first = (x) => requestOf(x, MODEL, STREET).noise[0];
  const small = many.slice(0, 3).map((x) => pictures.later(x, MODEL, "a"));
  const [old, newest] = [pictures.show(many[3], MODEL), pictures.show(many[4], MODEL)];
  pictures.drop("b");
  assert.equal(await old, null);
  assert.ok(await newest);
  await Promise.all(small);
  assert.deepEqual(order, [many[0], many[4], many[1], many[2]].map(first));
  assert.ok(pictures.find(many[4], MODEL));
  await pictures.later(many[4], MODEL, "a");
  assert.equal(order.length, 4);
  const dropped = [pictures.later(many[5], MODEL, "c"), pictures.later(s.newState("m", "17", 1), MODEL, "c")];
  pictures.drop("c");
  assert.equal(await dropped[1], null);
});

test("an engine that fails is told, and the next picture is painted", async () => {
  let fail = true;
  const paint = async () => {
    if (fail) throw new Error("no");
    return new Uint8ClampedArray(4);
  };
  const pictures = createPictures({ paint }, () => STREET);
  await assert.rejects(pictures.show(state, MODEL), /no/);
  fail = false;
  assert.ok(await pictures.show(state, MODEL));
});

test("difference inside and outside", () => {
  const picture = (...values) => ({ size: 2, data: Uint8ClampedArray.from(values.flatMap((v) => [v, v, v, 255])) });
  const { inside, outside, map } = difference(picture(0, 10, 20, 30), picture(90, 10, 20, 33), (p) => p === 0);
  assert.deepEqual([inside, outside, [...map]], [90, 1, [90, 0, 0, 3]]);
});

test("pictures are enlarged pixel by pixel", () => {
  const data = new Uint8ClampedArray(16).map((_, i) => i);
  const large = enlarge({ size: 2, data }, 3);
  assert.equal(large.size, 6);
  assert.deepEqual([...large.data.slice(4 * 9, 4 * 9 + 8)], [4, 5, 6, 7, 4, 5, 6, 7].map((v, i) => (i < 8 ? v : 0)));
});

const known = { models: ["m"], scenes: ["17", "empty"], classes: CLASSES };
const text = writeStreet(state, STREET, requestOf(state, MODEL, STREET), CLASSES);

test("a saved street comes back", () => {
  const back = readStreet(text, known);
  assert.deepEqual(back.state, state);
  assert.deepEqual(back.base, STREET);
});

test("a wrong file says what is wrong", () => {
  const changed = (change) => {
    const file = JSON.parse(text);
    change(file);
    return JSON.stringify(file);
  };
  const big = Buffer.from(Uint16Array.from({ length: 256 }, (_, i) => i * 40).buffer).toString("base64");
  const cases = [
    ["", /JSON/], ["{}", /format/], ["[1]", /format/], ["null", /format/], [text.slice(0, 500), /JSON/],
    [changed((f) => (f.size = 1)), /1 × 1/],
    [changed((f) => (f.size = 32)), /another size/],
    [changed((f) => (f.base = null)), /maps/],
    [changed((f) => (f.base.label = "%")), /maps/],
    [changed((f) => (f.base.instance = big)), /instances/],
    [changed((f) => (f.classes[3] = "dragon")), /dragon/],
    [changed((f) => (f.base.label = Buffer.alloc(256, 99).toString("base64"))), /class/],
    [changed((f) => (f.state.model = "other")), /model/],
    [changed((f) => (f.state.selected = [10000])), /instances/],
    [changed((f) => delete f.state), /street/],
  ];
  for (const [wrong, message] of cases) assert.throws(() => readStreet(wrong, known), message, String(wrong).slice(0, 80));
});

test("streets are read packed or plain, and scaled where a size has none", async () => {
  const { deflateSync } = await import("node:zlib");
  const label = deflateSync(STREET.label).toString("base64");
  const instance = Buffer.from(STREET.instance.buffer).toString("base64");
  const json = { classes: CLASSES, models: [], size: 16, scenes: [{ name: "a", label, instance, picture: "a.png" }] };
  const scenes = await readScenes(json);
  assert.deepEqual(scenes.baseOf("a", 16), STREET);
  const large = scenes.baseOf("a", 32);
  assert.equal(large.instance[32 * 22 + 7], STREET.instance[16 * 11 + 3]);
  assert.equal(large.count, 13);
  assert.equal(scenes.baseOf("no", 16), undefined);
  assert.ok(scenes.baseOf("empty", 16));
  assert.deepEqual([scenes.names, scenes.real], [["a"], ["a"]]);
  assert.deepEqual(scenes.known().sort(), ["a", "empty"]);
});
