// What is seen while a model loads, or comes back after its device was lost.

import type { LoadProgress } from "../../ts/api";
import { announce, bytes, h } from "../dom";

/** A panel that shows progress. */
export interface ProgressPanel {
  element: HTMLElement;
  show(progress: LoadProgress): void;
}

const HEADINGS: Record<LoadProgress["phase"], string> = {
  start: "Setting up",
  weights: "Loading the model",
  recover: "The GPU was lost; setting it up again",
  ready: "Ready",
};

/** A new panel. */
export function progressPanel(onCancel: () => void): ProgressPanel {
  const heading = h("h2", {}, "Setting up");
  const cached = h("span", { class: "cached" });
  const fetched = h("span", { class: "fetched" });
  const bar = h("div", { class: "ruler", role: "progressbar", "aria-label": "Loading" }, cached, fetched);
  bar.setAttribute("aria-valuemin", "0");
  bar.setAttribute("aria-valuemax", "100");
  const amount = h("p", { class: "amount" }, "Reading the manifest");
  const kernels = h("p", { class: "kernels" });
  const cancel = h("button", { type: "button", class: "quiet", click: onCancel }, "Cancel");
  const element = h("section", { class: "progress", "aria-busy": "true" }, heading, bar, amount, kernels, cancel);
  let announced = "";

  function show(progress: LoadProgress): void {
    const total = Math.max(progress.totalBytes, 1);
    const share = Math.min(progress.loadedBytes / total, 1);
    const fromCache = Math.min(progress.cachedBytes / total, share);
    heading.textContent = HEADINGS[progress.phase];
    // What was there already comes back by itself; there is nothing to call off.
    cancel.hidden = progress.phase === "recover";
    cached.style.width = `${fromCache * 100}%`;
    fetched.style.width = `${(share - fromCache) * 100}%`;
    bar.setAttribute("aria-valuenow", (share * 100).toFixed(0));
    if (progress.totalBytes > 0) amount.textContent = describe(progress);
    kernels.textContent = progress.totalKernels > 0 ? `Programs ${progress.kernels} of ${progress.totalKernels}` : "";
    // Screen readers announce quarters, not every percent.
    const milestone = `${heading.textContent}, ${Math.floor(share * 4) * 25} %`;
    if (milestone !== announced) announce((announced = milestone));
  }
  return { element, show };
}

function describe({ loadedBytes, totalBytes, cachedBytes }: LoadProgress): string {
  const text = `${bytes(loadedBytes)} of ${bytes(totalBytes)}`;
  if (cachedBytes <= 0) return text;
  return cachedBytes >= loadedBytes
    ? `${text}, from this browser’s cache`
    : `${text}, ${bytes(cachedBytes)} of it stored`;
}
