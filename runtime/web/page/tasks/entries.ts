// What a model without a view of its own can be called with.

import type { EntryInfo, ModelInfo, TensorInfo } from "../../ts/api";
import { h, view } from "../dom";

/** The entries of a model with their tensors. */
export function entriesView(info: ModelInfo): HTMLElement {
  return view(
    "entries",
    "Entries",
    h(
      "p",
      {},
      "The inputs and outputs of this model are tensors. Call it with ",
      h("code", {}, "model.run(entry, tensors)"),
      ".",
    ),
    ...info.entries.map(entry),
  );
}

function entry(info: EntryInfo): HTMLElement {
  return h(
    "article",
    {},
    h("h3", {}, h("code", {}, info.name), info.role && info.role !== info.name ? ` (${info.role})` : ""),
    tensors("Inputs", info.inputs),
    tensors("Outputs", info.outputs),
  );
}

function tensors(title: string, list: TensorInfo[]): HTMLElement {
  const rows = list.map(({ name, elem, shape, optional }) =>
    h(
      "tr",
      {},
      h("th", { scope: "row" }, name),
      h("td", {}, `${elem} [${shape.join(", ")}]`),
      h("td", {}, optional ? "optional" : ""),
    ),
  );
  return h("table", {}, h("caption", {}, title), h("tbody", {}, ...rows));
}
