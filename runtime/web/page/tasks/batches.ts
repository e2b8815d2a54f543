// The progress of work on many texts.

import { announce, h } from "../dom";
import { bar } from "./scores";

/** A line with the progress and a button that stops or continues the work. Its height never changes. */
export interface BatchBar {
  element: HTMLElement;
  progress(done: number, total: number): void;
  /** The work was stopped, but can go on. */
  stopped(done: number, total: number): void;
  done(text: string): void;
}

/** A new line. */
export function batchBar(stop: () => void, goOn: () => void): BatchBar {
  const text = h("p", { class: "note" });
  const button = h("button", { type: "button", class: "quiet", hidden: true });
  button.addEventListener("click", () => (running ? stop() : goOn()));
  const place = h("div", { class: "filling", role: "progressbar", "aria-label": "Sentences embedded", hidden: true });
  let running = false;
  let quarter = 0;

  function show(said: string, now: boolean, label: string): void {
    text.textContent = said;
    running = now;
    place.hidden = !now;
    button.hidden = label === "";
    button.textContent = label;
  }

  return {
    element: h("div", { class: "batches" }, text, place, button),
    progress(done, total) {
      show(`${done} of ${total} sentences`, true, "Stop");
      place.replaceChildren(bar(done / total));
      place.setAttribute("aria-valuenow", ((100 * done) / total).toFixed(0));
      // Screen readers announce quarters, not every batch.
      const now = Math.floor((4 * done) / total);
      if (now !== quarter && now > 0) announce(`${25 * now} % of the sentences are embedded`);
      quarter = now;
    },
    stopped: (done, total) => show(`Stopped after ${done} of ${total} sentences`, false, "Continue"),
    done: (said) => show(said, false, ""),
  };
}
