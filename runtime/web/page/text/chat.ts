// A conversation with a model: its parts, and what they have to do with each other.

import type { ModelInfo } from "../../ts/api";
import { archive } from "./archive";
import { small } from "../buttons";
import { composer } from "./composer";
import { Conversation, emptyConversation, type Turn } from "./conversation";
import { follower, measure, reveal } from "./follow";
import { newId } from "./history";
import { createKeeper } from "./keeper";
import { createLog } from "./log";
import { contextMeter } from "./meter";
import { settings } from "./settings";
import { latest } from "../tasks/latest";
import { createSwitching } from "./switching";
import { createTalk } from "./talk";
import { undoLine } from "./undo";
import { waitingList } from "./waiting";
import type { Writer } from "./writer";
import { h, view } from "../dom";

const EMPTY = "Your messages stay on this device: the model runs in this page.";
const NOT_KEPT = "This browser does not keep the conversation: it ends with this page.";

/** The view of a model with a chat template; `sees` says whether it writes about images, `bundle` where it is. */
export function chatView(writer: Writer, info: ModelInfo, sees: boolean, bundle: string): HTMLElement {
  const { name, maxContext } = info;
  const conversation = new Conversation(emptyConversation(newId()));
  const box = composer({
    label: "Your message",
    placeholder: "Write a message",
    send: "Send",
    images: sees,
    queues: true,
    onSend: send,
    onStop: writer.stop,
    onChange: typing,
  });
  const setting = settings(info);
  const system = h("textarea", { rows: 2, placeholder: "None", input: soon });
  setting.element.append(h("label", { class: "wide" }, h("span", {}, "System message"), system));
  const waiting = waitingList(({ text, images }) => {
    box.give(text, images);
    box.focus();
  }, soon);
  const notKept = h("p", { class: "note", hidden: true }, NOT_KEPT);
  const keeper = createKeeper(
    bundle,
    () => conversation.copy(system.value, [waiting.all().text, box.text()].filter((part) => part !== "").join("\n\n")),
    (works) => (notKept.hidden = works),
  );
  const talk = createTalk({
    conversation,
    writer,
    box,
    waiting,
    system: () => system.value,
    options: setting.options,
    changed(turn) {
      if (turn) undo.clear();
      changed();
      const shown = turn && log.view(turn);
      if (shown) reveal(shown.element, dock);
    },
    piece(turn, piece) {
      const shown = log.view(turn);
      shown?.append(piece);
      if (shown) follow(shown.element);
      soon();
    },
  });
  const switching = createSwitching({ conversation, keeper, box, system, switched });
  const meter = contextMeter(maxContext, () => {
    const last = conversation.path().at(-1);
    if (last) conversation.leaveOut(last, maxContext);
    changed();
    box.focus();
  });
  const undo = undoLine();
  const fresh = small("New conversation", undefined, () => void startAnew());
  const kept = archive({
    history: () => begun.then(() => keeper.history),
    shown: () => ({ model: name, system: system.value, turns: conversation.path() }),
    current: () => conversation.id,
    busy: talk.busy,
    open: switching.open,
    remove: switching.remove,
  });
  const tools = h("div", { class: "tools" }, setting.element, kept.button, fresh, meter.element);
  const dock = h("div", { class: "dock" }, undo.element, meter.warning, notKept, waiting.element, box.element, tools);
  const log = createLog(EMPTY, { edit, again: talk.again, remove, turnTo, leaveOut }, includeAll);
  const follow = follower(dock);
  measure(dock);
  // What was typed meanwhile stays.
  const begun = keeper.begin().then((data) => {
    switching.use({ ...data, system: system.value || data.system });
    log.element.removeAttribute("aria-busy");
  });

  let typed = 0;
  const countTyped = latest(async () => {
    const text = box.text();
    typed = text.trim() === "" ? 0 : await writer.count(text).catch(() => 0);
    showMeter();
  });

  function soon(): void {
    keeper.soon();
  }

  function typing(): void {
    soon();
    void countTyped();
  }

  /** Shows the conversation as it is now. */
  function show(): void {
    const busy = talk.busy();
    log.show(conversation, { busy, returned: talk.returned() });
    fresh.hidden = conversation.path().length === 0;
    fresh.disabled = busy;
    showMeter();
  }

  function showMeter(): void {
    const last = conversation.path().at(-1);
    // A turn that the context was too small for says so itself.
    const told = last?.ending?.trouble || last?.ending?.reason === "context";
    // What came back into the box counts already.
    const more = talk.returned() ? 0 : typed;
    meter.show(conversation.used(), more, !talk.busy() && !told, !!last && conversation.hasEarlier(last));
  }

  function changed(): void {
    show();
    void keeper.now();
    void countTyped();
  }

  function switched(): void {
    talk.resume();
    show();
    if (conversation.path().length > 0) reveal(log.element, dock);
  }

  function send(text: string, images: Blob[]): void {
    waiting.add({ text: text.trim(), images }, talk.returned() !== null);
    box.clear();
    void begun.then(talk.goOn);
  }

  function edit(turn: Turn, text: string): void {
    talk.answer(conversation.add(turn.parent, text, turn.images));
  }

  function leaveOut(turn: Turn): void {
    conversation.leaveOut(turn, maxContext);
    talk.again(turn);
  }

  function includeAll(): void {
    conversation.includeAll();
    changed();
    box.focus();
  }

  function turnTo(turn: Turn, step: 1 | -1): void {
    const versions = conversation.versions(turn);
    const other = versions.at((versions.indexOf(turn) + step) % versions.length);
    if (!other) return;
    conversation.show(other);
    changed();
    log.view(other)?.focusStep(step);
  }

  function remove(turn: Turn): void {
    const before = conversation.copy();
    conversation.remove(turn);
    changed();
    undo.offer("Deleted the message and its answer.", () => {
      conversation.restore(before);
      changed();
      box.focus();
    });
    undo.focus();
  }

  async function startAnew(): Promise<void> {
    const back = await switching.startAnew();
    undo.offer("This is a new conversation.", () => void back().then(box.focus));
    box.focus();
  }

  return view("chat", "Chat", log.element, dock, kept.dialog);
}
