// @ts-check
/**
 * Looks: what the noise of one instance is made of, and the numbers that come of it.
 *
 * An atom is a whole look in its shortest form: a number is the seed of N(0, 1) noise, a string holds the 2 * Z numbers
 * themselves, each a byte in steps of 1/32. A look is one atom, or a place between two, and what was changed on the way.
 *
 * @typedef {number | string} Atom
 * @typedef {object} Look
 * @property {Atom} a where the look begins
 * @property {Atom} [b] the other end of the slide
 * @property {number} [t] the place between a and b, 0 to 1
 * @property {boolean} [line] straight instead of along the arc
 * @property {number} [k] the first k blocks see b alone
 * @property {number[]} [d] how far to go along each direction
 */

/** Seeds are smaller than this, so that three bytes of the address hold one. */
export const SEEDS = 2 ** 21;

/** The number of directions that have a slider. */
export const DIRECTIONS = 4;

const STEPS = 32;

/**
 * A seed made of two numbers, the same on every machine.
 * @param {number} a
 * @param {number} b
 */
export function mix(a, b) {
  let h = Math.imul(a ^ 0x9e3779b9, 0x85ebca6b) ^ Math.imul(b + 0x165667b1, 0xc2b2ae35);
  h = Math.imul(h ^ (h >>> 15), 0x2c1b3c6d);
  h = Math.imul(h ^ (h >>> 12), 0x297a2d39);
  return (h ^ (h >>> 15)) & (SEEDS - 1);
}

/**
 * Uniform random numbers in 0..1 (mulberry32).
 * @param {number} seed
 * @returns {() => number}
 */
export function uniform(seed) {
  let state = (seed * 0x9e3779b1 + 0x6d2b79f5) | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let x = Math.imul(state ^ (state >>> 15), 1 | state);
    x = (x + Math.imul(x ^ (x >>> 7), 61 | x)) ^ x;
    return ((x ^ (x >>> 14)) >>> 0) / 4294967296;
  };
}

/**
 * N(0, 1) numbers.
 * @param {number} seed
 * @param {number} count
 */
export function gaussians(seed, count) {
  const next = uniform(seed);
  const out = new Float32Array(count);
  for (let i = 0; i < count; i += 2) {
    const radius = Math.sqrt(-2 * Math.log(1 - next()));
    const angle = 2 * Math.PI * next();
    out[i] = radius * Math.cos(angle);
    if (i + 1 < count) out[i + 1] = radius * Math.sin(angle);
  }
  return out;
}

/**
 * From a (t = 0) to b (t = 1) along the straight line.
 * @param {Float32Array} a
 * @param {Float32Array} b
 * @param {number} t
 */
export function straight(a, b, t) {
  return a.map((value, i) => (1 - t) * value + t * b[i]);
}

/**
 * From a to b along the arc between them; the first and the second half of the numbers, scales and shifts, each on
 * their own. Between two vectors of one norm all have that norm.
 * @param {Float32Array} a
 * @param {Float32Array} b
 * @param {number} t
 */
export function arc(a, b, t) {
  const out = new Float32Array(a.length);
  const half = a.length / 2;
  for (const first of [0, half]) {
    let aa = 0;
    let bb = 0;
    let ab = 0;
    for (let i = first; i < first + half; i++) {
      aa += a[i] * a[i];
      bb += b[i] * b[i];
      ab += a[i] * b[i];
    }
    const cosine = ab / Math.max(Math.sqrt(aa * bb), 1e-12);
    // Never 0 or π, so that nothing is divided by 0.
    const theta = Math.acos(Math.min(Math.max(cosine, -1 + 1e-6), 1 - 1e-6));
    const ofA = Math.sin((1 - t) * theta) / Math.sin(theta);
    const ofB = Math.sin(t * theta) / Math.sin(theta);
    for (let i = first; i < first + half; i++) out[i] = ofA * a[i] + ofB * b[i];
  }
  return out;
}

