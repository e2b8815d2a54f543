// Prompts whose parts are images, in the form in which they are sent.

import type { GenerateResult, Message, ImageSource, TranscribeResult } from "./api";
import { makeError } from "./errors";
import type { SentMessage } from "./protocol";

/** What came of a generation that was ended before it began. */
export const NOTHING_WRITTEN: GenerateResult = {
  text: "",
  tokens: [],
  reason: "aborted",
  promptTokens: 0,
  prefillMs: 0,
  decodeMs: 0,
  recoveries: 0,
};

/** What came of a transcription that was ended before it began. */
export const NOTHING_TRANSCRIBED: TranscribeResult = {
  text: "",
  segments: [],
  choices: {},
  reason: "aborted",
  recoveries: 0,
};

/** A message that is nothing but text. */
type TextMessage = Message & { content?: string | null };

/** Whether a prompt is nothing but text, and can be sent as it is. */
export function isText(prompt: string | Message[], images: ImageSource[]): prompt is string | TextMessage[] {
  if (images.length > 0) return false;
  return typeof prompt === "string" || prompt.every(({ content }) => !Array.isArray(content));
}

/** A prompt, and its images in the order in which it mentions them. */
export interface Split<P = string | SentMessage[]> {
  prompt: P;
  images: ImageSource[];
}

/** Takes the images out of messages. Those in `images` belong in front of the last message. */
export function withoutImages(prompt: Message[], images: ImageSource[]): Split<SentMessage[]>;
export function withoutImages(prompt: string | Message[], images: ImageSource[]): Split;
export function withoutImages(prompt: string | Message[], images: ImageSource[]): Split {
  if (typeof prompt === "string") return { prompt, images };
  const found: ImageSource[] = [];
  const take = ({ content, ...rest }: Message, index: number): SentMessage => {
    const last = index === prompt.length - 1;
    if (!Array.isArray(content) && (!last || images.length === 0)) return { ...rest, content: content ?? null };
    const parts = Array.isArray(content) ? content : [{ type: "text", text: content ?? "" } as const];
    const more = last ? images.map((image) => ({ type: "image", image }) as const) : [];
    const sent = [...more, ...parts].map((part) => {
      if (part.type === "text") return { type: "text", text: part.text } as const;
      if (part.type !== "image") {
        const { type } = part as { type: unknown };
        throw makeError("input", `messages[${index}]: expected parts of type text or image, found ${String(type)}`);
      }
      found.push(part.image);
      return { type: "image" } as const;
    });
    return { ...rest, content: sent };
  };
  return { prompt: prompt.map(take), images: found };
}
