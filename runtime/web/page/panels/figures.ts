// What is drawn of a model: memory over time, and the way to its kernels. Loaded when somebody looks.

import type { Model } from "../../ts/index";
import { h } from "../dom";
import { openKernels } from "./kernels";
import { memoryChart } from "./memory_chart";
import type { MemoryLog } from "./memory_log";

/** The part of the margin with charts. */
export function figures(model: Model, memory: MemoryLog): HTMLElement {
  const kernels = h("button", { type: "button", class: "quiet" }, "Kernels");
  kernels.addEventListener("click", () => openKernels(model, () => kernels.focus()));
  return h("div", { class: "charts" }, h("h3", {}, "Memory over time"), memoryChart(memory), kernels);
}
