// A text that goes on, or one that answers another.

import type { ModelInfo } from "../../ts/api";
import { composer } from "./composer";
import { endingOf, summary } from "./ending";
import { follower, reveal } from "./follow";
import { errorProblem } from "./problem";
import { h, view } from "../dom";
import { settings } from "./settings";
import type { Writer } from "./writer";

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
export function storyView(writer: Writer, info: ModelInfo, { sees, answers }: StoryOptions): HTMLElement {
  const words = answers ? ANSWERS : sees ? SEES : GOES_ON;
  const setting = settings(info, words.temperature);
  const text = h("p", { class: "text" });
  const note = h("p", { class: "note" });
  const problem = h("div");
  const more = h(
    "button",
    { type: "button", class: "quiet", hidden: true, click: () => void go(text.textContent) },
    "Continue",
  );
  let images: Blob[] = [];
  const story = h("article", { class: "story", "aria-label": "Text", hidden: true }, text, note, problem);
  const box = composer({
    label: words.label,
    placeholder: words.text,
    send: words.send,
    text: words.text,
    images: sees,
    onSend: (start, chosen) => {
      if (writer.busy()) return;
      images = chosen;
      text.replaceChildren(...(answers ? [] : [h("span", { class: "given" }, start)]));
      void go(start);
    },
    onStop: writer.stop,
  });

  const tools = h("div", { class: "tools" }, setting.element, more);
  const follow = follower();

  /** Goes on with a text, or answers it. */
  async function go(start: string): Promise<void> {
    if (writer.busy()) return;
    const before = [...text.childNodes];
    story.hidden = false;
    more.hidden = true;
    note.textContent = "";
    problem.replaceChildren();
    text.setAttribute("aria-busy", "true");
    box.setBusy(true);
    reveal(story);
    const written = await writer.write(start, { ...setting.options(), images: images }, (piece) => {
      text.append(piece);
      follow(story);
    });
    text.removeAttribute("aria-busy");
    const ending = endingOf(written);
    note.textContent = summary(ending);
    if (written.trouble) {
      const again = (): void => {
        text.replaceChildren(...before);
        box.focus();
        void go(start);
      };
      problem.replaceChildren(errorProblem(written.trouble, { again }));
      reveal(story);
    }
    const grew = text.childNodes.length > before.length;
    more.hidden = answers || ending.reason === "context" || (ending.reason === "failed" && !grew);
    box.setBusy(false);
    follow(story);
  }

  return view("tale", "Text", box.element, tools, story);
}
