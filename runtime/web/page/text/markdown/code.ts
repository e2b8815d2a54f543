// Program code in an answer, with its language and a button that copies it.

import { copyButton } from "../../buttons";
import { h } from "../../dom";
import type { Code } from "./tree";

/** A block of code. */
export function codeBlock({ code, language }: Code): HTMLElement {
  const text = h("code", {}, document.createTextNode(code));
  const button = copyButton("Copy", "Copy this code", () => text.textContent);
  button.classList.add("quiet");
  const label = language ? `Code, ${language}` : "Code";
  return h(
    "figure",
    { class: "code" },
    h("figcaption", {}, h("span", {}, language || "code"), button),
    h("pre", { tabindex: "0", role: "group", "aria-label": label }, text),
  );
}

/** The text of a block of code. */
export function codeOf(block: HTMLElement): Text {
  const text = block.querySelector("code")?.firstChild;
  if (!(text instanceof Text)) throw new Error("a block of code lost its text");
  return text;
}
