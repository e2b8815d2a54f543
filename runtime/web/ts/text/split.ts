// Cutting texts at patterns, with all that can be done with what matched.

import { asConfig, fault, type Config } from "./json";

/** What to do with a match: a piece of its own, dropped, part of a neighbour, or one piece with its like. */
export type Behavior = "Isolated" | "Removed" | "MergedWithPrevious" | "MergedWithNext" | "Contiguous";

const BEHAVIORS: Behavior[] = ["Isolated", "Removed", "MergedWithPrevious", "MergedWithNext", "Contiguous"];

/** The behavior of a name. */
export function behaviorOf(name: string): Behavior {
  const found = BEHAVIORS.find((b) => b.toLowerCase() === name.toLowerCase());
  if (found) return found;
  throw fault(`expected a behavior of a split, found ${name}`);
}

/** The characters that make up words, for the inside of a class. */
export const WORD_CHARS = "\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}\\p{Join_Control}";

/** A text as a pattern that matches it. */
export function escapePattern(text: string): string {
  return text.replace(/[\\^$.*+?()[\]{}|]/g, "\\$&");
}

/**
 * The pattern of a `String` or `Regex`. The compiler has written regular expressions so that they mean the same here as
 * natively.
 */
export function patternOf(value: unknown): RegExp {
  const pattern: Config = asConfig(value, "pattern");
  if (typeof pattern.String === "string") return new RegExp(escapePattern(pattern.String), "gu");
  if (typeof pattern.Regex !== "string") throw fault(`expected a pattern, found ${JSON.stringify(value)}`);
  try {
    return new RegExp(pattern.Regex, "gu");
  } catch (e) {
    throw fault(`the regular expression ${pattern.Regex} cannot be used in this browser: ${String(e)}`);
  }
}

interface Range {
  from: number;
  to: number;
  match: boolean;
}

/** A piece of a text, and where it begins. */
export interface Cut {
  text: string;
  at: number;
}

/** The pieces of a text. With `invert`, what is between matches counts as matching. */
export function split(text: string, pattern: RegExp, behavior: Behavior, invert = false): Cut[] {
  const ranges: Range[] = [];
  let last = 0;
  for (const found of text.matchAll(pattern)) {
    const to = found.index + found[0].length;
    if (last < found.index) ranges.push({ from: last, to: found.index, match: invert });
    ranges.push({ from: found.index, to, match: !invert });
    last = to;
  }
  if (last < text.length) ranges.push({ from: last, to: text.length, match: invert });
  return arrange(ranges, behavior)
    .map(({ from, to }) => ({ text: text.slice(from, to), at: from }))
    .filter((piece) => piece.text !== "");
}

function arrange(ranges: Range[], behavior: Behavior): Range[] {
  const joined: Range[] = [];
  let matched: boolean | null = null;
  switch (behavior) {
    case "Isolated":
      return ranges;
    case "Removed":
      return ranges.filter((r) => !r.match);
    case "Contiguous":
      for (const range of ranges) {
        const before = joined.at(-1);
        if (before && range.match === matched) before.to = range.to;
        else joined.push(range);
        matched = range.match;
      }
      return joined;
    case "MergedWithPrevious":
      for (const range of ranges) {
        const before = joined.at(-1);
        if (before && range.match && !matched) before.to = range.to;
        else joined.push({ ...range });
        matched = range.match;
      }
      return joined;
    case "MergedWithNext":
      for (const range of ranges.reverse()) {
        const after = joined.at(-1);
        if (after && range.match && !matched) after.from = range.from;
        else joined.push({ ...range });
        matched = range.match;
      }
      return joined.reverse();
  }
}
