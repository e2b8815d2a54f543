// How much of a text is parsed at once. The parser is quick with what people and models write, and slow, or at the end
// of its stack, with what is made to be: its work is bounded by what it is given.

/** Most characters that are parsed at once, but for code. */
const MOST = 8192;
/** Most characters of a line that are parsed at once. */
const LINE = 4096;
/** Most quotes and lists that begin in one line. */
const DEEPEST = 20;
/** Most cells of a row. */
const CELLS = 100;

/** The part of a text that is parsed next. */
export interface Window {
  text: string;
  /** Whether it is shown as it is. */
  plain: boolean;
  /** Whether the text goes on behind it. */
  cut: boolean;
}

/** The beginning of a text, which is not empty. */
export function windowOf(text: string): Window {
  const fenced = fence(text);
  if (fenced !== null) return { text: text.slice(0, fenced), plain: false, cut: fenced < text.length };
  const most = text.length > MOST ? lineBreak(text) : text.length;
  for (let at = 0; at < most;) {
    const end = lineEnd(text, at);
    const plain = excessive(text.slice(at, Math.min(end, at + MOST)));
    if (plain || end - at > LINE) {
      if (at > 0) return { text: text.slice(0, at), plain: false, cut: true };
      const most = plain ? end : LINE;
      return { text: text.slice(0, most), plain, cut: most < text.length };
    }
    at = end;
  }
  return { text: text.slice(0, most), plain: false, cut: most < text.length };
}

/** Where the line ends, behind its break. */
function lineEnd(text: string, from: number): number {
  const found = text.indexOf("\n", from);
  return found < 0 ? text.length : found + 1;
}

/** Where a text that is too long is cut: best where something new begins at the margin. */
function lineBreak(text: string): number {
  let any = 0;
  for (let at = lineEnd(text, 0); at <= MOST && at < text.length; at = lineEnd(text, at)) any = at;
  let margin = 0;
  for (let at = lineEnd(text, 0); at <= any; at = lineEnd(text, at)) if (/\S/.test(text.charAt(at))) margin = at;
  return margin || any || MOST;
}

/** Where code that the text begins with ends, or null if it begins otherwise. */
function fence(text: string): number | null {
  const open = /^ {0,3}(`{3,}(?=[^`\n]*(?:\n|$))|~{3,})/.exec(text)?.[1];
  if (!open) return null;
  const mark = open.charAt(0);
  for (let at = lineEnd(text, 0); at < text.length; at = lineEnd(text, at)) {
    let from = at;
    while (from < at + 4 && text.charAt(from) === " ") from++;
    if (from === at + 4 || !text.startsWith(open, from)) continue;
    while (text.charAt(from) === mark) from++;
    const end = lineEnd(text, at);
    if (text.slice(from, end).trim() === "") return end;
  }
  return text.length;
}

function excessive(line: string): boolean {
  return nesting(line) > DEEPEST || line.split("|", CELLS + 2).length > CELLS + 1;
}

/** How many quotes and lists begin in a line. */
function nesting(line: string): number {
  const marker = /[ \t]*(?:>|(?:[-*+]|\d{1,9}[.)])(?=[ \t\n]|$))/y;
  let count = 0;
  while (count <= DEEPEST && marker.test(line)) count++;
  return count;
}
