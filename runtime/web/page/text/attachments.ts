// Images that go with what is written.

import { announce, h } from "../dom";
import { fileButtons } from "../tasks/choose";
import { onDrop, onPaste } from "../tasks/drop";
import { painted } from "../tasks/painted";

/** Most pixels on a side of an image that waits to be sent, and of one in a conversation. */
const SMALL = 160;

/** Images that wait to be sent. */
export interface Attachments {
  /** Buttons that add images. */
  button: HTMLElement;
  /** Shows those that wait. */
  list: HTMLElement;
  images(): Blob[];
  clear(): void;
}

/** No images yet; they are chosen, pasted, or dropped on `place`. */
export function attachments(place: HTMLElement): Attachments {
  const waiting = new Map<HTMLElement, Blob>();
  const list = h("ul", { class: "attached", "aria-label": "Images to send", hidden: true });
  const problem = h("p", { class: "note", role: "alert" });
  const buttons = fileButtons({
    accept: "image/*",
    label: "Add an image",
    kind: "quiet",
    multiple: true,
    camera: "Take a photo",
    example: "Use the example",
    take: (files) => void addAll(files),
    problem: (text) => (problem.textContent = text),
  });

  async function addAll(files: File[]): Promise<void> {
    for (const file of files) await add(file);
  }

  async function add(file: File): Promise<void> {
    problem.textContent = "";
    try {
      const image = await painted(file, SMALL, file.name);
      const remove = h("button", { type: "button", "aria-label": `Remove ${file.name}`, click: () => drop(item) }, "×");
      const item: HTMLElement = h("li", {}, image, remove);
      waiting.set(item, file);
      list.append(item);
      announce(`${file.name} added`);
    } catch {
      problem.textContent = `The browser cannot read ${file.name} as an image.`;
    }
    list.hidden = waiting.size === 0;
  }

  function drop(item: HTMLElement): void {
    item.remove();
    waiting.delete(item);
    list.hidden = waiting.size === 0;
    buttons[0]?.focus();
  }

  onDrop(place, (files) => void addAll(files));
  onPaste(place, (file) => void add(file));
  return {
    button: h("div", { class: "attach" }, ...buttons),
    list: h("div", {}, list, problem),
    images: () => [...waiting.values()],
    clear() {
      waiting.clear();
      list.replaceChildren();
      list.hidden = true;
      problem.textContent = "";
    },
  };
}

/** Images as they stand in a conversation. */
export function gallery(images: Blob[]): HTMLElement | null {
  if (images.length === 0) return null;
  const row = h("p", { class: "gallery" });
  const all = images.map((file) => painted(file, SMALL, file instanceof File ? file.name : "An image"));
  void Promise.all(all).then((shown) => row.append(...shown));
  return row;
}
