// Tokens that are found in a text before anything else is done with it.

import { asConfig, count, flag, list, text, type Config } from "./json";
import type { Normalizer } from "./normalize";
import type { Section } from "./pretokenize";
import { escapePattern, WORD_CHARS } from "./split";

/** A token outside of the model's own. */
export interface AddedToken {
  id: number;
  content: string;
  special: boolean;
  singleWord: boolean;
  lstrip: boolean;
  rstrip: boolean;
  normalized: boolean;
}

/** A piece of a text: a token, or text that is still to be encoded. */
export type Part = { id: number } | Section;

const WORD_BEGINS = new RegExp(`^[${WORD_CHARS}]`, "u");
const WORD_ENDS = new RegExp(`[${WORD_CHARS}]$`, "u");

/** The added tokens of the file. Ids in the model's vocabulary count more than what stands in the list. */
export function readAdded(config: Config, vocabulary: Map<string, number>): AddedToken[] {
  const entries = list(config, "added_tokens").map((entry) => asConfig(entry, "added_tokens"));
  const tokens = entries.map((entry) => {
    const content = text(entry, "content");
    const special = flag(entry, "special");
    return {
      id: vocabulary.get(content) ?? count(entry, "id"),
      content,
      special,
      singleWord: flag(entry, "single_word"),
      lstrip: flag(entry, "lstrip"),
      rstrip: flag(entry, "rstrip"),
      normalized: flag(entry, "normalized", !special),
    };
  });
  return tokens.filter((token) => token.content !== "");
}

/**
 * Finds tokens in a text. Those that are normalized are looked for in the normalized text. With `split`, special tokens
 * are not found.
 */
export function makeFinder(tokens: AddedToken[], normalize: Normalizer, split: boolean): (text: string) => Part[] {
  const found = (entries: [string, AddedToken][]): ReturnType<typeof matcher> => matcher(entries, split);
  const raw = found(tokens.filter((t) => !t.normalized).map((t) => [t.content, t]));
  const normalized = found(tokens.filter((t) => t.normalized).map((t) => [normalize(t.content), t]));
  return (whole) =>
    raw({ text: whole, head: firstOf(whole).length }).flatMap((section): Part[] =>
      "id" in section ? [section] : normalized(normalizedSection(section, normalize)),
    );
}

/** The first character of a text. */
function firstOf(text: string): string {
  return String.fromCodePoint(...(text === "" ? [] : [text.codePointAt(0) ?? 0]));
}

/**
 * A section after it was normalized. What its head becomes is found by normalizing the head alone: nothing, if it is
 * removed; else as much as is the same in front of the rest; or what it is composed to with the rest.
 */
function normalizedSection(section: Section, normalize: Normalizer): Section {
  const text = normalize(section.text);
  const begin = section.text.slice(0, section.head);
  // Alone it may also be an end, such as a space that is removed there.
  const alone = normalize(begin) || (text.startsWith(begin) ? begin : "");
  let head = 0;
  while (head < alone.length && alone[head] === text[head]) head += 1;
  const composed = head === 0 && alone !== "" && firstOf(text.normalize("NFD")) === firstOf(alone.normalize("NFD"));
  return { text, head: composed ? firstOf(text).length : head };
}

function matcher(entries: [string, AddedToken][], split: boolean): (section: Section) => Part[] {
  const found = new Map(entries.filter(([content]) => content !== ""));
  // The longest of those that begin at a place.
  const contents = [...found.keys()].sort((a, b) => b.length - a.length);
  const pattern = contents.length > 0 ? new RegExp(contents.map(escapePattern).join("|"), "gu") : null;
  return ({ text: t, head }) => {
    const parts: Part[] = [];
    let last = 0;
    const rest = (to: number): void => {
      if (last < to) parts.push({ text: t.slice(last, to), head: Math.max(0, Math.min(head, to) - last) });
    };
    for (const match of pattern ? t.matchAll(pattern) : []) {
      const token = found.get(match[0]);
      if (split && token?.special) continue;
      const range = token && extent(t, match.index, match.index + match[0].length, token, last);
      if (!range) continue;
      rest(range.from);
      // The spaces of the match before may have swallowed this one.
      if (range.from < range.to) parts.push({ id: token.id });
      last = range.to;
    }
    rest(t.length);
    return parts;
  };
}

/** What a match covers together with the spaces that belong to it; null if it does not count. */
function extent(
  t: string,
  from: number,
  to: number,
  token: AddedToken,
  last: number,
): { from: number; to: number } | null {
  if (token.singleWord && (WORD_ENDS.test(t.slice(0, from)) || WORD_BEGINS.test(t.slice(to)))) return null;
  if (token.lstrip) {
    let begin = from;
    while (begin > 0 && /\p{White_Space}/u.test(t.charAt(begin - 1))) begin -= 1;
    from = Math.max(begin, last);
  }
  if (token.rstrip) while (to < t.length && /\p{White_Space}/u.test(t.charAt(to))) to += 1;
  return { from, to };
}
