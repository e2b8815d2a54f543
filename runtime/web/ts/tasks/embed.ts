// Sentence embeddings.

import { aborted, makeError } from "../errors";
import type { Loaded } from "../loaded";

/** One vector per text, as the model gives it. Texts longer than the model takes are cut. */
export async function embed(model: Loaded, texts: string[], signal: AbortSignal): Promise<Float32Array[]> {
  const entry = model.manifest.entries.find((e) => e.role === "embed");
  const input = entry?.inputs.find((i) => !i.optional);
  const output = entry?.outputs[0];
  const { tokenizer, longest } = model.text;
  if (!entry || !input || !output || !tokenizer) throw makeError("unsupported", "this model does not embed text");
  const vectors: Float32Array[] = [];
  for (const text of texts) {
    if (signal.aborted) throw aborted();
    const ids = tokenizer.encodeWithin(text, true, longest);
    const inputs = { [input.name]: { data: Int32Array.from(ids), shape: [1, ids.length] } };
    const found = (await model.run(entry.name, inputs, {}))[output.name]?.data;
    if (!(found instanceof Float32Array)) throw makeError("internal", `output ${output.name}: expected floats`);
    vectors.push(found);
  }
  return vectors;
}
