// A conversation as the chat template gets it. Nothing else of the page makes messages.

import type { Message, MessagePart } from "../../ts/api";
import type { Turn } from "./conversation";

/** The messages of turns of which the last one is to be answered, behind an instruction if there is one. */
export function messagesOf(system: string, turns: readonly Turn[]): Message[] {
  const messages: Message[] = system.trim() === "" ? [] : [{ role: "system", content: system.trim() }];
  turns.forEach(({ text, images, answer }, at) => {
    messages.push({ role: "user", content: contentOf(text, images) });
    if (at < turns.length - 1) messages.push({ role: "assistant", content: answer });
  });
  return messages;
}

/** A text with images in front of it. */
function contentOf(text: string, images: readonly Blob[]): string | MessagePart[] {
  if (images.length === 0) return text;
  return [...images.map((image) => ({ type: "image", image }) as const), { type: "text", text }];
}
