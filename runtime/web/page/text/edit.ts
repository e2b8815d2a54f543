// A message that is being changed.

import { h } from "../dom";

/** A box with a message to change. `send` gets what it became; `cancel` is called when nothing is to change. */
export function editBox(name: string, text: string, send: (text: string) => void, cancel: () => void): HTMLFormElement {
  const box = h("textarea", {
    rows: 2,
    "aria-label": name,
    keydown: (event) => {
      const key = event as KeyboardEvent;
      if (key.key === "Escape") {
        // Escape stops a text elsewhere.
        key.stopPropagation();
        cancel();
      } else if (key.key === "Enter" && !key.shiftKey && !key.isComposing) {
        key.preventDefault();
        submit();
      }
    },
  });
  box.value = text;
  const submit = (): void => {
    if (box.value.trim() !== "") send(box.value.trim());
  };
  const form = h(
    "form",
    {
      class: "edit",
      submit: (event) => {
        event.preventDefault();
        submit();
      },
    },
    box,
    h(
      "div",
      { class: "buttons" },
      h("button", { type: "submit", class: "primary" }, "Send"),
      h("button", { type: "button", class: "quiet", click: cancel }, "Cancel"),
    ),
  );
  return form;
}
