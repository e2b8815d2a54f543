// Brings a document to what an answer has become, and touches only what differs: what is selected stays selected, and a
// button that is about to be pressed stays where it is.

import { h } from "../../dom";
import { codeBlock, codeOf } from "./code";
import type { Piece } from "./tree";

/** Makes the children of a node from `at` on, which are made of `old`, those of `next`. */
export function patch(parent: Node, at: number, old: readonly Piece[], next: readonly Piece[]): void {
  for (const [index, piece] of next.entries()) {
    const before = old[index];
    const node = parent.childNodes[at + index];
    if (before === undefined || !node) parent.insertBefore(build(piece), node ?? null);
    else if (!update(node, before, piece)) parent.replaceChild(build(piece), node);
  }
  while (parent.childNodes.length > at + next.length && parent.lastChild) parent.removeChild(parent.lastChild);
}

/** Changes a node if it can stay. */
function update(node: Node, before: Piece, piece: Piece): boolean {
  if (typeof before === "string" || typeof piece === "string") {
    if (typeof before !== "string" || typeof piece !== "string") return false;
    write(node as Text, before, piece);
    return true;
  }
  if ("code" in before || "code" in piece) {
    if (!("code" in before && "code" in piece) || before.language !== piece.language) return false;
    write(codeOf(node as HTMLElement), before.code, piece.code);
    return true;
  }
  if (before.tag !== piece.tag) return false;
  if (JSON.stringify(before.attributes) !== JSON.stringify(piece.attributes)) return false;
  patch(node, 0, before.children, piece.children);
  return true;
}

function write(node: Text, before: string, text: string): void {
  if (before === text) return;
  if (text.startsWith(before)) node.appendData(text.slice(before.length));
  else node.data = text;
}

function build(piece: Piece): Node {
  if (typeof piece === "string") return document.createTextNode(piece);
  if ("code" in piece) return codeBlock(piece);
  return h(piece.tag, piece.attributes, ...piece.children.map(build));
}
