// A table with a head.

import { h } from "../dom";

/** A table; the first cell of each row is its head. Numbers are given as texts, anything else as an element. */
export function table(caption: string, head: string[], rows: (string | HTMLElement)[][]): HTMLElement {
  const isNumber = (column: number): boolean => column > 0 && typeof rows[0]?.[column] === "string";
  const columns = head.map((name, at) => h("th", { scope: "col", class: isNumber(at) ? "number" : undefined }, name));
  const lines = rows.map(([first, ...others]) =>
    h("tr", {}, h("th", { scope: "row" }, first), ...others.map((cell) => h("td", { class: typeof cell === "string" ? "number" : undefined }, cell))),
  );
  const body = h("table", {}, h("caption", {}, caption), h("thead", {}, h("tr", {}, ...columns)), h("tbody", {}, ...lines));
  // On a phone it scrolls by itself, and the keyboard reaches it for that.
  return h("div", { class: "wide", tabindex: "0", role: "region", "aria-label": caption }, body);
}
