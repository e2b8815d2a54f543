// An answer as it grows: Markdown, shown as what it means.

import { patch } from "./markdown/patch";
import type { Parser, Reading } from "./markdown/markdown_parser";
import type { Piece } from "./markdown/tree";

/** An element that shows Markdown. */
export interface MarkdownText {
  /** More of the text, shown with the next frame. */
  append(piece: string): void;
  /** All of the text, shown at once. */
  set(text: string): void;
}

/** The parser is loaded with the first answer; until then, and if it cannot be had, the text is shown as it is. */
const load = (): Promise<typeof import("./markdown/markdown_parser")> => import("./markdown/markdown_parser");

/** Lets an empty element show Markdown. */
export function markdownText(element: HTMLElement): MarkdownText {
  let createParser: (() => Parser) | null = null;
  let parser: Parser | null = null;
  let text = "";
  /** What is shown: complete blocks, and the last ones, which may still change. */
  let settled: Piece[] = [];
  let growing: Piece[] = [];
  let waiting = false;
  /** Whether all that is shown was parsed as one. */
  let whole = false;

  function draw(): void {
    waiting = false;
    const next = read();
    patch(element, settled.length, growing, [...next.settled, ...next.growing]);
    settled.push(...next.settled);
    growing = next.growing;
  }

  function read(): Reading {
    try {
      parser ??= createParser?.() ?? null;
      if (parser) return parser.read(text);
    } catch (error) {
      // A text that cannot be parsed can be read all the same.
      console.error(error);
      createParser = null;
      restart();
      element.classList.remove("markdown");
    }
    return { settled: [], growing: text === "" ? [] : [text] };
  }

  /** The text is parsed anew; what then is the same stays as it is. */
  function restart(): void {
    parser = null;
    growing = [...settled, ...growing];
    settled = [];
  }

  function later(): void {
    if (waiting) return;
    waiting = true;
    // Nobody sees frames of a page in the background, and there are none.
    if (document.hidden) setTimeout(draw);
    else requestAnimationFrame(draw);
  }

  load().then(
    (module) => {
      ({ createParser } = module);
      restart();
      element.classList.add("markdown");
      draw();
    },
    () => undefined,
  );
  return {
    append(piece) {
      text += piece;
      whole = false;
      later();
    },
    set(all) {
      if (whole && all === text) return;
      // Links may name addresses that stand below them.
      restart();
      text = all;
      whole = true;
      draw();
    },
  };
}
