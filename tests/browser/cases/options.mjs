// What is misspelt is refused by name instead of being ignored.

/** Runs in the page: calls everything with an option that does not exist; gives the errors. */
async function misspelt(backend) {
  const { Model } = await import("/runtime/gristmill.js");
  const told = async (call) => {
    try {
      await call();
      return "no error";
    } catch ({ code, message }) {
      return `${code}: ${message}`;
    }
  };
  const loads = {
    load: await told(() => Model.load("/", { backend, thread: 1 })),
    type: await told(() => Model.load("/", { backend, threads: "two" })),
    feature: await told(() => Model.load("/", { backend: "auto", without: ["subgroup"] })),
    limit: await told(() => Model.load("/", { backend: "auto", limits: { maxBufferBytes: 1 } })),
  };
  const model = await Model.load("/", { backend });
  const pieces = async (stream) => {
    stream.result.catch(() => undefined);
    for await (const piece of stream) void piece;
  };
  const calls = {
    generate: await told(() => pieces(model.generate("a", { maxTokens: 3 }))),
    result: await told(() => model.generate("a", { max_new_tokens: 3 }).result),
    prompt: await told(() => model.generate(undefined).result),
    transcribe: await told(() => model.transcribe(new ArrayBuffer(1), { lang: "en" }).result),
    embed: await told(() => model.embed(["a"], { prompt: "query" })),
    texts: await told(() => model.embed("a")),
    classify: await told(() => model.classify({ text: "a" }, { sginal: null, signals: 1 })),
    detect: await told(() => model.detect(new Blob(), { threshhold: 0.5 })),
    compare: await told(() => model.compare([], [], { threshold: 0.5 })),
    run: await told(() => model.run(null, {}, { greed: 1 })),
  };
  const good = model.generate("a", { maxNewTokens: 2, seed: undefined });
  await good.result;
  await model.dispose();
  return { ...loads, ...calls };
}

export default [
  {
    name: "options that do not exist are refused by name",
    wasm: true,
    async run(t) {
      const server = await t.serve(t.bundle("generate").folder);
      const page = await t.blank(server);
      const { limit, ...others } = await page.evaluate(misspelt, t.backend);
      t.assert.match(limit, /^input: limits: expected maxBufferSize, .*, found maxBufferBytes$/);
      t.assert.deepEqual(others, {
        load: "input: unknown option thread; did you mean threads?",
        type: 'input: threads: expected a whole number from 1 to 64, found "two"',
        feature: "input: without: expected shader-f16, subgroups, timestamp-query, found subgroup",
        generate: "input: unknown option maxTokens; did you mean maxNewTokens?",
        result: "input: unknown option max_new_tokens; did you mean maxNewTokens?",
        prompt: "input: prompt: expected a text or a list of messages, found undefined",
        transcribe: "input: unknown option lang; did you mean language?",
        embed: "input: unknown option prompt; did you mean promptName?",
        texts: 'input: texts: expected a list of texts, found "a"',
        classify: "input: unknown option signals; did you mean signal?",
        detect: "input: unknown option threshhold; did you mean threshold?",
        compare: "input: unknown option threshold; there are signal",
        run: "input: unknown option greed; did you mean greedy?",
      });
    },
  },
];
