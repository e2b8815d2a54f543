// The place of an answer's text.

import { h } from "../dom";
import { markdownText, type MarkdownText } from "./markdown";

/** Where an answer's text is put, whole or as it comes. */
export interface AnswerText extends MarkdownText {
  element: HTMLElement;
}

/** A place for the text of an answer. */
export function answerText(): AnswerText {
  const element = h("div", { class: "text" });
  return { element, ...markdownText(element) };
}
