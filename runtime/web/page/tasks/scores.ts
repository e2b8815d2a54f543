// Names with numbers from 0 to 1 beside them.

import { h } from "../dom";

/** A name with its number. */
export interface Score {
  label: string;
  score: number;
  /** What stands in front of the name. */
  mark?: HTMLElement | undefined;
}

/** A list of scores. */
export interface Scores {
  element: HTMLElement;
  /** Shows these; `none` is what it says if there are none. */
  show(scores: Score[], none?: string): void;
}

/** An empty list of scores. */
export function scoreList(caption: string): Scores {
  const list = h("ol", { "aria-label": caption });
  const element = h("div", { class: "scores", hidden: true }, h("h3", {}, caption), list);
  return {
    element,
    show(scores, none = "nothing") {
      element.hidden = false;
      list.replaceChildren(...scores.map(row));
      if (scores.length === 0) list.append(h("li", { class: "none" }, none));
    },
  };
}

/** The bar is hidden from screen readers, because the number says the same. */
function row({ label, score, mark }: Score): HTMLElement {
  const name = h("span", { class: "name" }, mark, label);
  return h("li", {}, name, bar(score), h("span", { class: "score" }, `${(100 * score).toFixed(1)} %`));
}

/** A bar that is filled to a share from 0 to 1. Unlike a `meter`, it looks the same in all browsers. */
export function bar(share: number): HTMLElement {
  const filled = h("span");
  filled.style.width = `${100 * Math.min(Math.max(share, 0), 1)}%`;
  return h("span", { class: "bar", "aria-hidden": "true" }, filled);
}
