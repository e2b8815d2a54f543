// Where a file is dropped or chosen.

import { h } from "../dom";

/** What a place for files takes. */
export interface DropOptions {
  /** Of the input element. */
  id: string;
  /** Kinds of files, as `accept` of an input has them. */
  accept: string;
  hint: string;
  take: (file: File) => void;
}

/** A place to drop a file on, with a button that chooses one. */
export function dropPlace({ id, accept, hint, take }: DropOptions): HTMLLabelElement {
  const first = (files: FileList | null | undefined): void => {
    const file = files?.[0];
    if (file) take(file);
  };
  const input = h("input", { type: "file", accept, id, change: () => first(input.files) });
  const place: HTMLLabelElement = h(
    "label",
    {
      class: "drop",
      for: id,
      dragover: (event) => (event.preventDefault(), place.classList.add("over")),
      dragleave: () => place.classList.remove("over"),
      drop: (event) => {
        event.preventDefault();
        place.classList.remove("over");
        first((event as DragEvent).dataTransfer?.files);
      },
    },
    h("span", {}, `${hint} It does not leave this device.`),
    input,
  );
  return place;
}

/** Calls `take` with images that are pasted while `element` is in the page. */
export function onPaste(element: HTMLElement, take: (image: File) => void): void {
  document.addEventListener("paste", (event) => {
    const pasted = [...(event.clipboardData?.files ?? [])].find((file) => file.type.startsWith("image/"));
    if (pasted && element.isConnected) take(pasted);
  });
}
