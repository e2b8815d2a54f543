// Text generation: from a prompt to token ids, and to what came of them.

import type { GenerateResult, TemplateOptions } from "../api";
import { makeError } from "../errors";
import type { CallContext } from "../link";
import type { Loaded } from "../loaded";
import { pixelsOf, type SentImage } from "../image";
import type { SentGenerateOptions, SentMessage, WriteEvent } from "../protocol";
import type { Generated } from "../runtime";
import { placeholder, render } from "./tokenize";
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
  const { tokenizer } = model.text;
  if (!tokenizer) throw makeError("unsupported", "this model takes token ids only");
  const image = placeholder(model, tokenizer);
  if (images > 0 && !image) throw makeError("unsupported", "this model takes no images in prompts");
  if (typeof prompt === "string") {
    return tokenizer.encode(image ? model.runtime.placeImages(image.token, prompt, images) : prompt, true);
  }
  const text = render(model, prompt, options);
  // The template writes special tokens itself.
  return tokenizer.encode(text, false);
}
