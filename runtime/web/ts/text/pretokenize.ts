// Cutting a text into the pieces that a model of tokens looks at one by one.

import { byteChars } from "./bytes";
import { asConfig, count, fault, flag, kind, list, maybeText, text, type Config } from "./json";
import { behaviorOf, patternOf, split, WORD_CHARS } from "./split";

/** A piece of a text. `first` says that it is the beginning of the whole text. */
export interface Section {
  text: string;
  first: boolean;
}

/** Cuts a piece into smaller ones. */
export type PreTokenizer = (section: Section) => Section[];

const WORDS = new RegExp(`[${WORD_CHARS}]+|[^${WORD_CHARS}\\p{White_Space}]+`, "gu");
const PUNCTUATION = /[!-/:-@[-`{-~\p{P}]/gu;
const SPACE = /\p{White_Space}/gu;
const BYTE_LEVEL = new RegExp(
  "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\p{White_Space}\\p{L}\\p{N}]+" +
    "|\\p{White_Space}+(?!\\P{White_Space})|\\p{White_Space}+",
  "gu",
);

/** The pre-tokenizer of a part of the file; null cuts nothing. */
export function makePreTokenizer(config: Config | null): PreTokenizer {
  if (config === null) return (section) => [section];
  switch (kind(config)) {
    case "Sequence": {
      const all = list(config, "pretokenizers").map((c) => makePreTokenizer(asConfig(c, "pretokenizers")));
      return (section) => all.reduce((sections, cut) => sections.flatMap(cut), [section]);
    }
    case "Whitespace":
      return cutting((t) => split(t, WORDS, "Removed", true));
    case "WhitespaceSplit":
      return cutting((t) => split(t, SPACE, "Removed"));
    case "BertPreTokenizer":
      return cutting((t) => split(t, SPACE, "Removed").flatMap((word) => split(word, PUNCTUATION, "Isolated")));
    case "Punctuation": {
      const behavior = behaviorOf(text(config, "behavior", "Isolated"));
      return cutting((t) => split(t, PUNCTUATION, behavior));
    }
    case "Digits": {
      const behavior = flag(config, "individual_digits") ? "Isolated" : "Contiguous";
      return cutting((t) => split(t, /\p{N}/gu, behavior));
    }
    case "CharDelimiterSplit": {
      const pattern = patternOf({ String: text(config, "delimiter") });
      return cutting((t) => split(t, pattern, "Removed"));
    }
    case "Split": {
      const [pattern, behavior] = [patternOf(config.pattern), behaviorOf(text(config, "behavior"))];
      const invert = flag(config, "invert");
      return cutting((t) => split(t, pattern, behavior, invert));
    }
    case "FixedLength": {
      const length = Math.max(count(config, "length", 5), 1);
      return cutting((t) => {
        const chars = Array.from(t);
        return Array.from({ length: Math.ceil(chars.length / length) }, (_, i) =>
          chars.slice(i * length, (i + 1) * length).join(""),
        );
      });
    }
    case "ByteLevel":
      return byteLevel(config);
    case "Metaspace":
      return metaspace(config);
    default:
      throw fault(`the pre-tokenizer ${kind(config)} is not supported in the browser`);
  }
}

function cutting(cut: (text: string) => string[]): PreTokenizer {
  return (section) => pieces(section, cut(section.text));
}

/** Pieces of a section, of which the first one begins where the section does. */
function pieces(section: Section, texts: string[]): Section[] {
  return texts.map((t, i) => ({ text: t, first: section.first && i === 0 && section.text.startsWith(t) }));
}

function byteLevel(config: Config): PreTokenizer {
  const prefix = flag(config, "add_prefix_space", true);
  const cut = flag(config, "use_regex", true);
  return (section) => {
    const t = prefix && !section.text.startsWith(" ") ? ` ${section.text}` : section.text;
    const parts = cut ? split(t, BYTE_LEVEL, "Isolated") : [t];
    return parts.map((p, i) => ({ text: byteChars(p), first: section.first && i === 0 }));
  };
}

function metaspace(config: Config): PreTokenizer {
  const space = text(config, "replacement", "▁");
  const scheme = prependScheme(config);
  const cut = flag(config, "split", true);
  const pattern = patternOf({ String: space });
  return (section) => {
    let t = section.text.replaceAll(" ", () => space);
    const prepend = scheme === "always" || (scheme === "first" && section.first);
    if (prepend && !t.startsWith(space)) t = space + t;
    const parts = cut ? split(t, pattern, "MergedWithNext") : [t];
    return parts.map((p, i) => ({ text: p, first: section.first && i === 0 }));
  };
}

/** Whether a space is put in front: `always`, before the `first` piece, or `never`. Older files say it otherwise. */
export function prependScheme(config: Config): string {
  return maybeText(config, "prepend_scheme") ?? (flag(config, "add_prefix_space", true) ? "always" : "never");
}
