// A text that goes on, or one that answers another.

import { composer, follower } from "./composer";
import { h, view } from "../dom";
import { settings } from "./settings";
import { summary, type Writer } from "./writer";

/** What the model does with a text. */
export interface StoryOptions {
  /** Whether texts can be about images. */
  sees: boolean;
  /** Whether the model reads a text and writes another (a translation, a summary) instead of going on with it. */
  answers: boolean;
}

const GOES_ON = { label: "How does it begin?", text: "Once upon a time", send: "Write", temperature: 0.7 };
const SEES = { ...GOES_ON, text: "This image shows" };
const ANSWERS = { label: "Input text", text: "The mill grinds the grain.", send: "Run", temperature: 0 };

/** The view of a model that writes without turns. */
export function storyView(writer: Writer, { sees, answers }: StoryOptions): HTMLElement {
  const words = answers ? ANSWERS : sees ? SEES : GOES_ON;
  const follow = follower();
  const setting = settings(words.temperature);
  const text = h("p", { class: "text" });
  const note = h("p", { class: "note" });
  const more = h(
    "button",
    { type: "button", class: "quiet", hidden: true, click: () => void go(text.textContent) },
    "Continue",
  );
  let images: Blob[] = [];
  const story = h("article", { class: "story", "aria-label": "Text", hidden: true }, text, note);
  const box = composer({
    label: words.label,
    placeholder: words.text,
    send: words.send,
    text: words.text,
    images: sees,
    onSend: (start, chosen) => {
      images = chosen;
      text.replaceChildren(...(answers ? [] : [h("span", { class: "given" }, start)]));
      void go(start);
    },
    onStop: writer.stop,
  });

  async function go(start: string): Promise<void> {
    if (writer.busy()) return;
    story.hidden = false;
    more.hidden = true;
    note.textContent = "";
    text.setAttribute("aria-busy", "true");
    box.setBusy(true);
    const result = await writer.write(start, { ...setting.options(), images: images }, (piece) => {
      text.append(piece);
      follow(story);
    });
    text.removeAttribute("aria-busy");
    note.textContent = result ? summary(result) : "failed";
    more.hidden = answers || result === null || result.reason === "context";
    box.setBusy(false);
    follow(story);
  }

  const tools = h("div", { class: "tools" }, setting.element, more);
  return view("tale", "Text", box.element, tools, story);
}
