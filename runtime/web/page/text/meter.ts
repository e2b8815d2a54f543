// How much of the model's context the conversation takes.

import { small } from "../buttons";
import { h } from "../dom";

/** Share of the context from which on it is said in words. */
const NEARLY_FULL = 0.8;

/** The meter, and the line that warns. */
export interface Meter {
  element: HTMLElement;
  warning: HTMLElement;
  /**
   * `typed`: tokens of what is not sent yet; `warn`: whether to warn when it is nearly full; `canLeaveOut`: whether there
   * is something to leave out.
   */
  show(used: { tokens: number; exact: boolean }, typed: number, warn: boolean, canLeaveOut: boolean): void;
}

/** A meter for a context of so many tokens. */
export function contextMeter(context: number, leaveOut: () => void): Meter {
  const words = h("span");
  const fill = h("span");
  const bar = h(
    "span",
    { class: "gauge", role: "meter", "aria-label": "Context in use", "aria-valuemin": 0, "aria-valuemax": context },
    fill,
  );
  const element = h("p", { class: "context", hidden: true }, bar, words);
  const said = h("span");
  const button = small("Leave out the oldest messages", undefined, leaveOut);
  const warning = h("p", { class: "warning", role: "status" }, said, " ", button);
  button.hidden = true;

  return {
    element,
    warning,
    show({ tokens: used, exact }, typed, warn, canLeaveOut) {
      // The last token of a full context is written, but never read.
      const tokens = (exact ? Math.min(used, context) : used) + typed;
      const share = tokens / context;
      element.hidden = tokens === 0;
      fill.style.width = `${Math.min(1, share) * 100}%`;
      const full = share >= NEARLY_FULL;
      bar.classList.toggle("full", full);
      bar.setAttribute("aria-valuenow", String(Math.min(tokens, context)));
      // The template adds some around what is typed.
      const about = exact && typed === 0 ? "" : "about ";
      words.textContent = `${about}${tokens} of ${context} tokens${typed > 0 ? " with your message" : ""}`;
      bar.setAttribute("aria-valuetext", words.textContent);
      const percent = Math.round(share * 100);
      const subject = typed > 0 ? "With your message, the conversation" : "The conversation";
      const text = full && warn ? `${subject} takes ${percent} % of what the model reads at once.` : "";
      // Equal words would be announced once more.
      if (said.textContent !== text) said.textContent = text;
      button.hidden = text === "" || !canLeaveOut;
    },
  };
}
