// What is done to a text before it is cut.

import { byteChars } from "./bytes";
import { charsmap } from "./charsmap";
import { makeError } from "../errors";
import { asConfig, fault, flag, kind, list, text, type Config } from "./json";
import { patternOf } from "./split";

const MAX_LENGTH = 1 << 26;

/** A change of a text. */
export type Normalizer = (text: string) => string;

/** The normalizer of a part of the file; null changes nothing. */
export function makeNormalizer(config: Config | null): Normalizer {
  if (config === null) return (t) => t;
  switch (kind(config)) {
    case "Sequence": {
      const all = list(config, "normalizers").map((c) => makeNormalizer(asConfig(c, "normalizers")));
      return (t) => all.reduce((changed, normalizer) => bounded(normalizer(changed)), t);
    }
    case "NFC":
    case "NFD":
    case "NFKC":
    case "NFKD":
      return (t) => t.normalize(kind(config));
    case "Nmt":
      return (t) => t.replace(NMT_REMOVED, "").replace(NMT_SPACES, " ");
    case "Lowercase":
      return lowercase;
    case "Strip": {
      const [left, right] = [flag(config, "strip_left"), flag(config, "strip_right")];
      return (t) => {
        const begun = left ? t.replace(/^\p{White_Space}+/u, "") : t;
        return right ? trimmed(begun) : begun;
      };
    }
    case "StripAccents":
      return (t) => t.replace(/\p{M}/gu, "");
    case "Prepend": {
      const before = text(config, "prepend");
      return (t) => (t === "" ? t : before + t);
    }
    case "Replace": {
      const [pattern, content] = [patternOf(config.pattern), text(config, "content")];
      return (t) => t.replace(pattern, () => content);
    }
    case "ByteLevel":
      return byteChars;
    case "Precompiled":
      return config.precompiled_charsmap ? charsmap(text(config, "precompiled_charsmap")) : (t) => t;
    case "BertNormalizer":
      return words(config);
    default:
      throw fault(`the normalizer ${kind(config)} is not supported in the browser`);
  }
}

const NMT_REMOVED = /[\x01-\x08\x0b\x0e-\x1f\x7f\x8f\x9f]/g;
const NMT_SPACES = /[\t\n\f\r\u1680\u200b-\u200f\u2028\u2029\u2581\ufeff\ufffd]/g;

/** A text that engines can still work with: what comes from a file makes texts longer. */
export function bounded(t: string): string {
  if (t.length > MAX_LENGTH) throw makeError("input", `the tokenizer makes a text of more than ${MAX_LENGTH} characters`);
  return t;
}

/** Without spaces at the end; a pattern would try each of them as the first. */
function trimmed(t: string): string {
  let end = t.length;
  while (end > 0 && /\p{White_Space}/u.test(t.charAt(end - 1))) end -= 1;
  return t.slice(0, end);
}

/** Character by character: JavaScript's own looks at neighbours, such as for the Greek sigma at the end of a word. */
function lowercase(t: string): string {
  let out = "";
  for (const char of t) out += char.toLowerCase();
  return out;
}

const CONTROL = /[\0\ufffd]|(?![\t\n\r])[\p{Cc}\p{Cf}\p{Co}\p{Cs}]/gu;
/** First and last characters of the blocks, as the native tokenizer has them. */
const CHINESE_BLOCKS = [
  "\\u4e00-\\u9fff\\u3400-\\u4dbf\\uf900-\\ufaff",
  "\\u{20000}-\\u{2a6df}\\u{2a700}-\\u{2b73f}\\u{2b740}-\\u{2b81f}\\u{2b920}-\\u{2ceaf}\\u{2f800}-\\u{2fa1f}",
];
const CHINESE = new RegExp(`[${CHINESE_BLOCKS.join("")}]`, "gu");

function words(config: Config): Normalizer {
  const clean = flag(config, "clean_text", true);
  const chinese = flag(config, "handle_chinese_chars", true);
  const lower = flag(config, "lowercase", true);
  const strip = flag(config, "strip_accents", lower);
  return (t) => {
    if (clean) t = t.replace(CONTROL, "").replace(/\p{White_Space}/gu, " ");
    if (chinese) t = t.replace(CHINESE, " $& ");
    if (strip) t = t.normalize("NFD").replace(/\p{Mn}/gu, "");
    return lower ? lowercase(t) : t;
  };
}
