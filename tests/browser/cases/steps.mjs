// What a token costs the page: one submission with one pass, four bytes read back, and nothing created.

const FEW = 8;

/** Runs in the page, before the model is loaded: counts what is called, from the last `spy.reset()` on. */
function install() {
  const spy = { counts: {}, underWay: 0, most: 0, late: 0, bytes: 0 };
  const count = (what) => (spy.counts[what] = (spy.counts[what] ?? 0) + 1);
  const wrap = (type, method, note) => {
    const original = type.prototype[method];
    type.prototype[method] = function (...args) {
      count(method);
      const result = original.apply(this, args);
      note?.(result, args);
      return result;
    };
  };
  let task = 0;
  let submitted = -1;
  const { port1, port2 } = new MessageChannel();
  port2.onmessage = () => (task += 1);
  wrap(GPUDevice, "createBuffer");
  wrap(GPUDevice, "createBindGroup");
  wrap(GPUCommandEncoder, "beginComputePass");
  wrap(GPUComputePassEncoder, "dispatchWorkgroups");
  wrap(GPUQueue, "submit", () => {
    submitted = task;
    spy.underWay += 1;
    spy.most = Math.max(spy.most, spy.underWay);
    port1.postMessage(null);
  });
  wrap(GPUQueue, "onSubmittedWorkDone", (result) => result.then(() => (spy.underWay -= 1)));
  wrap(GPUBuffer, "mapAsync", (result, [, , bytes]) => {
    if (submitted !== task) spy.late += 1;
    spy.bytes += bytes;
    const done = () => (spy.underWay -= 1);
    result.then(done, done);
  });
  spy.reset = () => Object.assign(spy, { counts: {}, most: spy.underWay, late: 0, bytes: 0 });
  window.spy = spy;
}

/** Generates, and gives what was called: in all, and after the first piece of text. */
async function counted(t, page, prompt, { maxNewTokens, ...sampling }) {
  const outcome = await page.evaluate(
    async (text, options) => {
      const { spy } = window;
      spy.reset();
      let before = null;
      const generated = await window.test.generate(text, options, () => (before ??= { ...spy.counts }));
      const { counts, most, late, bytes } = spy;
      return { generated, before, counts, most, late, bytes };
    },
    prompt,
    { maxNewTokens, ...sampling, ignoreEos: true },
  );
  const { result } = t.ok(outcome.generated);
  t.assert.equal(result.tokens.length, maxNewTokens);
  return outcome;
}

/** Checks what each token costs, for texts that begin with `prompt`. */
async function checkCosts(t, page, prompt, mode, sampling) {
  const few = await counted(t, page, prompt, { maxNewTokens: FEW, ...sampling });
  const many = await counted(t, page, prompt, { maxNewTokens: 2 * FEW, ...sampling });
  const after = (what) => (many.counts[what] ?? 0) - (many.before[what] ?? 0);
  t.assert.equal(after("createBuffer"), 0, `${mode}: no buffer is created after the first token`);
  t.assert.equal(after("createBindGroup"), 0, `${mode}: no bind group is created after the first token`);
  // Both texts have the same beginning, so that what the longer one has more is what its tokens cost.
  const perToken = (what) => ((many.counts[what] ?? 0) - (few.counts[what] ?? 0)) / FEW;
  t.assert.equal(perToken("submit"), 1, `${mode}: submissions per token`);
  t.assert.equal(perToken("beginComputePass"), 1, `${mode}: passes per token`);
  t.assert.equal((many.bytes - few.bytes) / FEW, 4, `${mode}: bytes read back per token`);
  t.assert.equal(many.late, 0, `${mode}: results are asked for in the task that submits`);
  t.assert.ok(many.most >= 2, `${mode}: expected two submissions under way at once, found ${many.most}`);
  t.note(`${mode}: dispatches per token`, perToken("dispatchWorkgroups"));
  t.note(`${mode}: most submissions under way`, many.most);
}

export default [
  {
    name: "a token costs one submission and creates nothing",
    everywhere: true,
    async run(t) {
      const bundle = t.bundle("generate");
      const server = await t.serve(bundle.folder);
      const page = await t.blank(server);
      await page.evaluate(install);
      t.ok(await t.call(page, "load", { worker: false }));
      const expected = bundle.generate.find(({ prompt }) => prompt) ?? bundle.generate[0];
      const prompt = expected.prompt ?? expected.messages;
      await checkCosts(t, page, prompt, "greedy", {});
      await checkCosts(t, page, prompt, "sampled", { temperature: 0.8, seed: 1 });
    },
  },
];
