// Several models in one page, and what is left when they go.

import path from "node:path";

/** Bytes for results under way, whose number depends on how long results have taken. */
const STAGING = 1024;

/** Runs in the page: loads the bundles in two folders at once, uses both at once, and disposes of the first. */
async function both(names, prompt, maxNewTokens, texts) {
  const { Model } = await import(`/${names[0]}/runtime/gristmill.js`);
  const load = (name) => Model.load(`/${name}/`);
  const [writer, embedder] = await Promise.all(names.map(load));
  const stream = writer.generate(prompt, { maxNewTokens });
  stream.result.catch(() => undefined);
  const draining = (async () => {
    for await (const piece of stream) void piece;
  })();
  const vectors = await embedder.embed(texts);
  await draining;
  const before = await writer.memory();
  await writer.dispose();
  const gone = await writer.memory().then(
    () => null,
    (error) => error.code,
  );
  const again = await load(names[0]);
  const second = again.generate(prompt, { maxNewTokens });
  for await (const piece of second) void piece;
  const found = {
    tokens: (await stream.result).tokens,
    second: (await second.result).tokens,
    vectors: vectors.map((vector) => Array.from(vector)),
    // The other model does not notice.
    later: (await embedder.embed(texts)).map((vector) => Array.from(vector)),
    before,
    after: await again.memory(),
    gone,
  };
  await Promise.all([again.dispose(), embedder.dispose()]);
  return found;
}

export default [
  {
    name: "two models at once, and one after the other",
    async run(t) {
      const [writer, embedder] = [t.bundle("generate"), t.bundle("embed")];
      const [expected] = writer.generate;
      const server = await t.serve(path.dirname(writer.folder), { extra: { "empty.html": "<title>two</title>" } });
      const page = await t.page(`${server.url}empty.html`);
      const names = [writer.name, embedder.name];
      const prompt = expected.prompt ?? expected.messages;
      const [{ texts }] = embedder.embed;
      const found = await page.evaluate(both, names, prompt, expected.tokens.length, texts);
      t.assert.deepEqual(found.tokens, expected.tokens);
      t.assert.deepEqual(found.second, expected.tokens);
      t.assert.deepEqual(found.later, found.vectors);
      t.assert.equal(found.vectors.length, texts.length);
      t.assert.equal(found.gone, "aborted", "a model that was disposed of says so");
      const { before, after } = found;
      for (const key of ["weights", "states", "wasm"]) t.assert.equal(after[key], before[key], key);
      const more = after.total - before.total;
      t.assert.ok(more <= STAGING, `the second model has ${more} bytes more on the device than the first`);
      t.note("memory", found.after);
    },
  },
];
