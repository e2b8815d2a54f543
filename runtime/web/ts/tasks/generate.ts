// Text generation: from a prompt to token ids, and to what came of them.

import type { GenerateResult } from "../api";
import { makeError } from "../errors";
import type { CallContext } from "../link";
import type { Loaded } from "../loaded";
import { pixelsOf, type SentImage } from "../image";
import type { SentGenerateOptions, SentMessage, TemplateOptions, WriteEvent } from "../protocol";
import type { Generated } from "../runtime";
import type { ChatTemplate } from "../text/template";
import type { Tokenizer } from "../text/tokenizer";
import { complete, write } from "./write";

/** Most tokens unless the caller says otherwise. */
const MOST_TOKENS = 256;

/** What is to be continued. */
interface Prompted {
  prompt: string | SentMessage[];
  images: SentImage[];
  options: SentGenerateOptions;
}

/** Generates. An abort ends it without an error. */
export async function generate(
  model: Loaded,
  { prompt, images, options }: Prompted,
  context: CallContext<WriteEvent>,
): Promise<GenerateResult> {
  if (!model.text.tokenizer || !model.manifest.entries.some((e) => e.role === "decode")) {
    throw makeError("unsupported", "this model does not generate text");
  }
  const ids = Uint32Array.from(encode(model, prompt, images.length, options));
  const pixels = images.map(pixelsOf);
  const full = complete(options, MOST_TOKENS);
  if (context.signal.aborted) full.maxNewTokens = 0;
  const given = JSON.stringify(full);
  const written = await write(model, context, (host) => model.runtime.generate(ids, pixels, given, ...host));
  const generated = JSON.parse(written.json) as Generated;
  if (context.signal.aborted) generated.reason = "aborted";
  return { ...generated, text: written.text, recoveries: written.recoveries };
}

function encode(model: Loaded, prompt: string | SentMessage[], images: number, options: TemplateOptions): number[] {
  const { tokenizer, template } = model.text;
  if (!tokenizer) throw makeError("unsupported", "this model takes token ids only");
  if (images > 0) return withMarks(model, tokenizer, prompt, images, options);
  if (typeof prompt === "string") return tokenizer.encode(prompt, true);
  // The template writes special tokens itself.
  return tokenizer.encode(render(template, prompt, options), false);
}

function render(template: ChatTemplate | null, messages: SentMessage[], options: TemplateOptions): string {
  if (template) return template.render(messages, true, Math.floor(Date.now() / 1000), options);
  throw makeError("unsupported", "this model has no chat template: give the prompt as a text instead of messages");
}

/** The ids of a prompt with as many marks of images as there are; those that it does not have stand in front. */
function withMarks(
  model: Loaded,
  tokenizer: Tokenizer,
  prompt: string | SentMessage[],
  images: number,
  options: TemplateOptions,
): number[] {
  const task = model.manifest.entries.find((e) => e.task?.kind === "generate")?.task;
  if (task?.token === undefined) throw makeError("unsupported", "this model looks at no images while it writes");
  const placeholder = task.placeholder ?? tokenizer.idToToken(task.token) ?? "";
  const marks = (ids: number[]): number => ids.filter((id) => id === task.token).length;
  const missing = (text: string): number => Math.max(images - marks(tokenizer.encode(text, false)), 0);
  if (typeof prompt === "string") return tokenizer.encode(placeholder.repeat(missing(prompt)) + prompt, true);
  // The template knows best where images belong, if it knows of images at all.
  try {
    const ids = tokenizer.encode(render(model.text.template, prompt, options), false);
    if (marks(ids) === images) return ids;
  } catch (e) {
    if (!model.text.template) throw e;
  }
  const plain = prompt.map(({ content, ...rest }) => ({ ...rest, content: flat(content, placeholder) }));
  return tokenizer.encode(render(model.text.template, plain, options), false);
}

/** A message as a text. */
function flat(content: SentMessage["content"], placeholder: string): string {
  if (!Array.isArray(content)) return content ?? "";
  return content.map((part) => (part.type === "text" ? part.text : placeholder)).join("");
}
