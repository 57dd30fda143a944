import assert from "node:assert/strict";
import test from "node:test";
import {
  arc,
  atomOf,
  flatten,
  gaussians,
  mix,
  noiseOf,
  numbersOf,
  plainDirections,
  SEEDS,
  stackNoise,
  straight,
} from "../../../inade_lite/explorer/front/looks.js";

const NONE = new Float32Array(0);
const close = (a, b, limit = 1e-5) => a.forEach((x, i) => assert.ok(Math.abs(x - b[i]) <= limit, `${x} and ${b[i]}`));

test("gaussians are N(0, 1), the same for the same seed", () => {
  const many = gaussians(3, 20000);
  const mean = many.reduce((a, b) => a + b) / many.length;
  const variance = many.reduce((sum, x) => sum + (x - mean) ** 2, 0) / many.length;
  assert.ok(Math.abs(mean) < 0.03 && Math.abs(variance - 1) < 0.04);
  assert.deepEqual(gaussians(3, 5), many.slice(0, 5).map((x, i) => (i < 4 ? x : gaussians(3, 6)[4])));
  assert.notDeepEqual(gaussians(4, 6), gaussians(3, 6));
});

test("seeds and instances that lie side by side have nothing in common", () => {
  const seen = new Set();
  for (let seed = 0; seed < 60; seed++) for (let id = 0; id < 60; id++) seen.add(mix(seed, id));
  assert.ok(seen.size > 3590);
  assert.ok([...seen].every((x) => Number.isInteger(x) && x >= 0 && x < SEEDS));
  const firsts = Float32Array.from({ length: 3000 }, (_, id) => gaussians(mix(7, id), 2)[0]);
  const neighbours = firsts.slice(1).reduce((sum, x, i) => sum + x * firsts[i], 0) / 2999;
  assert.ok(Math.abs(neighbours) < 0.06, `${neighbours}`);
});

test("the arc keeps the norm of each half, the line does not; both end where they should", () => {
  const [a, b] = [gaussians(1, 16), gaussians(2, 16)];
  const norm = (x) => Math.hypot(...x);
  for (const half of [0, 8]) {
    const scale = norm(a.slice(half, half + 8)) / norm(b.slice(half, half + 8));
    for (let i = half; i < half + 8; i++) b[i] *= scale;
  }
  for (const t of [0.2, 0.5, 0.9]) {
    close([norm(arc(a, b, t).slice(0, 8))], [norm(a.slice(0, 8))], 1e-4);
    assert.ok(norm(straight(a, b, t).slice(8)) < norm(a.slice(8)));
  }
  for (const between of [arc, straight]) {
    close(between(a, b, 0), a);
    close(between(a, b, 1), b);
    assert.ok(between(a, a.map((x) => -x), 0.5).every(Number.isFinite));
  }
});

test("an atom of numbers keeps them to 1/64 and is cut off at its ends", () => {
  const numbers = Float32Array.from([0, 1, -1, 0.51, 9, -9, 3.95, -4]);
  const back = numbersOf(atomOf(numbers), 4);
  close(back, [0, 1, -1, 0.5, 3.96875, -4, 3.9375, -4], 1e-6);
  assert.equal(atomOf(back), atomOf(numbers));
  assert.equal(numbersOf(atomOf(numbers), 2).length, 4);
  close(numbersOf(atomOf(numbers), 6), [0, 1, -1, 0.5, 0, 0, 3.96875, -4, 3.9375, -4, 0, 0], 1e-6);
});

test("directions are unit vectors at right angles, and a slider moves along one", () => {
  const directions = plainDirections(8);
  for (let k = 0; k < 4; k++) {
    for (let j = 0; j < 4; j++) {
      let product = 0;
      for (let i = 0; i < 16; i++) product += directions[k * 16 + i] * directions[j * 16 + i];
      close([product], [k === j ? 1 : 0]);
    }
  }
  const moved = noiseOf({ a: 5, d: [0, 2] }, 8, directions);
  close(moved, numbersOf(5, 8).map((x, i) => x + 2 * directions[16 + i]));
});

test("a slide at its ends is exactly one of its looks", () => {
  assert.deepEqual(noiseOf({ a: 1, b: 2, t: 0 }, 8, NONE), numbersOf(1, 8));
  assert.deepEqual(noiseOf({ a: 1, b: 2, t: 1 }, 8, NONE), numbersOf(2, 8));
});

test("noise is stacked by block, and the first k blocks see the other look", () => {
  const model = { noiseDim: 2, blocks: 3, directions: NONE };
  const looks = [{ a: 1 }, { a: 2, b: 3, k: 2 }];
  const noise = stackNoise((id) => looks[id], 2, model);
  assert.equal(noise.length, 3 * 2 * 4);
  for (const block of [0, 1, 2]) {
    assert.deepEqual(noise.slice(block * 8, block * 8 + 4), numbersOf(1, 2));
    assert.deepEqual(noise.slice(block * 8 + 4, block * 8 + 8), numbersOf(block < 2 ? 3 : 2, 2));
  }
});

test("a flattened look is the same look", () => {
  assert.equal(flatten({ a: 4 }, 8, NONE), 4);
  assert.equal(flatten({ a: 4, b: 6, t: 1 }, 8, NONE), 6);
  const slid = { a: 4, b: 6, t: 0.3 };
  close(numbersOf(flatten(slid, 8, NONE), 8), noiseOf(slid, 8, NONE), 1 / 63);
});
