// Text in the browser is the text of the native runtime: the same token ids, greedily.

/** Options for an expected text. */
const options = ({ maxNewTokens, tokens }) => ({ maxNewTokens: maxNewTokens ?? tokens.length });
const promptOf = ({ prompt, messages }) => prompt ?? messages;

async function compare(t, page, expected) {
  const { pieces, result } = t.ok(await t.call(page, "generate", promptOf(expected), options(expected)));
  t.assert.deepEqual(result.tokens, expected.tokens, `${expected.name}: token ids`);
  t.assert.equal(result.text, expected.text, `${expected.name}: text`);
  t.assert.equal(pieces.join(""), result.text, `${expected.name}: the pieces make up the text`);
  return result;
}

/** Checks every expected text of every bundle. */
async function allTexts(t, load) {
  let texts = 0;
  const bundles = t.bundles.filter(({ generate }) => generate.length > 0);
  for (const bundle of t.thorough ? bundles : bundles.slice(0, 1)) {
    const { page, server } = await t.loaded(bundle, load);
    for (const expected of bundle.generate) {
      await compare(t, page, expected);
      texts += 1;
    }
    t.ok(await t.call(page, "dispose"));
    await page.close();
    await server.close();
  }
  t.assert.ok(texts > 0, "no bundle has expected texts; make the bundles again");
  t.note("texts", texts);
}

export default [
  {
    name: "token ids equal the native ones",
    wasm: true,
    everywhere: true,
    timeout: 600_000,
    run: (t) => allTexts(t, {}),
  },
  { name: "token ids without a worker", timeout: 600_000, run: (t) => allTexts(t, { worker: false }) },
  {
    name: "token ids without optional features",
    async run(t) {
      const bundle = t.bundle("generate");
      const { page, loaded } = await t.loaded(bundle, { without: ["subgroups", "shader-f16"] });
      t.assert.ok(!loaded.info.adapter.features.some((feature) => ["subgroups", "shader-f16"].includes(feature)));
      await compare(t, page, bundle.generate[0]);
    },
  },
  {
    name: "load tells what there is",
    wasm: true,
    async run(t) {
      const bundle = t.bundle("generate");
      const { loaded, server } = await t.loaded(bundle);
      const { info, memory, last, phases, events } = loaded;
      t.note("first visit", `${server.bytes()} B in ${server.log.length} requests`);
      t.note("memory", memory);
      t.assert.equal(info.name, bundle.manifest.model.name);
      t.assert.equal(info.precision, bundle.manifest.model.precision);
      t.assert.equal(info.backend, t.backend);
      t.assert.ok(info.tasks.includes("generate") && info.tasks.includes("run"));
      t.assert.equal(phases.at(-1), "ready");
      t.assert.ok(events >= 2, "progress was told");
      t.assert.equal(last.loadedBytes, last.totalBytes);
      t.assert.equal(last.cachedBytes, 0, "nothing was stored on the first visit");
      t.assert.equal(last.kernels, last.totalKernels);
      // Buffers on a GPU, blocks of linear memory on the CPU.
      const align = t.backend === "wasm" ? 64 : 16;
      const weights = bundle.manifest.tensors.reduce((sum, { bytes }) => sum + Math.ceil(bytes / align) * align, 0);
      t.assert.equal(memory.weights, weights, "the weights are on the device");
      const stream = bundle.shards.reduce((sum, { bytes }) => sum + bytes, 0);
      t.assert.equal(info.weightBytes, stream, "what was to be fetched");
      t.assert.ok(memory.total <= memory.peak);
    },
  },
  {
    name: "equal seeds give equal texts",
    wasm: true,
    async run(t) {
      const bundle = t.bundle("generate");
      const { page } = await t.loaded(bundle);
      const [expected] = bundle.generate;
      const sample = async (seed) => {
        const sampling = { maxNewTokens: 12, temperature: 1, topP: 0.95, seed };
        return t.ok(await t.call(page, "generate", promptOf(expected), sampling)).result.tokens;
      };
      const [first, second, other] = [await sample(7), await sample(7), await sample(8)];
      t.assert.deepEqual(first, second);
      t.assert.notDeepEqual(first, other, "another seed gives another text");
    },
  },
  {
    name: "stop texts end the text and are not shown",
    wasm: true,
    async run(t) {
      const bundle = t.bundle("generate");
      const { page } = await t.loaded(bundle);
      const [expected] = bundle.generate;
      const middle = Math.floor(expected.text.length / 2);
      const stop = expected.text.slice(middle, middle + 3);
      const outcome = await t.call(page, "generate", promptOf(expected), { ...options(expected), stop });
      const { pieces, result } = t.ok(outcome);
      t.assert.equal(result.reason, "stop");
      t.assert.equal(result.text, expected.text.slice(0, expected.text.indexOf(stop)));
      t.assert.equal(pieces.join(""), result.text);
    },
  },
  {
    name: "wrong input is refused in words",
    wasm: true,
    async run(t) {
      const { page, loaded } = await t.loaded(t.bundle("generate"));
      const { maxContext } = loaded.info;
      const { details } = t.failed(await t.call(page, "generate", "a ".repeat(maxContext + 1), {}), "input");
      t.assert.deepEqual([details.limit, details.offered], ["maxContext", maxContext]);
      t.assert.ok(details.needed > maxContext, `${details.needed} tokens`);
      const error = t.failed(await t.call(page, "run", "no such entry", {}), "input");
      t.assert.match(error.message, /no such entry/);
      for (const [name, value] of [
        ["maxNewTokens", -1],
        ["temperature", -1],
        ["topP", 0],
        ["minP", 2],
        ["repetitionPenalty", "high"],
      ]) {
        const refused = t.failed(await t.call(page, "generate", "a", { [name]: value }), "input");
        t.assert.ok(refused.message.startsWith(`${name}: expected`), refused.message);
      }
    },
  },
];
