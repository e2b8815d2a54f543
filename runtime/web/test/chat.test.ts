// Chat completions over a model that says what it is told.

import assert from "node:assert/strict";
import { test } from "node:test";
import type { GenerateOptions, GenerateResult, Message, StopReason } from "../ts/api";
import { chat, type ChatCompletionChunk, type ChatModel, type ChatParams } from "../ts/chat";
import { makeError } from "../ts/errors";

/** A model, and what it was asked. */
function fakeModel(pieces: string[], reason: StopReason = "end", failure?: Error) {
  const asked: { messages: Message[]; options: GenerateOptions }[] = [];
  const model: ChatModel = {
    info: () => ({ name: "toy" }),
    generate(messages, options) {
      asked.push({ messages, options });
      const text = pieces.join("");
      const times = { prefillMs: 1, decodeMs: 2, recoveries: 0 };
      const whole: GenerateResult = { text, tokens: pieces.map((_, i) => i), reason, promptTokens: 7, ...times };
      const result = failure ? Promise.reject(failure) : Promise.resolve(whole);
      async function* iterate(): AsyncGenerator<string, void> {
        for (const piece of pieces) yield await Promise.resolve(piece);
        if (failure) throw failure;
      }
      return Object.assign(iterate(), { result });
    },
  };
  return { model, asked };
}

const HELLO: ChatParams = { messages: [{ role: "user", content: "Hello" }] };

test("an answer as a whole", async () => {
  const { model, asked } = fakeModel(["Hi", " there"]);
  const stop = new AbortController();
  const params = { ...HELLO, max_tokens: 9, temperature: 0.5, top_p: 0.9, seed: 3, stop: ["x"], n: 1, user: "me" };
  const plain = params as ChatParams & { stream?: false };
  const answer = await chat(model).completions.create(plain, { signal: stop.signal });
  assert.equal(answer.object, "chat.completion");
  assert.equal(answer.model, "toy");
  assert.match(answer.id, /^chatcmpl-/);
  const message = { role: "assistant", content: "Hi there" };
  assert.deepEqual(answer.choices, [{ index: 0, message, finish_reason: "stop", logprobs: null }]);
  assert.deepEqual(answer.usage, { prompt_tokens: 7, completion_tokens: 2, total_tokens: 9 });
  assert.deepEqual(asked[0]?.messages, [{ role: "user", content: "Hello" }]);
  const options = { maxNewTokens: 9, temperature: 0.5, topP: 0.9, seed: 3, stop: ["x"], signal: stop.signal };
  assert.deepEqual(asked[0]?.options, options);
});

test("an answer in pieces", async () => {
  const { model, asked } = fakeModel(["Hi", " there"], "length");
  const parts = [{ type: "text" as const, text: "a" }, { type: "text" as const, text: "b" }];
  const params = { messages: [{ role: "user", content: parts }], stream_options: { include_usage: true } };
  const chunks: ChatCompletionChunk[] = [];
  for await (const c of await chat(model).completions.create({ ...params, stream: true })) chunks.push(c);
  assert.deepEqual(
    chunks.map((c) => c.choices[0]?.delta),
    [{ role: "assistant", content: "" }, { content: "Hi" }, { content: " there" }, {}, undefined],
  );
  assert.deepEqual(
    chunks.map((c) => c.choices[0]?.finish_reason ?? null),
    [null, null, null, "length", null],
  );
  assert.deepEqual(chunks.at(-1)?.usage, { prompt_tokens: 7, completion_tokens: 2, total_tokens: 9 });
  assert.equal(new Set(chunks.map((c) => c.id)).size, 1);
  assert.equal(asked[0]?.messages[0]?.content, "ab");
});

test("images stand between the texts of a message", async () => {
  const { model, asked } = fakeModel(["A cat"]);
  const url = "data:image/png;base64,AAAA";
  const content = [
    { type: "image_url" as const, image_url: { url } },
    { type: "text" as const, text: "What is it?" },
  ];
  await chat(model).completions.create({ messages: [{ role: "user", content }] });
  assert.deepEqual(asked[0]?.messages[0]?.content, [
    { type: "image", image: url },
    { type: "text", text: "What is it?" },
  ]);
});

test("aborts and failures", async () => {
  const { model } = fakeModel(["Hi"], "aborted");
  await assert.rejects(chat(model).completions.create({ ...HELLO, stream: false }), { name: "AbortError" });
  const chunks: ChatCompletionChunk[] = [];
  for await (const c of await chat(model).completions.create({ ...HELLO, stream: true })) chunks.push(c);
  assert.ok(chunks.every((c) => c.choices[0]?.finish_reason === null));
  const failing = fakeModel(["Hi"], "end", makeError("device-lost", "gone")).model;
  await assert.rejects(chat(failing).completions.create({ ...HELLO, stream: false }), { code: "device-lost" });
  const stream = await chat(failing).completions.create({ ...HELLO, stream: true });
  await assert.rejects(async () => {
    for await (const _ of stream) continue;
  }, { code: "device-lost" });
});

test("what is not supported is refused", async () => {
  const { model, asked } = fakeModel([]);
  const tries: [Record<string, unknown>, string, RegExp][] = [
    [{ n: 2 }, "unsupported", /parameter n \(2\)/],
    [{ tools: [{ type: "function" }] }, "unsupported", /parameter tools/],
    [{ logprobs: true }, "unsupported", /parameter logprobs/],
    [{ tool_choice: "required" }, "unsupported", /parameter tool_choice \("required"\)/],
    [{ reasoning_effort: "low" }, "unsupported", /reasoning_effort/],
    [{ max_token: 3 }, "unsupported", /parameter max_token /],
    [{ response_format: { type: "json_object" } }, "unsupported", /response_format/],
    [{ messages: [] }, "input", /at least one message/],
    [{ messages: "x" }, "input", /at least one message/],
    [{ messages: [{ role: "user", content: [{ type: "image_url" }] }] }, "input", /messages\[0\].*"image_url"/],
    [{ messages: [{ role: "user" }] }, "input", /messages\[0\]\.content/],
    [{ messages: [{ content: "x" }] }, "input", /messages\[0\]\.role/],
  ];
  for (const [more, code, message] of tries) {
    await assert.rejects(chat(model).completions.create({ ...HELLO, ...more } as ChatParams), { code, message });
  }
  assert.equal(asked.length, 0);
});

test("parameters that change nothing are taken", async () => {
  const { model, asked } = fakeModel([]);
  const params: ChatParams[] = [
    { n: 1, frequency_penalty: 0, presence_penalty: 0, logprobs: false, top_logprobs: 0, logit_bias: null },
    { logit_bias: {}, response_format: { type: "text" }, modalities: ["text"], tools: [], functions: [] },
    { tool_choice: "none", function_call: "auto", parallel_tool_calls: true, prediction: { type: "content" } },
    { model: "any", user: "me", store: true, metadata: { a: "b" }, service_tier: "auto", safety_identifier: "x" },
    { prompt_cache_key: "x", prompt_cache_retention: "24h", stream_options: { include_obfuscation: false } },
  ].map((more) => ({ messages: HELLO.messages, ...more }) as ChatParams);
  for (const given of params) await chat(model).completions.create(given);
  assert.equal(asked.length, params.length);
  // What reaches the model is what it is without them.
  await chat(model).completions.create({ messages: HELLO.messages });
  for (const one of asked) assert.deepEqual(one, asked.at(-1));
});
