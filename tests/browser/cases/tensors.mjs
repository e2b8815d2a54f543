// Calls with tensors give what the expected outputs say, for every bundle that has some: all architectures.

import { elements, worstError } from "../bundles.mjs";

/** Largest accepted error in standard deviations of the expected tensor, unless the expectation says another. */
const TOLERANCE = 1e-3;

export function compare(t, label, run, found) {
  let worst = 0;
  for (const [name, expected] of Object.entries(run.outputs)) {
    const got = found[name];
    t.assert.ok(got, `${label}: the output ${name} is missing; there are ${Object.keys(found).join(", ")}`);
    t.assert.equal(got.elem, expected.elem, `${label}: elements of ${name}`);
    if (expected.elem === "i32") {
      t.assert.deepEqual(got.shape, expected.shape, `${label}: shape of ${name}`);
      t.assert.deepEqual([...elements(got)], [...elements(expected)], `${label}: ${name}`);
      continue;
    }
    const mask = expected.mask ? elements(run.inputs[expected.mask]) : undefined;
    const error = worstError(expected, got, mask);
    t.assert.ok(
      error <= (expected.tolerance ?? TOLERANCE),
      `${label}: ${name} is off by ${error.toExponential(2)} std`,
    );
    worst = Math.max(worst, error);
  }
  return worst;
}

export default [
  {
    name: "outputs equal the expected ones",
    wasm: true,
    everywhere: true,
    timeout: 1_200_000,
    async run(t) {
      const all = t.bundles.filter(({ run }) => run.length > 0);
      t.assert.ok(all.length > 0, "no bundle has expected outputs; make the bundles again");
      const bundles = t.thorough ? all : all.slice(0, 2);
      const errors = {};
      for (const bundle of bundles) {
        const { page, server } = await t.loaded(bundle);
        for (const run of bundle.run) {
          const label = `${bundle.name}, ${run.name}`;
          const outcome = await t.call(page, "run", run.entry, run.inputs, run.options ?? {});
          if (!outcome.ok) throw new Error(`${label}: ${outcome.error.name}: ${outcome.error.message}`);
          errors[label] = compare(t, label, run, outcome.value);
        }
        t.ok(await t.call(page, "dispose"));
        await page.close();
        await server.close();
      }
      t.note("runs", Object.keys(errors).length);
      t.note("worst", Math.max(...Object.values(errors)).toExponential(1));
    },
  },
];
