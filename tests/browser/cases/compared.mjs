// Recordings and films beside texts: similarities are those of transformers.

import { readFileSync, readdirSync } from "node:fs";
import path from "node:path";
import { ROOT } from "../bundles.mjs";

const FILM = path.join(ROOT, "tests/fixtures/compared/film");
/** Largest accepted difference of a similarity: sums in another order. */
const TOLERANCE = 1e-3;

/** The bundle that compares recordings, or films. */
function bundleOf(t, heard) {
  const fits = (bundle) => bundle.compare.some(({ things }) => things.every(({ wav }) => Boolean(wav) === heard));
  const found = t.bundles.find(fits);
  if (!found) throw new Error("no bundle compares these; make the bundles again");
  return found;
}

function check(t, fits, things) {
  t.assert.equal(fits.length, things.length);
  let worst = 0;
  for (const [at, { logits }] of things.entries()) {
    t.assert.equal(fits[at].similarity.length, logits.length);
    for (const [text, logit] of logits.entries()) worst = Math.max(worst, Math.abs(fits[at].similarity[text] - logit));
    t.assert.ok(Math.abs(fits[at].probability.reduce((sum, p) => sum + p, 0) - 1) < 1e-5);
  }
  t.assert.ok(worst <= TOLERANCE, `a similarity is off by ${worst}`);
  t.note("worst", worst.toExponential(1));
}

export default [
  {
    name: "texts fit to recordings as transformers has it",
    wasm: true,
    async run(t) {
      const bundle = bundleOf(t, true);
      const [{ texts, things }] = bundle.compare;
      const extra = Object.fromEntries(things.map(({ name, wav }) => [`test/${name}.wav`, Buffer.from(wav, "base64")]));
      const { page, loaded } = await t.loaded(bundle, {}, { extra });
      t.assert.deepEqual(loaded.info.tasks, ["compare", "run"]);
      const { kind, takes, rate } = loaded.info.entries.find(({ task }) => task)?.task ?? {};
      t.assert.deepEqual({ kind, takes, rate }, { kind: "compare", takes: ["text", "sound"], rate: 8000 });
      const addresses = things.map(({ name }) => `test/${name}.wav`);
      check(t, t.ok(await t.call(page, "compare", addresses, "samples", texts)), things);
    },
  },
  {
    name: "texts fit to films as transformers has it",
    wasm: true,
    async run(t) {
      const bundle = bundleOf(t, false);
      const [{ texts, things }] = bundle.compare;
      const names = readdirSync(FILM).sort();
      const extra = Object.fromEntries(names.map((name) => [`test/${name}`, readFileSync(path.join(FILM, name))]));
      const { page, loaded } = await t.loaded(bundle, {}, { extra });
      t.assert.deepEqual(loaded.info.tasks, ["compare", "run"]);
      const addresses = names.map((name) => `test/${name}`);
      check(t, t.ok(await t.call(page, "compare", addresses, "film", texts)), things);
      t.failed(await t.call(page, "compare", [], "film", texts), "input");
    },
  },
];
