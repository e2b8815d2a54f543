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
  /** Whether Enter is of use while a text is being written, because what was typed then waits. */
  queues?: boolean;
  onSend: (text: string, images: Blob[]) => void;
  onStop: () => void;
  /** Called when the reader has changed the text. */
  onChange?: () => void;
}

/** A box to write in. */
export interface Composer {
  element: HTMLFormElement;
  /** Whether there is something to stop. */
  setBusy(busy: boolean): void;
  text(): string;
  isEmpty(): boolean;
  /** Puts a text and images in front of what the box has. */
  give(text: string, images: readonly Blob[]): void;
  /** Takes them away again, where they still are. */
  take(text: string, images: readonly Blob[]): void;
  clear(): void;
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
    input: () => {
      fit();
      options.onChange?.();
    },
    keydown: (event) => {
      const key = event as KeyboardEvent;
      // While a word is being composed (as in Japanese), Enter belongs to the input method.
      if (key.key !== "Enter" || key.shiftKey || key.isComposing) return;
      event.preventDefault();
      submit();
    },
  });
  box.value = options.text ?? "";
  const button = h("button", { type: "submit", class: "primary", click: stopInstead }, options.send);
  const keys = h("p", { id: "keys", class: "keys" });
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
    // In a dialog, Escape closes that.
    if (event.key === "Escape" && busy && !document.querySelector("dialog[open]")) options.onStop();
  });
  setBusy(false);

  function submit(): void {
    if (busy && !options.queues) return;
    const text = box.value;
    if (text.trim() !== "") options.onSend(text, attached?.images() ?? []);
  }
  function stopInstead(event: Event): void {
    if (!busy) return;
    event.preventDefault();
    options.onStop();
  }
  function setBusy(now: boolean): void {
    busy = now;
    button.textContent = now ? "Stop" : options.send;
    button.classList.toggle("stop", now);
    const enter = !now ? " sends, " : options.queues ? " queues, " : null;
    keys.replaceChildren(...(enter ? [h("kbd", {}, "Enter"), enter] : []), h("kbd", {}, "Esc"), " stops");
  }
  function setText(text: string): void {
    box.value = text;
    fit();
  }
  // For browsers without `field-sizing`; the style sheet limits the height.
  function fit(): void {
    if (CSS.supports("field-sizing", "content")) return;
    box.style.height = "auto";
    box.style.height = `${box.scrollHeight}px`;
  }

  return {
    element,
    setBusy,
    text: () => box.value,
    isEmpty: () => box.value.trim() === "" && (attached?.images().length ?? 0) === 0,
    give(text, images) {
      setText([text, box.value].filter((part) => part.trim() !== "").join("\n\n"));
      attached?.add(images);
    },
    take(text, images) {
      if (box.value.startsWith(text)) setText(box.value.slice(text.length).replace(/^\n\n/, ""));
      attached?.remove(images);
    },
    clear() {
      setText("");
      attached?.clear();
    },
    focus: () => box.focus({ preventScroll: true }),
  };
}
