// Text that is written on the device, whatever it follows from: options with their defaults, pieces as they come.

import { makeError } from "../errors";
import type { CallContext } from "../link";
import type { Loaded } from "../loaded";
import type { SentGenerateOptions, WriteEvent } from "../protocol";
import type { FullGenerateOptions } from "../runtime";

/** What the runtime calls: tokens to text, a piece of text, and whether to go on. */
type Host = [
  decode: (tokens: Uint32Array) => string,
  piece: (text: string) => void,
  keepGoing: (done: number, total: number) => boolean,
];

/** A text that was written, and what the runtime says about it as JSON. */
export interface Written {
  json: string;
  text: string;
  /** Devices that were lost and replaced on the way. */
  recoveries: number;
}

/** Lets the runtime write; an abort ends it without an error, a lost device only for a while. */
export async function write(
  model: Loaded,
  { signal, emit }: CallContext<WriteEvent>,
  start: (host: Host) => Promise<unknown>,
): Promise<Written> {
  const { tokenizer } = model.text;
  let text = "";
  let pieces = 0;
  let seen = 0;
  const host: Host = [
    (tokens) => tokenizer?.decode(tokens) ?? "",
    (more) => {
      text += more;
      pieces += 1;
      emit({ piece: more });
    },
    (done, total) => {
      if (total > 0) emit({ done, total });
      seen += 1;
      return !signal.aborted;
    },
  ];
  let recoveries = 0;
  const json = await model.withDevice(
    () => start(host),
    () => model.runtime.resume(...host),
    () => {
      const progress = pieces > 0 || seen > 0;
      [pieces, seen] = [0, 0];
      return progress;
    },
    () => (recoveries += 1),
  );
  return { json: json as string, text, recoveries };
}

/** The values that an option may have. */
interface Range {
  words: string;
  holds(value: number): boolean;
}

/**
 * Options with defaults, `mostTokens` among them. They are checked here, where they have the names that the caller
 * knows.
 */
export function complete(options: SentGenerateOptions, mostTokens: number): FullGenerateOptions {
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
    maxNewTokens: whole("maxNewTokens", mostTokens),
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
