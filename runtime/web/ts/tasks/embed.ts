// Sentence embeddings.

import { aborted, makeError } from "../errors";
import type { Loaded } from "../loaded";
import type { EmbeddingSettings } from "../runtime";

/** Texts between two looks at whether the caller still wants them. */
const BATCH = 64;

/**
 * One vector per text, as the model gives it, behind the prompt with this name or else the default. Texts longer than the
 * model takes are cut.
 */
export async function embed(
  model: Loaded,
  texts: string[],
  promptName: string | null,
  signal: AbortSignal,
): Promise<Float32Array[]> {
  const { tokenizer } = model.text;
  const { embedding } = model.manifest;
  if (!tokenizer || !embedding) throw makeError("unsupported", "this model does not embed text");
  const prompt = promptOf(embedding, promptName);
  const longest = embedding.maxTokens;
  const leftOut = embedding.leavesOutPrompt && prompt !== "" ? tokenizer.promptTokens(prompt, longest) : 0;
  const vectors: Float32Array[] = [];
  for (let at = 0; at < texts.length; at += BATCH) {
    if (signal.aborted) throw aborted();
    const batch = texts.slice(at, at + BATCH);
    const lists = batch.map((text) => Uint32Array.from(tokenizer.encodeWithin(prompt + text, true, longest)));
    const call = (): Promise<Float32Array[]> => model.runtime.embed(lists, leftOut) as Promise<Float32Array[]>;
    vectors.push(...(await model.withDevice(call, call)));
  }
  return vectors;
}

/** The text in front of others that has this name; without a name the default, which is mostly empty. */
export function promptOf(embedding: EmbeddingSettings, name: string | null): string {
  const wanted = name ?? embedding.defaultPrompt;
  if (wanted === null) return "";
  if (Object.hasOwn(embedding.prompts, wanted)) return embedding.prompts[wanted] ?? "";
  const known = Object.keys(embedding.prompts).map((key) => `\`${key}\``);
  throw makeError("unsupported", `this model has no prompt \`${wanted}\`; it has ${known.join(", ") || "none"}`);
}
