// Cutting a text into the pieces that a model of tokens looks at one by one.

import { byteChars } from "./bytes";
import { asConfig, count, fault, flag, kind, list, maybeText, text, type Config } from "./json";
import { behaviorOf, patternOf, split, WORD_CHARS, type Cut } from "./split";

/** A piece of a text. So much of its beginning as `head` says comes from the first character of the whole text. */
export interface Section {
  text: string;
  head: number;
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
      return cutting((t) => 
        split(t, SPACE, "Removed").flatMap((word) =>
          split(word.text, PUNCTUATION, "Isolated").map((cut) => ({ text: cut.text, at: word.at + cut.at })),
        ),
      );
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
        const cuts: Cut[] = [];
        let at = 0;
        for (const [i, char] of Array.from(t).entries()) {
          const last = cuts.at(-1);
          if (last && i % length !== 0) last.text += char;
          else cuts.push({ text: char, at });
          at += char.length;
        }
        return cuts;
      });
    }
    case "UnicodeScripts":
      return unicodeScripts(config);
    case "ByteLevel":
      return byteLevel(config);
    case "Metaspace":
      return metaspace(config);
    default:
      throw fault(`the pre-tokenizer ${kind(config)} is not supported in the browser`);
  }
}

function cutting(cut: (text: string) => Cut[]): PreTokenizer {
  return (section) => sections(cut(section.text), section.head);
}

/** Pieces of a section with such a head. */
function sections(cuts: Cut[], head: number): Section[] {
  return cuts.map(({ text, at }) => ({ text, head: Math.max(0, Math.min(head - at, text.length)) }));
}

/** Cuts where the script changes. What is in front of the first character with a script is lost, as it is natively. */
function unicodeScripts(config: Config): PreTokenizer {
  // The compiler has written the table: first and last character of stretches, and the number of their script.
  const table = list(config, "scripts") as [number, number, number][];
  const scriptOf = (code: number): number => {
    let [low, high] = [0, table.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((table[middle]?.[1] ?? 0) < code) low = middle + 1;
      else high = middle;
    }
    const [first, , script] = table[low] ?? [Infinity, 0, 0];
    return first <= code ? script : 0;
  };
  return cutting((t) => {
    const cuts: Cut[] = [];
    let last = 0;
    let at = 0;
    for (const char of t) {
      const script = scriptOf(char.codePointAt(0) ?? 0);
      const cut = cuts.at(-1);
      if (script !== 0 && script !== last) cuts.push({ text: char, at });
      else if (cut) cut.text += char;
      if (script !== 0) last = script;
      at += char.length;
    }
    return cuts;
  });
}

function byteLevel(config: Config): PreTokenizer {
  const prefix = flag(config, "add_prefix_space", true);
  const cut = flag(config, "use_regex", true);
  return (section) => {
    const { text, head } = prefix && !section.text.startsWith(" ") ? prepended(" ", section) : section;
    const parts = cut ? sections(split(text, BYTE_LEVEL, "Isolated"), head) : [{ text, head }];
    return parts.map((p) => ({ text: byteChars(p.text), head: byteChars(p.text.slice(0, p.head)).length }));
  };
}

function metaspace(config: Config): PreTokenizer {
  const space = text(config, "replacement", "▁");
  const scheme = prependScheme(config);
  const cut = flag(config, "split", true);
  const pattern = patternOf({ String: space });
  return (section) => {
    const spaced = (t: string): string => t.replaceAll(" ", () => space);
    let changed = { text: spaced(section.text), head: spaced(section.text.slice(0, section.head)).length };
    const prepend = scheme === "always" || (scheme === "first" && section.head > 0);
    if (prepend && !changed.text.startsWith(space)) changed = prepended(space, changed);
    return cut ? sections(split(changed.text, pattern, "MergedWithNext"), changed.head) : [changed];
  };
}

/** A section with a text in front, which comes from where the section begins. */
function prepended(before: string, { text, head }: Section): Section {
  return { text: before + text, head: head > 0 ? head + before.length : 0 };
}

/** Whether a space is put in front: `always`, before the `first` piece, or `never`. Older files say it otherwise. */
export function prependScheme(config: Config): string {
  return maybeText(config, "prepend_scheme") ?? (flag(config, "add_prefix_space", true) ? "always" : "never");
}
