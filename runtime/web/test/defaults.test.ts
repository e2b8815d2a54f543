// What a model's `generation_config.json` says about sampling.

import assert from "node:assert/strict";
import { test } from "node:test";
import { generationDefaults } from "../ts/text/defaults";

test("options of a file are those that the command line takes from it", () => {
  const all = {
    do_sample: true,
    temperature: 0.6,
    top_k: 20,
    top_p: 0.95,
    min_p: 0.1,
    repetition_penalty: 1.05,
    max_new_tokens: 99,
    eos_token_id: [1, 2],
  };
  const { maxNewTokens, ...sampling } = generationDefaults(all);
  assert.equal(maxNewTokens, 99);
  assert.deepEqual(sampling, { temperature: 0.6, topK: 20, topP: 0.95, minP: 0.1, repetitionPenalty: 1.05 });
  assert.deepEqual(generationDefaults({ do_sample: true }), { temperature: 1, topP: 1 });
  assert.deepEqual(generationDefaults({ do_sample: false, temperature: 0.6, top_k: 5 }), { topK: 5, temperature: 0 });
  assert.deepEqual(
    generationDefaults({ temperature: 0.6, top_p: 0.8 }),
    { topP: 0.8 },
    "it does not say that it samples",
  );
  assert.deepEqual(generationDefaults({ do_sample: true, temperature: "hot", top_p: null }), {
    temperature: 1,
    topP: 1,
  });
  assert.deepEqual(generationDefaults(null), {});
});
