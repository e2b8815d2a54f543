// Chat completions in the shapes of OpenAI's interface.

export default [
  {
    name: "completions, whole and in chunks",
    wasm: true,
    async run(t) {
      const bundle = t.bundles.find(({ generate }) => generate.some(({ messages }) => messages));
      t.assert.ok(bundle, "no bundle has expectations for messages; make the bundles again");
      const { messages, tokens, text } = bundle.generate.find((expected) => expected.messages);
      const { page, loaded } = await t.loaded(bundle);
      t.assert.ok(loaded.info.tasks.includes("chat"), `found the tasks ${loaded.info.tasks}`);
      const request = { messages, max_tokens: tokens.length };

      const whole = t.ok(await t.call(page, "complete", request));
      t.assert.equal(whole.object, "chat.completion");
      t.assert.equal(whole.model, bundle.manifest.model.name);
      const [choice] = whole.choices;
      t.assert.deepEqual(choice.message, { role: "assistant", content: text });
      t.assert.equal(choice.finish_reason, "length");
      const { prompt_tokens, completion_tokens, total_tokens } = whole.usage;
      t.assert.equal(completion_tokens, tokens.length);
      t.assert.ok(prompt_tokens > 0 && total_tokens === prompt_tokens + completion_tokens);

      const streamed = { ...request, stream: true, stream_options: { include_usage: true } };
      const chunks = t.ok(await t.call(page, "complete", streamed));
      t.assert.ok(chunks.every(({ object, id }) => object === "chat.completion.chunk" && id === chunks[0].id));
      t.assert.equal(chunks[0].choices[0].delta.role, "assistant");
      t.assert.equal(chunks.map(({ choices }) => choices[0]?.delta.content ?? "").join(""), text);
      t.assert.equal(chunks.at(-2).choices[0].finish_reason, "length");
      t.assert.deepEqual(chunks.at(-1).usage, whole.usage);

      const stop = text.slice(5, 9);
      const stopped = t.ok(await t.call(page, "complete", { ...request, stop }));
      t.assert.equal(stopped.choices[0].finish_reason, "stop");
      t.assert.equal(stopped.choices[0].message.content, text.slice(0, text.indexOf(stop)));
      t.failed(await t.call(page, "complete", { ...request, n: 2 }), "unsupported");
      t.failed(await t.call(page, "complete", { messages: [] }), "input");
    },
  },
];
