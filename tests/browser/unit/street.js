// A street of 16 × 16 pixels for the tests: two cars with windows and wheels, a house with a roof, a person before it.
export const CLASSES = [
  { name: "sky", color: [150, 200, 236], thing: false, partOf: [] },
  { name: "grass", color: [132, 186, 92], thing: false, partOf: [] },
  { name: "road", color: [112, 114, 128], thing: false, partOf: [] },
  { name: "house", color: [244, 200, 152], thing: true, partOf: [] },
  { name: "roof", color: [166, 60, 50], thing: true, partOf: ["house"] },
  { name: "window", color: [96, 220, 232], thing: false, partOf: ["house", "car"] },
  { name: "car", color: [216, 58, 122], thing: true, partOf: [] },
  { name: "wheel", color: [42, 44, 54], thing: false, partOf: ["car"] },
  { name: "person", color: [242, 128, 34], thing: true, partOf: [] },
];
const ROWS = [
  "................",
  "..R.............",
  ".RRRRR..........",
  "RRRRRRR.........",
  ".HHHHH..........",
  ".HwHwH..........",
  ".HHHPH..........",
  "gHHHPHgggggggggg",
  "ggggPggggggggggg",
  "rrrrrrrrrrrrrrrr",
  "r.CCCrrrrrrDDDrr".replace(".", "r"),
  "rCCvCCrrrrDDuDDr",
  "rCCCCCrrrrDDDDDr",
  "rrOrOrrrrrrQrQrr",
  "rrrrrrrrrrrrrrrr",
  "rrrrrrrrrrrrrrrr",
];
const CLASS_OF = { ".": 0, g: 1, r: 2, H: 3, R: 4, w: 5, v: 5, u: 5, C: 6, D: 6, O: 7, Q: 7, P: 8 };
export const ID = { ".": 0, g: 1, r: 2, H: 3, R: 4, w: 5, v: 6, u: 7, C: 8, D: 9, O: 10, Q: 11, P: 12 };
const pixels = [...ROWS.join("")];
export const STREET = {
  size: 16,
  label: Uint8Array.from(pixels, (letter) => CLASS_OF[letter]),
  instance: Uint16Array.from(pixels, (letter) => ID[letter]),
  count: 13,
};
/** The map as letters again, to be compared at a glance. */
export const letters = (maps, extra = {}) => {
  const names = { ...Object.fromEntries(Object.entries(ID).map(([k, v]) => [v, k])), ...extra };
  const text = Array.from(maps.instance, (id) => names[id] ?? "?").join("");
  return text.match(/.{16}/g);
};
