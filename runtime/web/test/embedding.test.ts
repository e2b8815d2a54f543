// Prompts and limits of embedders against sentence-transformers; the native runtime is held to the same file.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { promptOf } from "../ts/tasks/embed";
import { makeTokenizer } from "../ts/text/tokenizer";

declare const TEST_FOLDER: string;

interface Case {
  name: string;
  /** Whether the tokenizer of the fixtures is the model's as it is. */
  lowers: boolean;
  max_tokens: number;
  prompts: Record<string, string>;
  default_prompt: string | null;
  texts: { prompt: string | null; text: string; ids: number[]; left_out: number }[];
}

function fixture(name: string): unknown {
  return JSON.parse(readFileSync(join(TEST_FOLDER, "../../../tests/fixtures/sentences", name), "utf8"));
}

const { cases } = fixture("cases.json") as { cases: Case[] };
const tokenizer = makeTokenizer(fixture("tokenizer.json"));

const settings = (model: Case): Parameters<typeof promptOf>[0] => ({
  maxTokens: model.max_tokens,
  prompts: model.prompts,
  defaultPrompt: model.default_prompt,
  similarity: "cosine",
  leavesOutPrompt: false,
});

test("texts behind prompts become the tokens of sentence-transformers, and are cut as there", () => {
  const models = cases.filter(({ lowers }) => lowers);
  assert.ok(models.length > 10);
  for (const model of models) {
    for (const { prompt, text, ids, left_out } of model.texts) {
      const before = promptOf(settings(model), prompt);
      const label = `${model.name} ${prompt} ${text}`;
      assert.deepEqual(tokenizer.encodeWithin(before + text, true, model.max_tokens), ids, label);
      if (left_out > 0) assert.equal(tokenizer.promptTokens(before, model.max_tokens), left_out, label);
    }
  }
});

test("a prompt that there is not is named with those that there are", () => {
  const model = cases.find(({ name }) => name === "cls");
  assert.ok(model);
  assert.throws(() => promptOf(settings(model), "nobody"), {
    code: "unsupported",
    message: "this model has no prompt `nobody`; it has `query`, `document`, `passage`",
  });
  assert.throws(() => promptOf(settings(model), "constructor"), { code: "unsupported" });
  assert.equal(promptOf(settings(model), null), "grain ");
  assert.equal(promptOf({ ...settings(model), defaultPrompt: null }, null), "");
});
