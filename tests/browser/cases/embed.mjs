// Sentence embeddings in the browser are those of the native runtime.

import { vector } from "../bundles.mjs";

/**
 * Largest accepted difference of a component. By WebAssembly activations are rounded to bytes, some of them to the
 * other side in engines without fused multiply-add.
 */
const TOLERANCE = { webgpu: 1e-3, wasm: 1e-2 };

export default [
  {
    name: "vectors equal the native ones",
    wasm: true,
    everywhere: true,
    timeout: 600_000,
    async run(t) {
      const bundles = t.bundles.filter(({ embed }) => embed.length > 0);
      t.assert.ok(bundles.length > 0, "no bundle has expected vectors; make the bundles again");
      let worst = 0;
      for (const bundle of bundles) {
        const { page } = await t.loaded(bundle);
        for (const { name, promptName, texts, vectors } of bundle.embed) {
          const found = t.ok(await t.call(page, "embed", texts, promptName));
          t.assert.equal(found.length, vectors.length, `${name}: one vector per text`);
          vectors.forEach((expected, index) => {
            const want = vector(expected);
            const got = vector(found[index]);
            t.assert.equal(got.length, want.length, `${name}: length of vector ${index}`);
            const error = want.reduce((most, value, at) => Math.max(most, Math.abs(value - got[at])), 0);
            t.assert.ok(
              got.every(Number.isFinite) && error <= TOLERANCE[t.backend],
              `${name}: vector ${index} is off by ${error}`,
            );
            worst = Math.max(worst, error);
          });
        }
        await page.close();
      }
      t.note("worst", worst.toExponential(1));
    },
  },
];
