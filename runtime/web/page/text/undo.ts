// A line that says what was done, with a button that takes it back.

import { small } from "../buttons";
import { h } from "../dom";

/** The line. It stays until something else is done. */
export interface UndoLine {
  element: HTMLElement;
  /** Says what was done. */
  offer(done: string, undo: () => void): void;
  /** Says something that cannot be taken back. */
  say(text: string): void;
  clear(): void;
  focus(): void;
}

/** An empty line. */
export function undoLine(): UndoLine {
  const words = h("span");
  const buttons = h("span");
  const element = h("p", { class: "undo", role: "status" }, words, " ", buttons);
  const clear = (): void => {
    words.textContent = "";
    buttons.replaceChildren();
  };
  return {
    element,
    offer(done, undo) {
      words.textContent = done;
      const take = (): void => {
        clear();
        undo();
      };
      buttons.replaceChildren(small("Undo", undefined, take));
    },
    say(text) {
      clear();
      words.textContent = text;
    },
    clear,
    focus: () => buttons.querySelector("button")?.focus(),
  };
}