/**
 * Numbers as an atom; they lose what is finer than 1/32.
 * @param {ArrayLike<number>} numbers
 * @returns {string}
 */
export function atomOf(numbers) {
  let text = "";
  for (let i = 0; i < numbers.length; i++) {
    const step = Math.round(Math.min(Math.max(numbers[i], -4), 127 / STEPS) * STEPS);
    text += String.fromCharCode(step + 128);
  }
  return btoa(text);
}

/**
 * @param {Atom} atom
 * @param {number} noiseDim Z
 * @returns {Float32Array} [2 * Z]
 */
export function numbersOf(atom, noiseDim) {
  if (typeof atom === "number") return gaussians(atom, 2 * noiseDim);
  const text = atob(atom);
  // A model with another Z takes as many numbers as it has, and silence where there are none.
  const out = new Float32Array(2 * noiseDim);
  const half = text.length / 2;
  for (const part of [0, 1]) {
    for (let i = 0; i < Math.min(half, noiseDim); i++) {
      out[part * noiseDim + i] = (text.charCodeAt(part * half + i) - 128) / STEPS;
    }
  }
  return out;
}

/**
 * K unit vectors of 2 * Z numbers that are at right angles to each other, for models that name none.
 * @param {number} noiseDim Z
 * @returns {Float32Array} [K * 2 * Z]
 */
export function plainDirections(noiseDim) {
  const size = 2 * noiseDim;
  const out = new Float32Array(DIRECTIONS * size);
  for (let k = 0; k < DIRECTIONS; k++) {
    const vector = gaussians(77 + k, size);
    for (let j = 0; j < k; j++) {
      const other = out.subarray(j * size, (j + 1) * size);
      const along = other.reduce((sum, value, i) => sum + value * vector[i], 0);
      other.forEach((value, i) => (vector[i] -= along * value));
    }
    const norm = Math.hypot(...vector) || 1;
    vector.forEach((value, i) => (out[k * size + i] = value / norm));
  }
  return out;
}

/**
 * The noise of one look for the blocks from k on, [2 * Z].
 * @param {Look} look
 * @param {number} noiseDim Z
 * @param {Float32Array} directions [K * 2 * Z]
 */
export function noiseOf(look, noiseDim, directions) {
  let noise = numbersOf(look.a, noiseDim);
  if (look.b !== undefined && look.t) {
    const other = numbersOf(look.b, noiseDim);
    const between = look.line ? straight : arc;
    noise = look.t === 1 ? other : between(noise, other, look.t);
  }
  (look.d ?? []).forEach((amount, k) => {
    const first = k * noise.length;
    if (amount && first + noise.length <= directions.length) {
      for (let i = 0; i < noise.length; i++) noise[i] += amount * directions[first + i];
    }
  });
  return noise;
}

/**
 * The noise that a model paints with: [B * I * 2 * Z].
 * @param {(id: number) => Look} lookOf
 * @param {number} count I
 * @param {{noiseDim: number, blocks: number, directions: Float32Array}} model
 */
export function stackNoise(lookOf, count, { noiseDim, blocks, directions }) {
  const row = 2 * noiseDim;
  const out = new Float32Array(blocks * count * row);
  for (let id = 0; id < count; id++) {
    const look = lookOf(id);
    const own = noiseOf(look, noiseDim, directions);
    const swapped = look.b !== undefined && look.k ? numbersOf(look.b, noiseDim) : own;
    for (let block = 0; block < blocks; block++) {
      out.set(block < (look.k ?? 0) ? swapped : own, (block * count + id) * row);
    }
  }
  return out;
}

/**
 * A look as one atom, for the clipboard and for the ends of a new slide. What differs from block to block is lost.
 * @param {Look} look
 * @param {number} noiseDim
 * @param {Float32Array} directions
 * @returns {Atom}
 */
export function flatten(look, noiseDim, directions) {
  if (look.d?.some(Boolean) || (look.t && look.t < 1)) return atomOf(noiseOf(look, noiseDim, directions));
  return look.t === 1 && look.b !== undefined ? look.b : look.a;
}
