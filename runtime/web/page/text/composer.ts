// The box to write in, with its button that sends and stops.

import { attachments } from "./attachments";
import { h } from "../dom";

/** What a composer needs to know. */
export interface ComposerOptions {
  label: string;
  placeholder: string;
  send: string;
  /** What the box has at first. */
  text?: string;
  /** Whether images can go with the text. */
  images?: boolean;
  onSend: (text: string, images: Blob[]) => void;
  onStop: () => void;
}

/** A box to write in. */
export interface Composer {
  element: HTMLFormElement;
  /** Whether the button stops instead of sends. */
  setBusy(busy: boolean): void;
  setText(text: string): void;
  /** Forgets the images. */
  clearImages(): void;
  focus(): void;
}

/** A new composer: Enter sends, Shift and Enter make a line, Escape stops. */
export function composer(options: ComposerOptions): Composer {
  let busy = false;
  const box = h("textarea", {
    id: "prompt",
    rows: 1,
    placeholder: options.placeholder,
    enterkeyhint: "send",
    "aria-describedby": "keys",
    input: () => fit(),
    keydown: (event) => {
      const key = event as KeyboardEvent;
      // While a word is being composed (as in Japanese), Enter belongs to the input method.
      if (key.key !== "Enter" || key.shiftKey || key.isComposing) return;
      event.preventDefault();
      submit();
    },
  });
  box.value = options.text ?? "";
  const button = h("button", { type: "submit", class: "primary" }, options.send);
  const keys = h("p", { id: "keys", class: "keys" }, h("kbd", {}, "Enter"), " sends, ", h("kbd", {}, "Esc"), " stops");
  const element: HTMLFormElement = h(
    "form",
    {
      class: "composer",
      submit: (event) => {
        event.preventDefault();
        submit();
      },
    },
    h("label", { for: "prompt" }, options.label),
    h("div", { class: "box" }, box, button),
    keys,
  );
  const attached = options.images ? attachments(element) : null;
  if (attached) keys.before(attached.list, attached.button);
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && busy) options.onStop();
  });

  function submit(): void {
    if (busy) return options.onStop();
    const text = box.value;
    if (text.trim() !== "") options.onSend(text, attached?.images() ?? []);
  }
  // For browsers without `field-sizing`; the style sheet limits the height.
  function fit(): void {
    if (CSS.supports("field-sizing", "content")) return;
    box.style.height = "auto";
    box.style.height = `${box.scrollHeight}px`;
  }

  return {
    element,
    setBusy(now) {
      busy = now;
      button.textContent = now ? "Stop" : options.send;
      button.classList.toggle("stop", now);
    },
    setText(text) {
      box.value = text;
      fit();
    },
    clearImages: () => attached?.clear(),
    focus: () => box.focus({ preventScroll: true }),
  };
}

/** How far below the window's edge the end of a text may be, in pixels, and still be followed. */
const NEAR = 160;

/** Pixels to keep free below an element: its scroll margin, or a minimum. */
function room(element: HTMLElement): number {
  return Math.max(16, parseFloat(getComputedStyle(element).scrollMarginBottom) || 0);
}

/**
 * Keeps the end of a growing element in view, unless the reader scrolled away from it. `dock` is what covers the lower
 * edge of the window.
 */
export function follower(dock?: HTMLElement): (element: HTMLElement) => void {
  let waiting = false;
  return (element) => {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => {
      waiting = false;
      const end = element.getBoundingClientRect().bottom + (dock?.offsetHeight ?? 0) + room(element);
      const below = end - window.innerHeight;
      if (below > 0 && below < NEAR) window.scrollBy(0, below);
    });
  };
}
