// What would fill the memory with a short text, or what the native tokenizer refuses: refused here by the same rules
// (runtime/core/src/tokenizer/check.rs).

import { Charsmap } from "./charsmap";
import { fault, list, text, type Config } from "./json";

/** Parts in parts. */
const MAX_DEPTH = 32;
/** How many times as long a text may become, in bytes. Normalizers of real tokenizers together reach 800 at worst. */
const MAX_GROWTH = 4096;

/** Bytes of what stands around the tokens of a word. */
const MAX_AFFIX = 256;

/** Refuses what a tokenizer file must not ask for. */
export function check(file: Config): void {
  for (const key of ["continuing_subword_prefix", "end_of_word_suffix"]) {
    const affix = isConfig(file.model) ? file.model[key] : null;
    if (typeof affix === "string" && byteCount(affix) > MAX_AFFIX) {
      throw fault(`model: ${key} has more than ${MAX_AFFIX} bytes`);
    }
  }
  const parts = ["normalizer", "pre_tokenizer", "post_processor", "decoder"];
  for (const name of parts) each(file[name], name, 0);
  const product = (names: string[]): number => names.reduce((all, name) => all * growth(file[name]), 1);
  for (const [name, by] of [
    ["normalizer and pre_tokenizer", product(parts.slice(0, 3))],
    ["decoder", product(parts.slice(3))],
  ] as const) {
    if (by > MAX_GROWTH) {
      const times = by.toFixed(0);
      throw fault(`${name}: they can make a text ${times} times as long; at most ${MAX_GROWTH} times is supported`);
    }
  }
}

function isConfig(value: unknown): value is Config {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function each(value: unknown, name: string, depth: number): void {
  if (depth > MAX_DEPTH) throw fault(`${name}: parts are nested more than ${MAX_DEPTH} deep`);
  if (isConfig(value)) refuse(value, name);
  if (typeof value !== "object" || value === null) return;
  for (const inner of Object.values(value)) each(inner, name, depth + 1);
}

const AROUND = ["BertProcessing", "RobertaProcessing", "TemplateProcessing"];

function refuse(entry: Config, name: string): void {
  const around = (part: unknown): boolean => isConfig(part) && AROUND.includes(String(part.type));
  if (entry.type === "Strip" && Number(entry.stop ?? 0) > 0) {
    throw fault(`${name}: Strip with \`stop\`, at which the tokenizers library fails for short tokens`);
  }
  if (entry.type === "FixedLength" && entry.length === 0) throw fault(`${name}: FixedLength with the length 0`);
  if (Array.isArray(entry.processors) && entry.processors.filter(around).length > 1) {
    throw fault(`${name}: a Sequence with two processors that put tokens around a text`);
  }
}

const byteCount = (t: string): number => new TextEncoder().encode(t).length;

/** How many times as long a part makes a text at worst, in bytes. */
function growth(part: unknown): number {
  if (!isConfig(part)) return 1;
  const lists = ["normalizers", "pretokenizers", "processors", "decoders"];
  const inner = lists.flatMap((name) => list(part, name)).reduce((all: number, one) => all * growth(one), 1);
  return inner * own(part);
}

function own(part: Config): number {
  const bytes = (key: string): number => byteCount(text(part, key, ""));
  switch (part.type) {
    case "Replace": {
      const from = isConfig(part.pattern) && typeof part.pattern.String === "string" ? part.pattern.String : null;
      // A regular expression may match nothing, everywhere, and an empty text does.
      return from ? Math.max(bytes("content") / byteCount(from), 1) : 1 + bytes("content");
    }
    case "Prepend":
      return 1 + bytes("prepend");
    // U+FDFA becomes 11 times as long, U+0390 three times, U+023A one and a half times.
    case "NFKC":
    case "NFKD":
      return 11;
    case "NFC":
    case "NFD":
      return 3;
    case "Lowercase":
      return 1.5;
    case "BertNormalizer":
      return 3 * 1.5 * (5 / 3);
    case "Precompiled":
      return part.precompiled_charsmap ? new Charsmap(text(part, "precompiled_charsmap")).growth() : 1;
    case "ByteLevel":
      return part.add_prefix_space === true ? 4 : 2;
    case "Metaspace":
      return 1 + Math.max(bytes("replacement"), 3);
    case "TemplateProcessing":
      return Math.max(list(part, "single").filter((item) => isConfig(item) && item.Sequence).length, 1);
    case "WordPiece":
    case "BPEDecoder":
      return 2;
    default:
      return 1;
  }
}
