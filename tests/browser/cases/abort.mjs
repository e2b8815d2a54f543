// Whoever calls can end loading and generating, and go on afterwards.

const prompt = ({ prompt, messages }) => prompt ?? messages;

export default [
  {
    name: "loading ends, and works afterwards",
    wasm: true,
    async run(t) {
      const bundle = t.bundle("generate");
      const server = await t.serve(bundle.folder);
      // Slow enough that the end comes in the middle.
      server.faults.push({ path: /^weights\//, rate: 200_000 });
      const page = await t.blank(server);
      const error = t.failed(await t.call(page, "load", { abortAfter: 1 }), "aborted");
      t.assert.equal(error.name, "AbortError", "named as the platform names it");
      server.reset();
      t.ok(await t.call(page, "load"));
      const [expected] = bundle.generate;
      const options = { maxNewTokens: expected.tokens.length };
      const { result } = t.ok(await t.call(page, "generate", prompt(expected), options));
      t.assert.deepEqual(result.tokens, expected.tokens);
    },
  },
  {
    name: "disposing ends what is under way",
    wasm: true,
    async run(t) {
      const bundle = t.bundle("generate");
      const { page } = await t.loaded(bundle);
      const [expected] = bundle.generate;
      const options = { maxNewTokens: 400, ignoreEos: true, disposeAt: 2 };
      const error = t.failed(await t.call(page, "generate", prompt(expected), options), "aborted");
      t.assert.match(error.message, /disposed of/);
      t.failed(await t.call(page, "generate", prompt(expected)), "aborted");
      // A second time does no harm, and a new model is not disturbed.
      t.ok(await t.call(page, "dispose"));
      t.ok(await t.call(page, "load"));
      const again = { maxNewTokens: expected.tokens.length };
      const { result } = t.ok(await t.call(page, "generate", prompt(expected), again));
      t.assert.deepEqual(result.tokens, expected.tokens);
    },
  },
  ...["abortAt", "breakAt"].map((how) => ({
    name: how === "abortAt" ? "generating ends by a signal" : "generating ends by leaving the loop",
    wasm: true,
    async run(t) {
      const bundle = t.bundle("generate");
      const { page } = await t.loaded(bundle);
      const [expected] = bundle.generate;
      const options = { maxNewTokens: expected.tokens.length };
      // Long, because some devices are done with a short text before they receive the abort.
      const long = { maxNewTokens: 400, ignoreEos: true, [how]: 3 };
      const { pieces, result } = t.ok(await t.call(page, "generate", prompt(expected), long));
      t.assert.equal(result.reason, "aborted");
      t.assert.ok(pieces.length >= 3 && result.tokens.length < 400, "it ended early");
      const common = Math.min(result.tokens.length, expected.tokens.length);
      const begin = (tokens) => tokens.slice(0, common);
      t.assert.deepEqual(begin(result.tokens), begin(expected.tokens), "what there is, is right");
      const again = t.ok(await t.call(page, "generate", prompt(expected), options));
      t.assert.deepEqual(again.result.tokens, expected.tokens, "the next text is not disturbed");
    },
  })),
];
