// Text generation: prompt to token ids, options with their defaults, pieces of text as they come.

import type { GenerateResult, Message } from "../api";
import type { SentGenerateOptions } from "../engine";
import { makeError } from "../errors";
import type { CallContext } from "../link";
import type { Loaded } from "../loaded";
import type { FullGenerateOptions, Generated } from "../runtime";

/** What a generation reports. */
export type GenerateEvent = { piece: string } | { done: number; total: number };

/** Generates. An abort ends it without an error. */
export async function generate(
  model: Loaded,
  { prompt, options }: { prompt: string | Message[]; options: SentGenerateOptions },
  { signal, emit }: CallContext<GenerateEvent>,
): Promise<GenerateResult> {
  const { tokenizer } = model.text;
  if (!tokenizer || !model.manifest.entries.some((e) => e.role === "decode")) {
    throw makeError("unsupported", "this model does not generate text");
  }
  const ids = encode(model, prompt);
  const full = complete(options);
  let text = "";
  let pieces = 0;
  let seen = 0;
  const decode = (tokens: Uint32Array): string => tokenizer.decode(tokens);
  const piece = (more: string): void => {
    text += more;
    pieces += 1;
    emit({ piece: more });
  };
  const keepGoing = (done: number, total: number): boolean => {
    if (total > 0) emit({ done, total });
    seen += 1;
    return !signal.aborted;
  };
  let recoveries = 0;
  if (signal.aborted) full.maxNewTokens = 0;
  const json = await model.withDevice(
    () => model.runtime.generate(Uint32Array.from(ids), JSON.stringify(full), decode, piece, keepGoing),
    () => model.runtime.resume(decode, piece, keepGoing),
    () => {
      const progress = pieces > 0 || seen > 0;
      [pieces, seen] = [0, 0];
      return progress;
    },
    () => (recoveries += 1),
  );
  const generated = JSON.parse(json as string) as Generated;
  if (signal.aborted) generated.reason = "aborted";
  return { ...generated, text, recoveries };
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

/** The values that an option may have. */
interface Range {
  words: string;
  holds(value: number): boolean;
}

/** Options with defaults. They are checked here, where they have the names that the caller knows. */
function complete(options: SentGenerateOptions): FullGenerateOptions {
  const whole = (name: keyof SentGenerateOptions, fallback: number): number => {
    const value = options[name] ?? fallback;
    if (typeof value === "number" && Number.isInteger(value) && value >= 0 && value <= 2 ** 32 - 1) return value;
    throw makeError("input", `${name}: expected a whole number from 0 to 4294967295, found ${String(value)}`);
  };
  const real = (name: keyof SentGenerateOptions, fallback: number, accepts: Range): number => {
    const value = options[name] ?? fallback;
    if (typeof value === "number" && Number.isFinite(value) && accepts.holds(value)) return value;
    throw makeError("input", `${name}: expected a number ${accepts.words}, found ${String(value)}`);
  };
  const { stop = [], stopTokens = [], ignoreEos = false } = options;
  return {
    maxNewTokens: whole("maxNewTokens", 256),
    temperature: real("temperature", 0, { words: "of at least 0", holds: (value) => value >= 0 }),
    topK: whole("topK", 0),
    topP: real("topP", 1, { words: "above 0 and at most 1", holds: (value) => value > 0 && value <= 1 }),
    minP: real("minP", 0, { words: "from 0 to 1", holds: (value) => value >= 0 && value <= 1 }),
    repetitionPenalty: real("repetitionPenalty", 1, { words: "above 0", holds: (value) => value > 0 }),
    seed: whole("seed", crypto.getRandomValues(new Uint32Array(1))[0] ?? 0),
    stop: typeof stop === "string" ? [stop] : stop,
    stopTokens,
    ignoreEos,
  };
}
