// The button that opens the view of what is stored, which is loaded when it is first opened.

import { h } from "../dom";

/** A button; `changed` is called when the view closes after something was deleted. */
export function storageButton(changed: () => void = () => {}): HTMLElement {
  const button = h("button", { type: "button", class: "quiet" }, "Stored models");
  button.addEventListener("click", () => void open());
  async function open(): Promise<void> {
    const { openStorage } = await import("./storage");
    openStorage((deleted) => {
      // Not every browser gives a button the focus when it is clicked, so none gives it back.
      button.focus();
      if (deleted) changed();
    });
  }
  return button;
}
