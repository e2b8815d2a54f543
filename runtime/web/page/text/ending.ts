// How a text ended, in words.

import type { Ending } from "./conversation";
import type { Written } from "./writer";

/** How a text ended. */
export function endingOf({ result, trouble }: Written): Ending {
  if (!result) return { reason: "failed", tokens: 0, recoveries: 0, trouble };
  return { reason: result.reason, tokens: result.tokens.length, recoveries: result.recoveries };
}

const WHY: Record<Ending["reason"], string> = {
  end: "",
  stop: "",
  length: "maximum length reached",
  context: "the model’s context is full",
  aborted: "stopped",
  failed: "ended by an error",
  closed: "stopped when the page was closed",
};

/** The line under a finished text. */
export function summary({ reason, tokens, recoveries }: Ending): string {
  const length = tokens > 0 ? `${tokens} ${tokens === 1 ? "token" : "tokens"}` : "";
  const recovered = recoveries > 0 ? "resumed after the GPU was lost" : "";
  return [length, WHY[reason], recovered].filter(Boolean).join(" · ");
}

/** The line under a message without an answer. */
export function unanswered({ reason }: Ending): string {
  const why = reason === "end" || reason === "stop" ? "the model wrote nothing" : WHY[reason];
  return `${why}; this message is not part of the conversation`;
}
