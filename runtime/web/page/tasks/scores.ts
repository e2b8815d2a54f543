// Names with numbers from 0 to 1 beside them.

import type { ClassScore } from "../../ts/index";
import { h } from "../dom";

/** A table of scores. */
export interface Scores {
  element: HTMLTableElement;
  show(scores: Pick<ClassScore, "label" | "score">[]): void;
}

/** An empty table of scores. */
export function scoreTable(caption: string): Scores {
  const rows = h("tbody");
  const element = h("table", { class: "scores", hidden: true }, h("caption", {}, caption), rows);
  return {
    element,
    show(scores) {
      element.hidden = false;
      const row = ({ label, score }: Pick<ClassScore, "label" | "score">): HTMLElement =>
        h(
          "tr",
          {},
          h("th", { scope: "row" }, label),
          h("td", {}, h("meter", { min: 0, max: 1, value: score })),
          h("td", {}, `${(100 * score).toFixed(1)} %`),
        );
      rows.replaceChildren(...scores.map(row));
      if (scores.length === 0) rows.append(h("tr", {}, h("td", {}, "nothing")));
    },
  };
}
