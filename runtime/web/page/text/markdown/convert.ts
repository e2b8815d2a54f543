// From the tokens of `marked` to what an answer consists of. Nothing of a text becomes an element or an attribute but
// what is made here.

import type { MarkedToken, Token, Tokens } from "marked";
import { decode, safeAddress } from "./safe";
import { piece, type Code, type Piece, type Tag } from "./tree";

/** Elements in one another; what is deeper stays text. */
const DEEPEST = 40;
/** Longest name of a language. */
const LANGUAGE = 24;

/** Where a token stands. */
interface Place {
  depth: number;
  /** In a link there are no others. */
  linked: boolean;
  outline: Outline;
}

/** The headings so far: the levels of a text become those below the heading of an answer, without gaps. */
export class Outline {
  private readonly open: number[];

  constructor(open: readonly number[] = []) {
    this.open = [...open];
  }

  copy(): Outline {
    return new Outline(this.open);
  }

  enter(depth: number): "h3" | "h4" | "h5" | "h6" {
    while ((this.open.at(-1) ?? 0) >= depth) this.open.pop();
    this.open.push(depth);
    return (["h3", "h4", "h5", "h6"] as const)[this.open.length - 1] ?? "h6";
  }
}

/** What a block becomes; null if that is nothing. */
export function blockOf(token: Token, outline: Outline): Tag | Code | null {
  return block(token as MarkedToken, { depth: 0, linked: false, outline });
}

function block(token: MarkedToken, place: Place): Tag | Code | null {
  if (place.depth > DEEPEST) return piece("p", [token.raw.trim()]);
  switch (token.type) {
    case "space":
    case "def":
      return null;
    case "heading":
      return piece(place.outline.enter(token.depth), inlines(token.tokens, place));
    case "code":
      return { code: token.text, language: (token.lang ?? "").trim().split(/\s/)[0]?.slice(0, LANGUAGE) ?? "" };
    case "blockquote":
      return piece("blockquote", blocks(token.tokens, place));
    case "list":
      return list(token, place);
    case "hr":
      return piece("hr");
    case "table":
      return table(token, place);
    case "paragraph":
      return piece("p", inlines(token.tokens, place));
    case "text":
      return piece("p", token.tokens ? inlines(token.tokens, place) : [decode(token.text)]);
    default:
      // HTML above all, which is shown as what it is.
      return piece("p", [token.raw.trim()], { class: "source" });
  }
}

function blocks(tokens: readonly Token[], place: Place): Piece[] {
  const inside = { ...place, depth: place.depth + 1 };
  return tokens.map((token) => block(token as MarkedToken, inside)).filter((made) => made !== null);
}

function list(token: Tokens.List, place: Place): Tag {
  const inside = { ...place, depth: place.depth + 1 };
  const items = token.items.map((item) => {
    const children = item.tokens.flatMap((child) => {
      const known = child as MarkedToken;
      const tight = known.type === "text" || (known.type === "paragraph" && !item.loose);
      if (known.type === "checkbox") return [known.checked ? "☑ " : "☐ "];
      if (tight && !item.loose) return known.tokens ? inlines(known.tokens, inside) : [decode(known.text)];
      return block(known, inside) ?? [];
    });
    return piece("li", children);
  });
  const start = token.ordered && token.start !== "" && token.start !== 1 ? { start: String(token.start) } : undefined;
  return piece(token.ordered ? "ol" : "ul", items, start);
}

function table(token: Tokens.Table, place: Place): Tag {
  const row = (tag: "th" | "td", cells: Tokens.TableCell[]): Tag => {
    const made = cells.map((cell) => {
      const scope: Record<string, string> = tag === "th" ? { scope: "col" } : {};
      const align: Record<string, string> = cell.align ? { "data-align": cell.align } : {};
      return piece(tag, inlines(cell.tokens, place), { ...scope, ...align });
    });
    return piece("tr", made);
  };
  const head = piece("thead", [row("th", token.header)]);
  const body = piece(
    "tbody",
    token.rows.map((cells) => row("td", cells)),
  );
  // The keyboard scrolls what has the focus.
  const scroller = { class: "sideways", tabindex: "0", role: "group", "aria-label": "Table" };
  return piece("div", [piece("table", token.rows.length > 0 ? [head, body] : [head])], scroller);
}

function inlines(tokens: readonly Token[], place: Place): Piece[] {
  const inside = { ...place, depth: place.depth + 1 };
  const made = tokens.flatMap((token) => inline(token as MarkedToken, inside));
  // Texts beside each other are one, and none is empty.
  const joined: Piece[] = [];
  for (const next of made) {
    const last = joined.at(-1);
    if (typeof next === "string" && typeof last === "string") joined[joined.length - 1] = last + next;
    else if (next !== "") joined.push(next);
  }
  return joined;
}

function inline(token: MarkedToken, place: Place): Piece | Piece[] {
  if (place.depth > DEEPEST) return token.raw;
  switch (token.type) {
    case "text":
      return token.tokens ? inlines(token.tokens, place) : decode(token.text);
    case "escape":
      return token.text;
    case "codespan":
      return piece("code", [token.text]);
    case "strong":
    case "em":
    case "del":
      return piece(token.type, inlines(token.tokens, place));
    case "br":
      return piece("br");
    case "link":
      // An address that stands alone is meant as it is written.
      if (token.autolink) return link(token.href, token.raw, place, () => [token.text]);
      return link(decode(token.href), token.raw, place, () => inlines(token.tokens, { ...place, linked: true }));
    case "image":
      // Nothing is fetched: the reader may open it.
      return link(decode(token.href), token.raw, place, () => [decode(token.text) || "image"]);
    case "html":
      // The one that tables cannot do without.
      return /^<br\s*\/?>$/i.test(token.raw) ? piece("br") : token.raw;
    default:
      return token.raw;
  }
}

function link(href: string, raw: string, place: Place, label: () => Piece[]): Piece | Piece[] {
  const address = safeAddress(href);
  if (address === null) return raw;
  if (place.linked) return label();
  const attributes = { href: address, title: address, target: "_blank", rel: "noopener noreferrer" };
  return piece("a", label(), attributes);
}
