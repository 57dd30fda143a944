import assert from "node:assert/strict";
import test from "node:test";
import { squareAround } from "../../../inade_lite/explorer/front/dom.js";
import { heatColor } from "../../../inade_lite/explorer/front/stage.js";
import { createKernel } from "../../../inade_lite/explorer/front/widget.js";
import { WORDS } from "../../../inade_lite/explorer/front/words.js";

/** A model of anywidget whose kernel is the given function. */
function modelOf(answer) {
  const listeners = new Set();
  return {
    sent: [],
    send(content, _, buffers) {
      this.sent.push([content, buffers]);
      queueMicrotask(() => {
        const told = answer(content, buffers);
        if (told) for (const listener of listeners) listener({ id: content.id, ...told[0] }, told[1] ?? []);
      });
    },
    on: (_, listener) => listeners.add(listener),
    off: (_, listener) => listeners.delete(listener),
    listeners,
  };
}
const view = (array) => {
  // Hosts give views into a larger buffer, at any byte.
  const bytes = new Uint8Array(array.byteLength + 3);
  bytes.set(new Uint8Array(array.buffer), 3);
  return new DataView(bytes.buffer, 3);
};

test("the kernel paints RGB, and the page gets RGBA", async () => {
  const model = modelOf(() => [{}, [view(Uint8Array.of(1, 2, 3, 4, 5, 6))]]);
  const kernel = createKernel(model, () => {});
  const request = { label: new Uint8Array(2), instance: Uint16Array.of(7, 300), count: 301, noise: Float32Array.of(1), latent: Float32Array.of(2), model: "m" };
  assert.deepEqual([...(await kernel.paint(request))], [1, 2, 3, 255, 4, 5, 6, 255]);
  const [content, buffers] = model.sent[0];
  assert.deepEqual(content, { id: 1, kind: "paint", count: 301, model: "m" });
  assert.deepEqual([...buffers[1]], [7, 0, 44, 1]);
  kernel.close();
  assert.equal(model.listeners.size, 0);
});

test("answers find their questions, errors are errors, numbers may lie at any byte", async () => {
  const model = modelOf(({ kind, name }) => {
    if (name === "wrong") return [{ error: "no such model" }];
    if (kind === "encode") return [{}, [view(Float32Array.of(1, 2)), view(Float32Array.of(3))]];
    return [{ model: { name } }, [view(Float32Array.of(0.5))]];
  });
  const kernel = createKernel(model, () => {});
  const [a, b] = await Promise.all([kernel.load("a"), kernel.load("b")]);
  assert.deepEqual([a.name, b.name, a.directions[0]], ["a", "b", 0.5]);
  await assert.rejects(kernel.load("wrong"), /no such model/);
  const told = await kernel.encode({ rgb: new Float32Array(3), label: new Uint8Array(1), instance: new Uint16Array(1), count: 1, model: "a" });
  assert.deepEqual([[...told.mu], [...told.logvar]], [[1, 2], [3]]);
  kernel.close();
});

test("a kernel that says nothing is spoken of, and forgiven when it answers", async (t) => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const said = [];
  const model = modelOf(() => null);
  const kernel = createKernel(model, (quiet) => said.push(quiet));
  const waiting = kernel.load("a");
  t.mock.timers.tick(11000);
  assert.deepEqual(said, []);
  t.mock.timers.tick(2000);
  assert.deepEqual(said, [true]);
  for (const listener of model.listeners) listener({ id: 1, model: { name: "a" } }, [view(Float32Array.of(1))]);
  assert.equal((await waiting).name, "a");
  assert.deepEqual(said, [true, false]);
});

test("a kernel that is gone is spoken of at once", async () => {
  const said = [];
  const model = modelOf(() => null);
  model.send = () => {
    throw new Error("Cannot send");
  };
  const kernel = createKernel(model, (quiet) => said.push(quiet));
  await assert.rejects(kernel.load("a"), /Run this cell again/);
  assert.equal(kernel.send({ kind: "state" }), false);
  assert.deepEqual(said, [true, true]);
  kernel.close();
});

test("heat gets lighter the more has changed", () => {
  const light = (value) => heatColor(value).slice(0, 3).reduce((sum, c, i) => sum + c * [0.3, 0.6, 0.1][i], 0);
  for (let i = 1; i <= 20; i++) assert.ok(light(i / 20) > light((i - 1) / 20));
  assert.deepEqual(heatColor(9), heatColor(1));
});

test("a square lies around a box and in the picture", () => {
  assert.deepEqual(squareAround([0, 0, 64, 64], 64), [0, 0, 64, 64]);
  for (const box of [[0, 60, 4, 64], [30, 30, 50, 34], [0, 0, 64, 10]]) {
    const [l, t_, r, b] = squareAround(box, 64);
    assert.ok(l >= 0 && t_ >= 0 && r <= 64 && b <= 64 && r - l === b - t_, String([l, t_, r, b]));
    assert.ok(l <= box[0] && t_ <= box[1] && r >= box[2] && b >= box[3]);
  }
});

test("there are words for everything", () => {
  for (const [name, value] of Object.entries(WORDS)) {
    const text = typeof value === "function" ? value("car", 2) : value;
    assert.ok(text.length > 0 && !String(text).includes("undefined"), name);
  }
  assert.equal(WORDS.all("person"), "All people");
});
