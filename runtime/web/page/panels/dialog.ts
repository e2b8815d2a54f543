// A window above the page, which closes by its button, by Escape, and by a click beside it.

import { h } from "../dom";

/** Opens a window with a heading; gives the place for its content. It is gone when it is closed. */
export function openDialog(title: string, kind: string, onClose: () => void): HTMLElement {
  const body = h("div", { class: "body" });
  const heading = h("h2", { id: `${kind}-title`, tabindex: "-1", autofocus: true }, title);
  const close = h("button", { type: "button", class: "quiet", click: () => dialog.close() }, "Close");
  const head = h("header", {}, heading, close);
  const dialog = h("dialog", { class: kind, "aria-labelledby": `${kind}-title` }, h("div", { class: "frame" }, head, body));
  dialog.addEventListener("close", () => {
    dialog.remove();
    onClose();
  });
  // The frame covers the whole window, so that only what is beside it hits the dialog itself.
  dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
  document.body.append(dialog);
  dialog.showModal();
  return body;
}
