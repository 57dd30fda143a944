// An engine for the tests of the front end: every instance is painted in one color that its noise decides.
export function createEngine() {
  const loaded = new Map();
  const json = () => fetch("scenes.json").then((response) => response.json());
  return {
    async load(name, onProgress) {
      onProgress?.(1, 2);
      const { classes, models } = await json();
      const { title, size, level } = models.find((model) => model.name === name);
      const model = { name, title, size, level, classes, noiseDim: 8, latentDim: 64, blocks: 7, encodes: true };
      loaded.set(name, { ...model, directions: new Float32Array(0) });
      return loaded.get(name);
    },
    async paint({ label, instance, count, noise, latent, model }) {
      const { classes, blocks, noiseDim, level } = loaded.get(model);
      const row = 2 * noiseDim;
      const out = new Uint8ClampedArray(label.length * 4);
      const firsts = new Map();
      label.forEach((cls, p) => firsts.set(cls, Math.min(firsts.get(cls) ?? count, instance[p])));
      label.forEach((cls, p) => {
        const id = level === "class" ? firsts.get(cls) : instance[p];
        for (let c = 0; c < 3; c++) {
          // The first and the last block decide half each, so that blocks that differ can be told.
          const at = (block) => noise[(block * count + id) * row + c];
          const own = level === "image" ? latent[c + cls] : (at(0) + at(blocks - 1)) / 2;
          out[4 * p + c] = classes[cls].color[c] * 0.45 + 127 * (0.5 + Math.atan(own) / Math.PI);
        }
        out[4 * p + 3] = 255;
      });
      await new Promise((done) => setTimeout(done));
      return out;
    },
    async encode({ rgb, label, instance, count }) {
      const mu = new Float32Array(count * 16);
      const pixels = label.length;
      instance.forEach((id, p) => {
        for (let c = 0; c < 3; c++) mu[id * 16 + c] = 2 * rgb[c * pixels + p];
      });
      return { mu, logvar: new Float32Array(count * 16).fill(-2) };
    },
    close() {},
  };
}
