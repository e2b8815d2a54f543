// The main thread stays free while a model loads and writes.

/** A task that long is a fault of the runtime, not of a busy machine. */
const WORST_MS = 200;

export default [
  {
    name: "no long tasks on the main thread",
    wasm: true,
    async run(t) {
      const bundle = t.bundle("generate");
      const server = await t.serve(bundle.folder);
      const page = await t.blank(server);
      await t.call(page, "watchLongTasks");
      t.ok(await t.call(page, "load"));
      const [expected] = bundle.generate;
      const options = { maxNewTokens: expected.tokens.length };
      t.ok(await t.call(page, "generate", expected.prompt ?? expected.messages, options));
      const tasks = await page.evaluate(
        () => new Promise((done) => setTimeout(() => done(window.test.longTasks), 100)),
      );
      t.note("longest pause, ms", Math.round(await page.evaluate(() => window.test.pauses.longest)));
      const durations = tasks.map(({ duration }) => Math.round(duration));
      t.note("tasks over 50 ms", durations);
      const worst = Math.max(0, ...durations);
      t.assert.ok(worst <= WORST_MS, `a task took ${worst} ms; the model belongs in a worker`);
    },
  },
];
