// What went wrong with a text, in its place, and what helps.

import { small } from "../buttons";
import { h } from "../dom";
import { helpsToRetry, troubleLine, type Trouble } from "../panels/trouble";

/** What helps against a problem. */
export interface Remedies {
  /** What is written again: `answer 3`. */
  what?: string;
  again?: (() => void) | undefined;
  /** Leaves out the oldest messages and sends the turn again; missing if there are none before it. */
  leaveOut?: (() => void) | undefined;
}

const RETURNED = "Your text is in the box again.";

/** Whether more tokens were given than the model reads at once. */
export function isTooLong({ details }: Trouble): boolean {
  return details.limit === "maxContext";
}

/** What is said of an error. `back`: whether the text is in the box again. */
export function errorProblem(trouble: Trouble, remedies: Remedies, back = false): HTMLElement {
  const returned = back ? RETURNED : "";
  if (!isTooLong(trouble)) {
    const again = helpsToRetry(trouble) ? remedies.again : undefined;
    return problem(joined(troubleLine(trouble), returned), { ...remedies, again, leaveOut: undefined });
  }
  const { needed, offered } = trouble.details;
  const sizes = `takes ${needed} tokens, and the model reads at most ${offered}`;
  const words = remedies.leaveOut
    ? `The conversation is full: with this message it ${sizes}.`
    : `This text alone ${sizes}. Shorten it, and send it again.`;
  return problem(joined(words, returned), { ...remedies, again: undefined });
}

/** What is said of an answer that ended because the context was full, or has no room at all. */
export function fullProblem(remedies: Remedies, back = false): HTMLElement {
  const words = back
    ? "The conversation fills all that the model reads at once, so there is no room for an answer."
    : "The answer ends here because the conversation fills all that the model reads at once.";
  const other = remedies.leaveOut ? "" : "A new conversation has room again.";
  return problem(joined(joined(words, other), back ? RETURNED : ""), { ...remedies, again: undefined });
}

function problem(words: string, { what = "", again, leaveOut }: Remedies): HTMLElement {
  const name = (text: string): string | undefined => (what ? `${text}: ${what}` : undefined);
  const buttons = [
    again && small("Try again", name("Try again"), again),
    leaveOut && small("Leave out the oldest messages", name("Leave out the oldest messages"), leaveOut),
  ].filter((button) => button !== undefined);
  return h("div", { class: "failure", role: "alert" }, h("p", {}, words), ...buttons);
}

/** Two sentences; not all errors end with a full stop. */
function joined(first: string, second: string): string {
  return second === "" ? first : `${first.replace(/[.:;,]?$/, ".")} ${second}`;
}
