// The tokenizer of a model, and tensors in the forms in which callers have them.

/** Runs in the page: what a task with a model gives, or the code and the words of its error. */
async function using({ folder, backend, worker, task, given }) {
  const { Model } = await import("/runtime/gristmill.js");
  const model = await Model.load(folder, { backend, worker });
  const tasks = {
    async text({ text, messages }) {
      const { tokenizer } = model;
      const ids = await tokenizer.encode(text);
      const bare = await tokenizer.encode(text, { addSpecialTokens: false });
      const all = [await tokenizer.decode(ids), await tokenizer.decode(ids, { skipSpecialTokens: false })];
      const { promptTokens } = await model.generate(messages ?? text, { maxNewTokens: 1 }).result;
      const prompt = messages && (await tokenizer.applyChatTemplate(messages));
      const open = messages && (await tokenizer.applyChatTemplate(messages, { addGenerationPrompt: false }));
      const prompted = messages ? await tokenizer.encode(prompt, { addSpecialTokens: false }) : ids;
      return { ids, bare, all, promptTokens, prompted: prompted.length, prompt, open };
    },
    async refused(name) {
      const calls = {
        encode: () => model.tokenizer.encode("a"),
        number: () => model.tokenizer.encode(5),
        decode: () => model.tokenizer.decode([0, 1e6]),
        template: () => model.tokenizer.applyChatTemplate([{ role: "user", content: "a" }]),
        messages: () => model.tokenizer.applyChatTemplate("a"),
        tensor: () => model.run("forward", { input_ids: [[1, 2], [3]] }),
        large: () => model.run("forward", { input_ids: { data: BigInt64Array.of(1n << 40n), shape: [1, 1] } }),
      };
      return calls[name]().then(() => null, ({ code, message }) => ({ code, message }));
    },
    async tensors() {
      const ids = [1, 5, 9, 12];
      const forms = [
        { data: Int32Array.from(ids), shape: [2, 2] },
        { data: BigInt64Array.from(ids.map(BigInt)), shape: [2, 2] },
        { data: ids, shape: [2, 2] },
        [ids.slice(0, 2), ids.slice(2)],
      ];
      const found = [];
      for (const input_ids of forms) {
        const { logits } = await model.run("forward", { input_ids });
        found.push({ shape: logits.shape, data: Array.from(logits.data.slice(0, 50)) });
      }
      return found;
    },
  };
  try {
    return await tasks[task](given);
  } finally {
    await model.dispose();
  }
}

async function inPage(t, bundle) {
  const server = await t.serve(bundle.folder, { extra: { "empty.html": "<!doctype html><title>tokens</title>" } });
  const page = await t.page(`${server.url}empty.html`);
  return (task, given, worker = true) =>
    page.evaluate(using, { folder: server.url, backend: t.backend, worker, task, given });
}

export default [
  {
    name: "texts and conversations become the token ids of generations",
    wasm: true,
    async run(t) {
      const chats = t.bundles.find(({ generate }) => generate.some(({ messages }) => messages));
      const { messages } = chats.generate.find((one) => one.messages);
      for (const bundle of [t.bundle("generate"), chats]) {
        const use = await inPage(t, bundle);
        for (const worker of [true, false]) {
          const given = { text: "Once upon a time", ...(bundle === chats ? { messages } : {}) };
          const { ids, bare, all, promptTokens, prompted, prompt, open } = await use("text", given, worker);
          t.assert.ok(bare.length > 0 && ids.length >= bare.length);
          t.assert.deepEqual(bare, ids.slice(ids.length - bare.length).slice(0, bare.length));
          t.assert.equal(all[0], given.text);
          t.assert.ok(all[1].includes(given.text) && (ids.length === bare.length || all[1].length > all[0].length));
          t.assert.equal(promptTokens, prompted, "the prompt is what the template gives");
          if (prompt) t.assert.ok(prompt.startsWith(open) && open.includes(messages[0].content));
        }
      }
    },
  },
  {
    name: "tensors in all forms give the same",
    wasm: true,
    async run(t) {
      const use = await inPage(t, t.bundle("generate"));
      const [first, ...others] = await use("tensors");
      t.assert.equal(first.shape.length, 3);
      t.assert.ok(first.data.some((value) => value !== 0));
      for (const other of others) t.assert.deepEqual(other, first);
    },
  },
  {
    name: "what a model has not, and what does not fit, is refused by name",
    wasm: true,
    async run(t) {
      const expected = [
        ["generate", "number", "input", /text: expected a text, found 5/],
        ["generate", "decode", "input", /ids\[1\]: expected the id of a token, found 1000000/],
        ["generate", "template", "unsupported", /no chat template/],
        ["generate", "messages", "input", /messages: expected a list/],
        ["generate", "tensor", "input", /input_ids\[1\]: expected a list of 2 elements/],
        ["generate", "large", "input", /input_ids: .* found 1099511627776/],
        ["detect", "encode", "unsupported", /no tokenizer/],
        ["detect", "template", "unsupported", /no chat template/],
      ];
      const pages = { generate: await inPage(t, t.bundle("generate")), detect: await inPage(t, t.bundle("detect")) };
      for (const [sort, name, code, message] of expected) {
        const found = await pages[sort]("refused", name);
        t.assert.equal(found?.code, code, name);
        t.assert.match(found.message, message);
      }
    },
  },
];
