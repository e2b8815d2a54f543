// Messages that wait until the model has answered the one before.

import { small } from "../buttons";
import { h } from "../dom";

/** A message that is not sent yet. */
export interface Message {
  text: string;
  images: readonly Blob[];
}

/** Messages that wait. */
export interface Waiting {
  element: HTMLElement;
  /** Lets a message wait, behind the others or in front of them. */
  add(message: Message, first: boolean): void;
  /** Takes the first one. */
  next(): Message | null;
  /** All of them, as one. */
  all(): Message;
  /** Takes all of them, as one. */
  takeAll(): Message;
}

/** No messages yet. `back` gets one that the reader takes back; `changed` is called after each change. */
export function waitingList(back: (message: Message) => void, changed: () => void): Waiting {
  let items: { item: HTMLElement; message: Message }[] = [];
  const element = h("ul", { class: "waiting", "aria-label": "Waiting messages", hidden: true });

  function drop(item: HTMLElement): void {
    items = items.filter((one) => one.item !== item);
    item.remove();
    element.hidden = items.length === 0;
    changed();
  }

  function all(): Message {
    const images = items.flatMap(({ message }) => [...message.images]);
    return { text: items.map(({ message }) => message.text).join("\n\n"), images };
  }

  return {
    element,
    add(message, first) {
      const takeBack = (): void => {
        drop(item);
        back(message);
      };
      const images = message.images.length;
      const more = images === 0 ? "" : ` (with ${images} ${images === 1 ? "image" : "images"})`;
      const line = message.text.replaceAll(/\s+/g, " ") + more;
      const button = small("Take back", `Take back: ${line}`, takeBack);
      const item: HTMLElement = h("li", {}, h("span", {}, h("b", {}, "Waiting "), line), button);
      if (first) items.unshift({ item, message });
      else items.push({ item, message });
      element[first ? "prepend" : "append"](item);
      element.hidden = false;
      changed();
    },
    next() {
      const [first] = items;
      if (!first) return null;
      drop(first.item);
      return first.message;
    },
    all,
    takeAll() {
      const taken = all();
      for (const { item } of items) drop(item);
      return taken;
    },
  };
}
