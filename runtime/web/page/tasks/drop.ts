// Where a file is dropped, pasted or chosen.

import { h } from "../dom";
import { fileButtons, type ChooseOptions } from "./choose";

/** What a place for files takes. */
export interface DropOptions extends Omit<ChooseOptions, "take" | "kind" | "multiple"> {
  /** What can be done with a mouse and keys. */
  hint: string;
  /** A button beside those that choose. */
  beside?: HTMLElement | null;
  take: (file: File) => void;
}

/** A place to drop a file on, with buttons that choose one. */
export function dropPlace({ hint, beside, take, ...options }: DropOptions): HTMLElement {
  const first = ([file]: File[]): void => {
    if (file) take(file);
  };
  const place = h(
    "div",
    { class: "drop" },
    h("p", {}, h("span", { class: "mouse" }, `${hint} `), "What you choose stays on this device."),
    h("div", { class: "buttons" }, ...fileButtons({ ...options, kind: "primary", take: first }), beside ?? null),
  );
  onDrop(place, first);
  return place;
}

/**
 * Calls `take` with files that are dropped anywhere on the page while `element` is in it. Otherwise the browser would
 * leave the page to show a file that was dropped beside the intended place.
 */
export function onDrop(element: HTMLElement, take: (files: File[]) => void): void {
  const hovers = (over: boolean): boolean => element.classList.toggle("over", over);
  const listen = (kind: "dragover" | "dragleave" | "drop", react: (event: DragEvent) => void): void =>
    document.addEventListener(kind, (event) => element.isConnected && react(event), true);
  listen("dragover", (event) => {
    if (!event.dataTransfer?.types.includes("Files")) return;
    event.preventDefault();
    hovers(true);
  });
  // The target counts as left only when the pointer leaves the window.
  listen("dragleave", (event) => event.relatedTarget || hovers(false));
  listen("drop", (event) => {
    hovers(false);
    const files = [...(event.dataTransfer?.files ?? [])];
    if (files.length === 0) return;
    event.preventDefault();
    take(files);
  });
}

/** Calls `take` with images that are pasted while `element` is in the page. */
export function onPaste(element: HTMLElement, take: (image: File) => void): void {
  document.addEventListener("paste", (event) => {
    const pasted = [...(event.clipboardData?.files ?? [])].find((file) => file.type.startsWith("image/"));
    if (pasted && element.isConnected) take(pasted);
  });
}
