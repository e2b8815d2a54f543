// What an answer consists of: data without a document, so that what becomes of a text can be told without a browser.

/** A piece of an answer. */
export type Piece = string | Tag | Code;

/** An element of one of the kinds that answers have. */
export interface Tag {
  tag: TagName;
  attributes?: Record<string, string>;
  children: Piece[];
}

/** Program code that stands alone. */
export interface Code {
  code: string;
  /** As the text names it; empty if it does not. */
  language: string;
}

/** All elements that a text can become. */
export type TagName =
  | "a"
  | "blockquote"
  | "br"
  | "code"
  | "del"
  | "div"
  | "em"
  | "h3"
  | "h4"
  | "h5"
  | "h6"
  | "hr"
  | "li"
  | "ol"
  | "p"
  | "strong"
  | "table"
  | "tbody"
  | "td"
  | "th"
  | "thead"
  | "tr"
  | "ul";

/** An element with children and perhaps attributes. */
export function piece(tag: TagName, children: Piece[] = [], attributes?: Record<string, string>): Tag {
  return attributes ? { tag, attributes, children } : { tag, children };
}
