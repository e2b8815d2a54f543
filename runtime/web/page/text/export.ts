// A conversation as a file: Markdown to read, JSON for programs.

import { nameOf } from "./attachments";
import { titleOf, type Turn } from "./conversation";
import { h } from "../dom";

/** What a file says about a conversation. */
export interface Exported {
  model: string;
  system: string;
  turns: readonly Turn[];
}

/** The shown branch as Markdown. Images are named, not included. */
export function toMarkdown({ model, system, turns }: Exported): string {
  const parts = [`# ${titleOf(turns)}`, `With ${model}.`];
  if (system.trim() !== "") parts.push("## System message", system.trim());
  for (const { text, images, answer } of turns) {
    parts.push("## You", ...images.map((image) => `*${nameOf(image)}*`), text);
    if (answer !== "") parts.push("## Model", answer.trim());
  }
  return `${parts.join("\n\n")}\n`;
}

/** The shown branch as JSON, with the messages in the form in which chat models take them; images as data addresses. */
export async function toJson({ model, system, turns }: Exported): Promise<string> {
  const messages: object[] = system.trim() === "" ? [] : [{ role: "system", content: system.trim() }];
  for (const { text, images, answer, ending } of turns) {
    const addresses = await Promise.all(images.map(dataOf));
    const seen = addresses.map((url) => ({ type: "image_url", image_url: { url } }));
    messages.push({ role: "user", content: seen.length > 0 ? [...seen, { type: "text", text }] : text });
    if (answer !== "") messages.push({ role: "assistant", content: answer, finish_reason: ending?.reason ?? null });
  }
  return `${JSON.stringify({ model, messages }, null, 2)}\n`;
}

/** Hands a text to the browser as a file. */
export function download(name: string, type: string, text: string): void {
  const url = URL.createObjectURL(new Blob([text], { type }));
  h("a", { href: url, download: name }).click();
  // The browser has begun to read it by then.
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}

/** A file's name for a title. */
export function fileName(title: string, ending: string): string {
  const plain = title.replaceAll(/[^\p{L}\p{N}]+/gu, "-").replaceAll(/^-|-$/g, "").toLowerCase();
  return `${plain || "conversation"}.${ending}`;
}

async function dataOf(image: Blob): Promise<string> {
  const bytes = new Uint8Array(await image.arrayBuffer());
  let binary = "";
  for (let at = 0; at < bytes.length; at += 0x8000) binary += String.fromCharCode(...bytes.subarray(at, at + 0x8000));
  return `data:${image.type};base64,${btoa(binary)}`;
}
