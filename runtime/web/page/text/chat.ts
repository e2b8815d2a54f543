// A conversation.

import type { Message, MessagePart } from "../../ts/api";
import { gallery } from "./attachments";
import { composer, follower } from "./composer";
import { h, view } from "../dom";
import { settings } from "./settings";
import { summary, type Writer } from "./writer";

/** The view of a model with a chat template; `sees` says whether it writes about images. */
export function chatView(writer: Writer, sees: boolean): HTMLElement {
  const messages: Message[] = [];
  const log = h("div", { class: "log", role: "log", "aria-live": "off", "aria-label": "Conversation" });
  const empty = h("p", { class: "empty" }, "Your messages stay on this device: the model runs in this page.");
  log.append(empty);
  const setting = settings();
  const system = h("textarea", { rows: 2, placeholder: "None" });
  setting.element.append(h("label", { class: "wide" }, h("span", {}, "System message"), system));
  const fresh = h("button", { type: "button", class: "quiet", hidden: true, click: restart }, "New conversation");
  const box = composer({
    label: "Your message",
    placeholder: "Write a message",
    send: "Send",
    images: sees,
    onSend: (text, images) => void send(text, images),
    onStop: writer.stop,
  });
  const tools = h("div", { class: "tools" }, setting.element, fresh);
  const dock = h("div", { class: "dock" }, box.element, tools);
  const follow = follower(dock);

  async function send(text: string, images: Blob[]): Promise<void> {
    const answer = h("p", { class: "text", "aria-busy": "true" });
    const note = h("p", { class: "note" });
    const reply = h("article", { class: "assistant" }, h("h3", {}, "Model"), answer, note);
    const said = h("p", { class: "text" }, text.trim());
    log.append(h("article", { class: "user" }, h("h3", {}, "You"), gallery(images), said), reply);
    window.scrollBy(0, Math.max(0, reply.getBoundingClientRect().bottom + dock.offsetHeight - window.innerHeight));
    box.setText("");
    box.clearImages();
    box.setBusy(true);
    fresh.hidden = true;
    messages.push({ role: "user", content: contentOf(text.trim(), images) });
    const instruction = system.value.trim();
    const prompt = instruction ? [{ role: "system", content: instruction }, ...messages] : [...messages];
    const result = await writer.write(prompt, setting.options(), (piece) => {
      answer.append(piece);
      follow(reply);
    });
    answer.removeAttribute("aria-busy");
    if (result && result.tokens.length > 0) messages.push({ role: "assistant", content: result.text });
    // A message without an answer would break the turns that templates insist on.
    else messages.pop();
    note.textContent = result ? summary(result) : "failed; this turn is not part of the conversation";
    follow(reply);
    box.setBusy(false);
    fresh.hidden = false;
    box.focus();
  }

  function restart(): void {
    messages.length = 0;
    log.replaceChildren(empty);
    fresh.hidden = true;
    box.focus();
  }

  return view("chat", "Chat", log, dock);
}

/** A text with images in front of it. */
function contentOf(text: string, images: Blob[]): string | MessagePart[] {
  if (images.length === 0) return text;
  return [...images.map((image) => ({ type: "image", image }) as const), { type: "text", text }];
}
