// Texts to token ids and back, and conversations to prompts, as generating does it.

import type { ChatTemplateOptions } from "../api";
import { makeError } from "../errors";
import type { Loaded } from "../loaded";
import type { SentMessage } from "../protocol";
import type { ImageText } from "../text/template";
import type { Tokenizer } from "../text/tokenizer";

/** The tokenizer of a model. */
export function tokenizerOf({ text: { tokenizer } }: Loaded): Tokenizer {
  if (tokenizer) return tokenizer;
  throw makeError("unsupported", "this model has no tokenizer");
}

/** The token ids of a text. */
export function encode(model: Loaded, text: string, special: boolean): number[] {
  if (typeof text !== "string") throw makeError("input", `text: expected a text, found ${String(text)}`);
  return tokenizerOf(model).encode(text, special);
}

/** The text of token ids. */
export function decode(model: Loaded, ids: ArrayLike<number>, special: boolean): string {
  const tokenizer = tokenizerOf(model);
  for (const [index, id] of Array.from(ids).entries()) {
    if (Number.isInteger(id) && tokenizer.idToToken(id) !== undefined) continue;
    throw makeError("input", `ids[${index}]: expected the id of a token, found ${String(id)}`);
  }
  return tokenizer.decode(ids, special);
}

/** The prompt for messages. */
export function render(model: Loaded, messages: SentMessage[], options: ChatTemplateOptions): string {
  const { addGenerationPrompt = true } = options;
  const { template, tokenizer } = model.text;
  if (!template) {
    throw makeError("unsupported", "this model has no chat template: pass the prompt as a text instead of messages");
  }
  const image = tokenizer && placeholder(model, tokenizer);
  return template.render(messages, addGenerationPrompt, Math.floor(Date.now() / 1000), options, image);
}

/** What a prompt holds for an image; null if prompts hold no images. */
export function placeholder(model: Loaded, tokenizer: Tokenizer): ImageText | null {
  const task = model.manifest.entries.find((e) => e.task?.kind === "generate")?.task;
  if (task?.token === undefined) return null;
  const token = tokenizer.idToToken(task.token);
  if (!token) throw makeError("bundle", `tokenizer.json has no token ${task.token}, the placeholder of images`);
  return { placeholder: task.placeholder ?? token, token };
}
