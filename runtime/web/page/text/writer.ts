// Generating: what the conversation and the story have in common.

import type { GenerateOptions, GenerateResult, Message } from "../../ts/api";
import type { Model } from "../../ts/index";
import { announce, setState } from "../dom";
import type { Facts } from "../panels/facts";
import { troubleOf, type Trouble } from "../panels/trouble";

/** What came of a text: a result, or the error that ended it. */
export type Written = { result: GenerateResult; trouble?: never } | { result?: never; trouble: Trouble };

/** Lets the model write, one text at a time. */
export interface Writer {
  /** Writes; calls `append` for each piece. The view shows the error that ends it, in the place of the text. */
  write(prompt: string | Message[], options: GenerateOptions, append: (piece: string) => void): Promise<Written>;
  /** How many tokens a text is. */
  count(text: string): Promise<number>;
  /** Ends the text that is being written. */
  stop(): void;
  busy(): boolean;
}

/** How often memory is asked for while a text is written, in milliseconds. */
const MEMORY_EVERY = 1000;
/** Least characters that a reader of the screen is given at once. */
const SPOKEN_AT_ONCE = 80;

/** A new writer. `lost` is told of errors after which there is no model any more. */
export function createWriter(model: Model, facts: Facts, lost: (error: Trouble) => void): Writer {
  let controller: AbortController | null = null;

  async function write(
    prompt: string | Message[],
    options: GenerateOptions,
    append: (piece: string) => void,
  ): Promise<Written> {
    controller = new AbortController();
    setState("working");
    const watch = setInterval(() => void report(model, facts), MEMORY_EVERY);
    const speak = speaker();
    const begin = performance.now();
    let first = 0;
    let pieces = 0;
    try {
      const stream = model.generate(prompt, { ...options, signal: controller.signal, onPrompt: facts.prompt });
      // Awaited below; without a handler here, an error of the stream would count as unhandled for a moment.
      stream.result.catch(() => undefined);
      for await (const piece of stream) {
        const now = performance.now();
        if (first === 0) facts.first((first = now) - begin);
        else facts.rate(++pieces, now - first);
        append(piece);
        speak(piece);
      }
      const result = await stream.result;
      facts.result(result);
      speak("", true);
      setState("ready");
      return { result };
    } catch (thrown) {
      setState("ready");
      const trouble = troubleOf(thrown);
      if (trouble.code === "device-lost" || trouble.code === "no-webgpu") lost(trouble);
      return { trouble };
    } finally {
      clearInterval(watch);
      controller = null;
      void report(model, facts);
    }
  }

  async function count(text: string): Promise<number> {
    return (await model.tokenizer.encode(text, { addSpecialTokens: false })).length;
  }

  return { write, count, stop: () => controller?.abort(), busy: () => controller !== null };
}

/** Brings the figure of memory up to date. */
export async function report(model: Model, facts: Facts): Promise<void> {
  try {
    facts.memory(await model.memory());
  } catch {
    // The figure stays as it was: the caller of the model gets the error anyway.
  }
}

/** Announces text as it comes, in whole sentences, so that a reader of the screen is not interrupted by every token. */
function speaker(): (piece: string, last?: boolean) => void {
  let waiting = "";
  return (piece, last = false) => {
    waiting += piece;
    const end = last
      ? waiting.length
      : Math.max(...[". ", "! ", "? ", "\n"].map((mark) => waiting.lastIndexOf(mark) + 1));
    if (end === 0 || (!last && end < SPOKEN_AT_ONCE)) return;
    announce(waiting.slice(0, end));
    waiting = waiting.slice(end);
  };
}
