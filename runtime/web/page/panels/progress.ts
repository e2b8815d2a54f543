// What is seen while a model loads, or comes back after its device was replaced.

import type { LoadProgress } from "../../ts/api";
import { announce, bytes, h } from "../dom";
import { createRate, remaining } from "./rate";

/** A panel that shows progress. */
export interface ProgressPanel {
  element: HTMLElement;
  show(progress: LoadProgress): void;
  /** Says what becomes of the files. */
  note(text: string): void;
}

const HEADINGS: Record<LoadProgress["phase"], string> = {
  start: "Setting up",
  weights: "Loading the model",
  recover: "Setting up the GPU again",
  lost: "The GPU was lost",
  ready: "Ready",
};

/** How often rate and remaining time are written: numbers that change more often cannot be read. */
const PACE_EVERY_MS = 500;

/** A new panel. `storedBytes` is how much is known to come from storage, which takes no time worth telling. */
export function progressPanel(onCancel: () => void, storedBytes = 0): ProgressPanel {
  const heading = h("h2", {}, "Setting up");
  const cached = h("span", { class: "cached" });
  const fetched = h("span", { class: "fetched" });
  const bar = h("div", { class: "ruler", role: "progressbar", "aria-label": "Loading" }, cached, fetched);
  bar.setAttribute("aria-valuemin", "0");
  bar.setAttribute("aria-valuemax", "100");
  const amount = h("p", { class: "amount" }, "Reading the manifest");
  const pace = h("p", { class: "pace" });
  const kernels = h("p", { class: "kernels" });
  const kept = h("p", { class: "note kept" });
  const cancel = h("button", { type: "button", class: "quiet", click: onCancel }, "Cancel");
  const element = h("section", { class: "progress", "aria-busy": "true" }, heading, bar, amount, pace, kernels, kept, cancel);
  let announced = "";
  let last: LoadProgress | null = null;
  let timer: ReturnType<typeof setInterval> | null = null;
  const rate = createRate();

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
    rate.note(progress.loadedBytes - progress.cachedBytes, performance.now());
    last = progress;
    timer ??= setInterval(writePace, PACE_EVERY_MS);
    // Screen readers announce quarters, not every percent.
    const milestone = `${heading.textContent}, ${Math.floor(share * 4) * 25} %`;
    if (milestone !== announced) announce((announced = milestone));
  }

  function writePace(): void {
    const over = !last || last.phase === "ready" || !element.isConnected;
    if (over && timer !== null) {
      clearInterval(timer);
      timer = null;
    }
    pace.textContent = over || !last ? "" : paceOf(last, rate, storedBytes);
  }
  return { element, show, note: (text) => void (kept.textContent = text) };
}

/** Rate and remaining time of what comes from the network; nothing as long as they are not known. */
function paceOf({ loadedBytes, totalBytes, cachedBytes }: LoadProgress, rate: ReturnType<typeof createRate>, stored: number): string {
  const now = performance.now();
  const left = totalBytes - loadedBytes - Math.max(stored - cachedBytes, 0);
  if (left <= 0) return "";
  if (rate.isStalled(now)) return "Waiting for the server";
  const perSecond = rate.perSecond(now);
  return perSecond === null ? "" : `${bytes(Math.round(perSecond))}/s, ${remaining(left / perSecond)}`;
}

function describe({ loadedBytes, totalBytes, cachedBytes }: LoadProgress): string {
  const text = `${bytes(loadedBytes)} of ${bytes(totalBytes)}`;
  if (cachedBytes <= 0) return text;
  return cachedBytes >= loadedBytes
    ? `${text}, from this browser’s storage`
    : `${text}, ${bytes(cachedBytes)} of it from this browser’s storage`;
}
