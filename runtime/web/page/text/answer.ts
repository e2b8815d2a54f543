// The place of an answer's text.

import { h } from "../dom";

/** Where an answer's text is put, whole or as it comes. */
export interface AnswerText {
  element: HTMLElement;
  append(piece: string): void;
  set(text: string): void;
}

/** A place for the text of an answer. */
export function answerText(): AnswerText {
  const element = h("div", { class: "text" });
  return {
    element,
    append: (piece) => element.append(piece),
    set: (text) => (element.textContent = text),
  };
}
