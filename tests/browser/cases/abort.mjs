// Whoever calls can end loading and generating, and go on afterwards.

const prompt = ({ prompt, messages }) => prompt ?? messages;

/** Runs in the page: ends calls that wait for a long text, in every way there is; gives what ended, in that order. */
async function queued(backend, text, maxNewTokens) {
  const { Model } = await import("/runtime/gristmill.js");
  const model = await Model.load("/", { backend });
  const ended = [];
  const note = (name, promise) => promise.then((value) => (ended.push(name), value));
  const running = model.generate(text, { maxNewTokens, ignoreEos: true });
  const pieces = running[Symbol.asyncIterator]();
  await pieces.next();
  const controller = new AbortController();
  const bySignal = model.generate(text, { signal: controller.signal });
  const left = model.generate(text);
  const iterator = left[Symbol.asyncIterator]();
  const waiting = iterator.next();
  const stream = await model.chat.completions.create({ messages: [{ role: "user", content: "Hi" }], stream: true });
  const chunks = stream[Symbol.asyncIterator]();
  await chunks.next();
  const next = chunks.next();
  next.catch(() => undefined);
  const others = [note("signal", bySignal.result), note("left", left.result), note("chunks", chunks.return())];
  const all = note("running", running.result);
  const last = model.generate(text, { maxNewTokens: 3 });
  controller.abort();
  await iterator.return();
  const results = await Promise.all(others);
  while (!(await pieces.next()).done);
  const whole = await all;
  const after = await last.result;
  const undisturbed = model.generate(text, { maxNewTokens, ignoreEos: true });
  for await (const piece of undisturbed) void piece;
  const found = {
    ended,
    reasons: results.slice(0, 2).map((result) => result.reason),
    done: [(await waiting).done, (await chunks.next()).done],
    whole: whole.tokens,
    reason: whole.reason,
    after: after.tokens.length,
    undisturbed: (await undisturbed.result).tokens,
  };
  await model.dispose();
  return found;
}

export default [
  {
    name: "what waits for its turn ends at once",
    wasm: true,
    async run(t) {
      const bundle = t.bundle("generate");
      const server = await t.serve(bundle.folder);
      const page = await t.blank(server);
      const found = await page.evaluate(queued, t.backend, prompt(bundle.generate[0]), 300);
      t.assert.deepEqual(found.ended.slice().sort(), ["chunks", "left", "running", "signal"]);
      t.assert.equal(found.ended.at(-1), "running", `the others did not wait for the text: ${found.ended}`);
      t.assert.deepEqual(found.reasons, ["aborted", "aborted"]);
      t.assert.deepEqual(found.done, [true, true], "what was left gives nothing more");
      t.assert.equal(found.reason, "length");
      t.assert.deepEqual(found.whole, found.undisturbed, "the running text is not harmed");
      t.assert.equal(found.after, 3, "the next one comes as if nothing had been");
    },
  },
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
