// A text that goes on.

import { composer, follower } from "./composer";
import { h } from "./dom";
import { settings } from "./settings";
import { summary, type Writer } from "./writer";

/** The view of a model that continues texts; `sees` says whether they can be about pictures. */
export function storyView(writer: Writer, sees: boolean): HTMLElement {
  const follow = follower();
  const setting = settings();
  const text = h("p", { class: "text" });
  const note = h("p", { class: "note" });
  const more = h(
    "button",
    { type: "button", class: "quiet", hidden: true, click: () => void go(text.textContent) },
    "Write on",
  );
  let pictures: Blob[] = [];
  const story = h("article", { class: "story", "aria-label": "Text", hidden: true }, text, note);
  const box = composer({
    label: "How does it begin?",
    placeholder: sees ? "This picture shows" : "Once upon a time",
    send: "Write",
    text: sees ? "This picture shows" : "Once upon a time",
    pictures: sees,
    onSend: (start, chosen) => {
      pictures = chosen;
      text.replaceChildren(h("span", { class: "given" }, start));
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
    const result = await writer.write(start, { ...setting.options(), images: pictures }, (piece) => {
      text.append(piece);
      follow(story);
    });
    text.removeAttribute("aria-busy");
    note.textContent = result ? summary(result) : "ended by an error";
    more.hidden = result === null || result.reason === "context";
    box.setBusy(false);
    follow(story);
  }

  const tools = h("div", { class: "tools" }, setting.element, more);
  return h("section", { class: "tale", "aria-label": "Text" }, box.element, tools, story);
}
