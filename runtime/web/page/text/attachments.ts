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
  /** Adds images that were here before. */
  add(images: readonly Blob[]): void;
  /** Takes these images away, where they still wait. */
  remove(images: readonly Blob[]): void;
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
    take: addAll,
    problem: (text) => (problem.textContent = text),
  });

  function addAll(files: readonly Blob[]): void {
    problem.textContent = "";
    for (const file of files) void add(file);
  }

  /** Adds an image at once, so that it goes along however soon the text is sent. */
  async function add(file: Blob): Promise<void> {
    const name = nameOf(file);
    const remove = h("button", { type: "button", "aria-label": `Remove ${name}`, click: () => drop(item) }, "×");
    const item: HTMLElement = h("li", {}, remove);
    waiting.set(item, file);
    list.append(item);
    list.hidden = false;
    try {
      item.prepend(await painted(file, SMALL, name));
      announce(`${name} added`);
    } catch {
      forget(item);
      problem.textContent = `The browser cannot read ${name} as an image.`;
    }
  }

  function drop(item: HTMLElement): void {
    forget(item);
    buttons[0]?.focus();
  }

  function forget(item: HTMLElement): void {
    item.remove();
    waiting.delete(item);
    list.hidden = waiting.size === 0;
  }

  onDrop(place, addAll);
  onPaste(place, (file) => addAll([file]));
  return {
    button: h("div", { class: "attach" }, ...buttons),
    list: h("div", {}, list, problem),
    images: () => [...waiting.values()],
    add: addAll,
    remove(images) {
      for (const [item, image] of [...waiting]) if (images.includes(image)) forget(item);
    },
    clear() {
      waiting.clear();
      list.replaceChildren();
      list.hidden = true;
      problem.textContent = "";
    },
  };
}

/** Images as they stand in a conversation. */
export function gallery(images: readonly Blob[]): HTMLElement | null {
  if (images.length === 0) return null;
  const row = h("p", { class: "gallery" });
  const all = images.map((file) => painted(file, SMALL, nameOf(file)));
  void Promise.all(all).then((shown) => row.append(...shown));
  return row;
}

/** What an image is called. */
export function nameOf(image: Blob): string {
  return image instanceof File ? image.name : "An image";
}
