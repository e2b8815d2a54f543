// Text generation: from a prompt to token ids, and to what came of them.

import type { GenerateResult, Message } from "../api";
import type { SentGenerateOptions } from "../engine";
import { makeError } from "../errors";
import type { CallContext } from "../link";
import type { Loaded } from "../loaded";
import type { Generated } from "../runtime";
import { complete, write, type WriteEvent } from "./write";

/** Most tokens unless the caller says otherwise. */
const MOST_TOKENS = 256;

/** Generates. An abort ends it without an error. */
export async function generate(
  model: Loaded,
  { prompt, options }: { prompt: string | Message[]; options: SentGenerateOptions },
  context: CallContext<WriteEvent>,
): Promise<GenerateResult> {
  if (!model.text.tokenizer || !model.manifest.entries.some((e) => e.role === "decode")) {
    throw makeError("unsupported", "this model does not generate text");
  }
  const ids = Uint32Array.from(encode(model, prompt));
  const full = complete(options, MOST_TOKENS);
  if (context.signal.aborted) full.maxNewTokens = 0;
  const given = JSON.stringify(full);
  const written = await write(model, context, (host) => model.runtime.generate(ids, given, ...host));
  const generated = JSON.parse(written.json) as Generated;
  if (context.signal.aborted) generated.reason = "aborted";
  return { ...generated, text: written.text, recoveries: written.recoveries };
}

function encode(model: Loaded, prompt: string | Message[]): number[] {
  const { tokenizer, template } = model.text;
  if (!tokenizer) throw makeError("unsupported", "this model takes token ids only");
  if (typeof prompt === "string") return tokenizer.encode(prompt, true);
  if (!template) {
    throw makeError("unsupported", "this model has no chat template: give the prompt as a text instead of messages");
  }
  // The template writes special tokens itself.
  return tokenizer.encode(template.render(prompt, true, Math.floor(Date.now() / 1000)), false);
}
