// Text that is written on the device, whatever it follows from: options with their defaults, pieces as they come.

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

/** Options with defaults, `mostTokens` among them. They are checked where callers give them, in `options.ts`. */
export function complete(options: SentGenerateOptions, mostTokens: number): FullGenerateOptions {
  const { stop = [] } = options;
  return {
    maxNewTokens: options.maxNewTokens ?? mostTokens,
    temperature: options.temperature ?? 0,
    topK: options.topK ?? 0,
    topP: options.topP ?? 1,
    minP: options.minP ?? 0,
    repetitionPenalty: options.repetitionPenalty ?? 1,
    seed: options.seed ?? crypto.getRandomValues(new Uint32Array(1))[0] ?? 0,
    stop: typeof stop === "string" ? [stop] : stop,
    stopTokens: options.stopTokens ?? [],
    ignoreEos: options.ignoreEos ?? false,
  };
}
