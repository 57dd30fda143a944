// @ts-check
/**
 * Codes of states as a stranger may put them into the page's address: `npm run fuzz -- 20000 0` tries so many from a
 * seed. The fast part runs with the unit tests.
 *
 * A code either is a state that the page can show, which then comes back from its own code unchanged, or is told by a
 * BadState; never anything else, and within a second.
 */
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import fc from "fast-check";
import { decode, encode } from "../../inade_lite/explorer/front/code.js";
import { BadState, checkState } from "../../inade_lite/explorer/front/state.js";

const KNOWN = { models: ["inade", "spade_vae"], scenes: ["17", "empty"], classes: 9, most: 1000 };
const OPS = ["stroke", "stamp", "copy", "move", "delete", "front"];

const edge = fc.constantFrom(0, 1, 127, 128, 255, 999, 1000, 2 ** 31, 2 ** 31 + 1, 2 ** 40, Number.MAX_SAFE_INTEGER);
const base64 = fc.uint8Array({ minLength: 1, maxLength: 40 }).map((bytes) => Buffer.from(bytes).toString("base64"));

/**
 * States that a page can show, or with one value in `odds` at an edge.
 * @param {number} odds
 */
function states(odds) {
  /** @param {number} low @param {number} high */
  const whole = (low, high) =>
    fc.oneof({ weight: odds, arbitrary: fc.integer({ min: low, max: high }) }, { weight: 1, arbitrary: edge });
  /** @param {number} low @param {number} high */
  const number = (low, high) =>
    fc.oneof(
      { weight: odds, arbitrary: fc.double({ min: low, max: high, noNaN: true }) },
      { weight: 1, arbitrary: fc.double({ min: low, max: 99, noNaN: true }) },
    );
  const id = whole(0, 900);
  const atom = fc.oneof(whole(0, 2 ** 31), base64);
  const look = fc.record(
    { a: atom, b: atom, t: number(0, 1), k: whole(0, 99), d: fc.array(number(-4, 4), { maxLength: 4 }), line: fc.boolean() },
    { requiredKeys: ["a"] },
  );
  const edit = fc.record({
    op: fc.constantFrom(...OPS),
    id,
    cls: whole(0, 8),
    r: whole(0, 256),
    at: fc.array(fc.tuple(whole(-300, 300), whole(-300, 300)), { minLength: 1, maxLength: 6 }).map((points) => points.flat()),
    scene: fc.oneof({ weight: odds, arbitrary: fc.constantFrom("17", "empty") }, { weight: 1, arbitrary: fc.string() }),
    ids: fc.array(id, { minLength: 1, maxLength: 5 }),
    dx: whole(-300, 300),
    dy: whole(-300, 300),
  });
  return fc.record({
    version: fc.constant(1),
    model: fc.oneof(
      { weight: odds, arbitrary: fc.constantFrom("inade", "spade_vae") },
      { weight: 1, arbitrary: fc.string({ unit: "binary", maxLength: 5 }) },
    ),
    scene: fc.constantFrom("17", "empty"),
    seed: whole(0, 2 ** 31),
    latent: whole(0, 2 ** 31),
    locked: fc.array(id, { maxLength: 4 }),
    selected: fc.array(id, { maxLength: 4 }),
    looks: fc.dictionary(id.map(String), look, { maxKeys: 4 }),
    edits: fc.array(edit, { maxLength: 4 }),
  });
}

/** A good code with bytes changed, left out or repeated, and with the checksum made right again. */
const changed = fc
  .tuple(
    states(1000),
    fc.array(fc.tuple(fc.nat(), fc.constantFrom("set", "drop", "repeat", "grow"), fc.nat({ max: 255 })), {
      minLength: 1,
      maxLength: 5,
    }),
  )
  .map(([value, changes]) => {
    const bytes = [...Buffer.from(encode(/** @type {any} */ (value)), "base64url")].slice(0, -2);
    for (const [place, change, byte] of changes) {
      const at = place % Math.max(1, bytes.length);
      if (change === "set") bytes[at] = byte;
      if (change === "drop") bytes.splice(at, 1 + (byte % 7));
      if (change === "repeat") bytes.splice(at, 0, ...bytes.slice(at, at + (byte % 40)));
      if (change === "grow") bytes.splice(at, 0, ...new Array(1 + (byte % 8)).fill(255));
    }
    return signed(bytes);
  });
const noise = fc.uint8Array({ maxLength: 60 }).map((bytes) => signed([...bytes]));
const text = fc.string({ maxLength: 60 });

/** @param {number[]} bytes */
function signed(bytes) {
  let hash = 0x811c9dc5;
  for (const byte of bytes) hash = Math.imul(hash ^ byte, 0x01000193);
  const sum = (hash ^ (hash >>> 16)) & 0xffff;
  return Buffer.from([...bytes, sum >> 8, sum & 255]).toString("base64url");
}

/** @param {string} code */
function readOrTold(code) {
  const start = performance.now();
  let found = null;
  try {
    found = checkState(decode(code), KNOWN);
  } catch (error) {
    if (!(error instanceof BadState)) throw error;
  }
  assert.ok(performance.now() - start < 1000, "took more than a second");
  if (found) assert.deepEqual(checkState(decode(encode(found)), KNOWN), found);
}

/**
 * @param {number} runs
 * @param {number} seed
 */
export function fuzzCodes(runs, seed) {
  const code = fc.oneof(
    { weight: 4, arbitrary: states(100).map((value) => encode(/** @type {any} */ (value))) },
    { weight: 5, arbitrary: changed },
    { weight: 1, arbitrary: noise },
    { weight: 1, arbitrary: text },
  );
  fc.assert(fc.property(code, readOrTold), { numRuns: runs, seed });
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [runs, seed] = process.argv.slice(2).map(Number);
  fuzzCodes(runs, seed);
  console.log(JSON.stringify({ inputs: runs, findings: [] }));
}
