// Parses an answer while it grows. Loaded when the first answer is shown.

import { Lexer, Tokenizer, type Token, type Tokens } from "marked";
import { blockOf, Outline } from "./convert";
import { piece, type Piece } from "./tree";
import { windowOf } from "./window";

/** What a text consists of since it was last asked. */
export interface Reading {
  /** Blocks that are complete and will not change. */
  settled: Piece[];
  /** The last one, which what follows may change. */
  growing: Piece[];
}

/** A parser of one text. */
export interface Parser {
  /** The text so far, which begins with what it was before. */
  read(text: string): Reading;
}

/** Most addresses that are kept for links that name them. */
const MOST_LINKS = 200;

/** A new parser. */
export function createParser(): Parser {
  /** What is settled, and up to where it was found out. */
  let done = 0;
  let seen = 0;
  const links = new Map<string, Tokens.Def>();
  const outline = new Outline();

  function read(given: string): Reading {
    const text = given.replace(/\r\n?/g, "\n");
    const settled: Piece[] = [];
    for (;;) {
      if (done === text.length) return { settled, growing: [] };
      const window = windowOf(text.slice(done));
      if (window.plain) {
        const plain = [piece("p", [window.text.trimEnd()], { class: "source" })];
        if (!window.cut) return { settled, growing: plain };
        settled.push(...plain);
        done += window.text.length;
      } else if (window.cut) {
        settled.push(...settle(window.text, true));
      } else {
        // What a line is, is known when it ends.
        const lines = text.lastIndexOf("\n") + 1;
        if (lines > Math.max(seen, done)) settled.push(...settle(text.slice(done, lines), false));
        seen = lines;
        const copy = outline.copy();
        return { settled, growing: lex(text.slice(done), links).flatMap((token) => blockOf(token, copy) ?? []) };
      }
    }
  }

  /** The blocks of a part that follows: all but the last one, which may go on unless the part was `cut`. */
  function settle(part: string, cut: boolean): Piece[] {
    const tokens = lex(part, links);
    const last = tokens.map(({ type }) => type !== "space").lastIndexOf(true);
    const whole = cut && last <= 0;
    const complete = whole ? tokens : tokens.slice(0, Math.max(last, 0));
    done += whole ? part.length : complete.reduce((sum, { raw }) => sum + raw.length, 0);
    for (const token of complete) if (token.type === "def") keep(token as Tokens.Def);
    return complete.flatMap((token) => blockOf(token, outline) ?? []);
  }

  function keep(definition: Tokens.Def): void {
    const { tag } = definition;
    if (links.size < MOST_LINKS && !links.has(tag)) links.set(tag, definition);
  }

  return { read };
}

/** Without the underlined headings of old: a rule below a paragraph is meant as one. */
class Rules extends Tokenizer {
  override lheading(): undefined {
    return undefined;
  }
}

function lex(text: string, links: ReadonlyMap<string, Tokens.Def>): Token[] {
  const lexer = new Lexer({ gfm: true, tokenizer: new Rules() });
  for (const [tag, { href, title }] of links) lexer.tokens.links[tag] = { href, title };
  return [...lexer.lex(text)];
}
