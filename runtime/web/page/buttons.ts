// Buttons that act on a part of a text.

import { announce, h } from "./dom";

/** Milliseconds for which a button says what it did. */
const SAID = 2000;

/** A small button; `name` is what it is called where it cannot be seen what it acts on. */
export function small(text: string, name: string | undefined, click: (event: Event) => void): HTMLButtonElement {
  return h("button", { type: "button", "aria-label": name, click }, text);
}

/** A small button that copies a text. */
export function copyButton(text: string, name: string | undefined, content: () => string): HTMLButtonElement {
  let timer: ReturnType<typeof setTimeout>;
  const button = small(text, name, async () => {
    const said = (await copy(content())) ? "Copied" : "The browser does not let this page copy";
    button.textContent = said;
    announce(said);
    clearTimeout(timer);
    timer = setTimeout(() => (button.textContent = text), SAID);
  });
  return button;
}

async function copy(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return copySelected(text);
  }
}

/** For pages from plain http, which have no clipboard. */
function copySelected(text: string): boolean {
  const focused = document.activeElement as HTMLElement | null;
  const area = h("textarea", { class: "hidden", "aria-hidden": "true", tabindex: -1 });
  area.value = text;
  // Outside of an open dialog nothing can be selected.
  (document.querySelector("dialog[open]") ?? document.body).append(area);
  area.select();
  const copied = document.execCommand("copy");
  area.remove();
  focused?.focus();
  return copied;
}
