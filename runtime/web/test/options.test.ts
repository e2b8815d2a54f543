// Options that do not exist, and values that they cannot have.

import assert from "node:assert/strict";
import { test } from "node:test";
import { CALL, checked, DETECT, EMBED, GENERATE, LOAD, RUN, TRANSCRIBE } from "../ts/options";

type Rules = Parameters<typeof checked>[0];
const refuse = (rules: object, options: unknown, message: RegExp | string): void =>
  assert.throws(() => checked(rules as Rules, options as object), { code: "input", message });

test("a misspelt option is refused, with the one that was meant", () => {
  const meant = [
    [GENERATE, "maxTokens", "maxNewTokens"],
    [GENERATE, "max_new_tokens", "maxNewTokens"],
    [GENERATE, "temprature", "temperature"],
    [GENERATE, "top_k", "topK"],
    [TRANSCRIBE, "lang", "language"],
    [TRANSCRIBE, "return_timestamps", "returnTimestamps"],
    [LOAD, "onprogress", "onProgress"],
    [LOAD, "device", "profile"],
    [EMBED, "prompt", "promptName"],
    [DETECT, "treshold", "threshold"],
    [RUN, "tap", "taps"],
    [CALL, "signals", "signal"],
  ] as const;
  for (const [rules, name, near] of meant) {
    if (name === "device") refuse(rules, { device: 1 }, /^unknown option device; there are onProgress, signal, backend, /);
    else refuse(rules, { [name]: 1 }, `unknown option ${name}; did you mean ${near}?`);
  }
});

test("a value of the wrong type or out of range is refused, and named", () => {
  const wrong: [object, string, unknown, RegExp][] = [
    [LOAD, "threads", 0, /threads: expected a whole number from 1 to 64, found 0/],
    [LOAD, "backend", "gpu", /backend: expected auto, webgpu, wasm, found "gpu"/],
    [LOAD, "cache", "no", /cache: expected true or false, found "no"/],
    [LOAD, "limits", { maxBufferSize: "1" }, /limits: expected an object of numbers/],
    [LOAD, "without", "subgroups", /without: expected a list of texts/],
    [LOAD, "signal", new AbortController(), /signal: expected an AbortSignal/],
    [LOAD, "recoveries", -1, /recoveries/],
    [GENERATE, "maxNewTokens", 1.5, /maxNewTokens: expected a whole number from 0 to 4294967295, found 1.5/],
    [GENERATE, "temperature", "hot", /temperature: expected a number of at least 0, found "hot"/],
    [GENERATE, "temperature", NaN, /found NaN/],
    [GENERATE, "topP", 0, /topP: expected a number above 0 and at most 1, found 0/],
    [GENERATE, "minP", 2, /minP: expected a number from 0 to 1/],
    [GENERATE, "repetitionPenalty", 0, /repetitionPenalty/],
    [GENERATE, "stop", [1], /stop: expected a text or a list of texts, found \[1\]/],
    [GENERATE, "stopTokens", [-1], /stopTokens: expected a list of token ids/],
    [GENERATE, "images", "cat.png", /images: expected a list of images/],
    [GENERATE, "tools", ["f"], /tools: expected a list of objects/],
    [GENERATE, "templateVariables", [], /templateVariables: expected an object/],
    [TRANSCRIBE, "returnTimestamps", "words", /returnTimestamps: expected true, false or "word", found "words"/],
    [DETECT, "threshold", 50, /threshold: expected a number from 0 to 1, found 50/],
    [EMBED, "promptName", 1, /promptName: expected a text, found 1/],
    [RUN, "greedy", -1, /greedy/],
    [RUN, "taps", 1, /taps: expected true or false/],
  ];
  for (const [rules, name, value, message] of wrong) refuse(rules, { [name]: value }, message);
  refuse(LOAD, null, /options: expected an object, found null/);
  refuse(GENERATE, 7, /options: expected an object, found 7/);
});

test("right options pass, and what is null or undefined is not given", () => {
  const options = { maxNewTokens: 0, temperature: 0.5, stop: ["a"], seed: 1, ignoreEos: false, signal: new AbortController().signal };
  const given = checked(GENERATE, { ...options, topK: undefined, topP: null } as object);
  assert.deepEqual(given, options);
});
