// Which options there are, and what they may be. An option that is misspelt would otherwise do nothing, and nobody would
// be told.

import type {
  CallOptions,
  DetectOptions,
  EmbedOptions,
  GenerateOptions,
  LoadOptions,
  RunOptions,
  TranscribeOptions,
} from "./api";
import { makeError, type GristmillError } from "./errors";

/** What an option is to be, and whether a value is that. */
type Rule = readonly [expected: string, holds: (value: unknown) => boolean];
/** All options of a call. */
type Rules<O> = Record<keyof O, Rule>;

const MOST = 2 ** 32 - 1;

const number = (value: unknown): value is number => typeof value === "number" && Number.isFinite(value);
const isText = (value: unknown): boolean => typeof value === "string";
const isObject = (value: unknown): boolean => typeof value === "object" && value !== null && !Array.isArray(value);
const listOf = (holds: (value: unknown) => boolean, value: unknown): boolean => Array.isArray(value) && value.every(holds);

const whole = (from: number, to: number): Rule => [
  `a whole number from ${from} to ${to}`,
  (value) => Number.isInteger(value) && (value as number) >= from && (value as number) <= to,
];
const real = (words: string, holds: (value: number) => boolean): Rule => [
  `a number ${words}`,
  (value) => number(value) && holds(value),
];
const oneOf = (...words: string[]): Rule => [words.join(", "), (value) => words.includes(value as string)];
const flag: Rule = ["true or false", (value) => typeof value === "boolean"];
const text: Rule = ["a text", isText];
const address: Rule = ["an address", (value) => isText(value) || value instanceof URL];
const texts: Rule = ["a list of texts", (value) => listOf(isText, value)];
const listener: Rule = ["a function", (value) => typeof value === "function"];
const signal: Rule = ["an AbortSignal", (value) => isObject(value) && "aborted" in (value as object)];
const object: Rule = ["an object", isObject];
const objects: Rule = ["a list of objects", (value) => listOf(isObject, value)];
const share = real("from 0 to 1", (value) => value >= 0 && value <= 1);

/** Options of `Model.load`. */
export const LOAD: Rules<LoadOptions> = {
  onProgress: listener,
  signal,
  backend: oneOf("auto", "webgpu", "wasm"),
  threads: whole(1, 64),
  simd: oneOf("auto", "baseline", "relaxed"),
  cache: flag,
  worker: flag,
  baseUrl: address,
  workerUrl: address,
  wasmUrl: address,
  profile: text,
  without: texts,
  limits: ["an object of numbers", (value) => isObject(value) && listOf(number, Object.values(value as object))],
  recoveries: whole(0, MOST),
};

/** Options of all texts that are written. */
const WRITE: Rules<Omit<GenerateOptions, "images" | "onPrompt">> = {
  tools: objects,
  documents: objects,
  continueFinalMessage: flag,
  chatTemplate: text,
  templateVariables: object,
  maxNewTokens: whole(0, MOST),
  temperature: real("of at least 0", (value) => value >= 0),
  topK: whole(0, MOST),
  topP: real("above 0 and at most 1", (value) => value > 0 && value <= 1),
  minP: share,
  repetitionPenalty: real("above 0", (value) => value > 0),
  seed: whole(0, MOST),
  stop: ["a text or a list of texts", (value) => isText(value) || listOf(isText, value)],
  stopTokens: ["a list of token ids", (value) => listOf(whole(0, MOST)[1], value)],
  ignoreEos: flag,
  signal,
};

/** Options of `generate`. */
export const GENERATE: Rules<GenerateOptions> = { ...WRITE, images: ["a list of images", Array.isArray], onPrompt: listener };

/** Options of `transcribe`. */
export const TRANSCRIBE: Rules<TranscribeOptions> = {
  ...WRITE,
  language: text,
  task: text,
  returnTimestamps: ['true, false or "word"', (value) => typeof value === "boolean" || value === "word"],
  onProgress: listener,
};

/** Options of `classify` and `compare`. */
export const CALL: Rules<CallOptions> = { signal };
export const DETECT: Rules<DetectOptions> = { signal, threshold: share };
export const EMBED: Rules<EmbedOptions> = { signal, promptName: text };
export const RUN: Rules<RunOptions> = { greedy: whole(0, MOST), taps: flag };

/** Options without those that say nothing. Throws at the first that is not there, or not what it should be. */
export function checked<O extends object>(rules: Record<keyof O, Rule>, options: O): O {
  if (!isObject(options)) throw wrong("options", "an object", options);
  const given = Object.entries(options).filter(([, value]) => value !== undefined && value !== null);
  for (const [name, value] of given) {
    if (!Object.hasOwn(rules, name)) throw unknown("option", name, Object.keys(rules));
    const [expected, holds] = rules[name as keyof O];
    if (!holds(value)) throw wrong(name, expected, value);
  }
  return Object.fromEntries(given) as O;
}

/** The error of a value that is not what was expected. */
export function wrong(name: string, expected: string, value: unknown): GristmillError {
  const found = isText(value) ? JSON.stringify(value) : Array.isArray(value) ? `[${value}]` : String(value);
  return makeError("input", `${name}: expected ${expected}, found ${found.slice(0, 80)}`);
}

/** The error of a name that is none of those that are known. */
function unknown(what: string, name: string, known: string[]): GristmillError {
  const plain = (word: string): string => word.toLowerCase().replaceAll(/[^a-z]/g, "");
  const found = plain(name);
  const far = (word: string): number => (plain(word).startsWith(found) ? 0 : distance(found, plain(word)));
  const near = known.reduce((best, word) => (far(word) < far(best) ? word : best), known[0] ?? "");
  const close = far(near) <= Math.max(2, name.length / 2);
  const remedy = close ? `did you mean ${near}?` : `there are ${known.join(", ")}`;
  return makeError("input", `unknown ${what} ${name}; ${remedy}`);
}

/** How many letters must be put in, taken out or changed to make one word of another. */
function distance(from: string, to: string): number {
  let row = Array.from({ length: to.length + 1 }, (_, at) => at);
  for (const [at, letter] of [...from].entries()) {
    const next = [at + 1];
    for (let i = 0; i < to.length; i++) {
      const changed = (row[i] ?? 0) + (to[i] === letter ? 0 : 1);
      next.push(Math.min(changed, (row[i + 1] ?? 0) + 1, (next[i] ?? 0) + 1));
    }
    row = next;
  }
  return row[to.length] ?? 0;
}
