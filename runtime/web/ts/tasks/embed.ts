// Sentence embeddings.

import { aborted, makeError } from "../errors";
import type { Loaded } from "../loaded";

/** Texts between two looks at whether the caller still wants them. */
const BATCH = 64;

/** One vector per text, as the model gives it. Texts longer than the model takes are cut. */
export async function embed(model: Loaded, texts: string[], signal: AbortSignal): Promise<Float32Array[]> {
  const { tokenizer, longest } = model.text;
  if (!tokenizer || !model.manifest.entries.some((e) => e.role === "embed")) {
    throw makeError("unsupported", "this model does not embed text");
  }
  const vectors: Float32Array[] = [];
  for (let at = 0; at < texts.length; at += BATCH) {
    if (signal.aborted) throw aborted();
    const batch = texts.slice(at, at + BATCH);
    const lists = batch.map((text) => Uint32Array.from(tokenizer.encodeWithin(text, true, longest)));
    const call = (): Promise<Float32Array[]> => model.runtime.embed(lists) as Promise<Float32Array[]>;
    vectors.push(...(await model.withDevice(call, call)));
  }
  return vectors;
}
