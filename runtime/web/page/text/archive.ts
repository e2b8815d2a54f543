// The kept conversations: a dialog that opens, deletes and exports them.

import { copyButton, small } from "../buttons";
import { titleOf } from "./conversation";
import { download, fileName, toJson, toMarkdown, type Exported } from "./export";
import type { Entry, History } from "./history";
import { undoLine } from "./undo";
import { h } from "../dom";

/** What the dialog asks, and what it has done. */
export interface ArchiveOptions {
  /** The history, once the browser has opened it. */
  history(): Promise<History | null>;
  /** The conversation that is shown, for exports. */
  shown(): Exported;
  /** Its name in the history. */
  current(): string;
  /** Whether a text is being written, so that the conversation cannot be replaced. */
  busy(): boolean;
  /** Shows another one; false if another tab has it. */
  open(id: string): Promise<boolean>;
  /** Forgets one, and gives what brings it back; null if another tab has it. */
  remove(id: string): Promise<(() => Promise<void>) | null>;
}

const WHERE = "Conversations are kept in this browser, on this device only. Whoever uses this browser can read them.";
const NOWHERE = "This browser keeps no conversations for this page: they end with it.";

/** The button that opens the dialog, and the dialog. */
export function archive(options: ArchiveOptions): { button: HTMLButtonElement; dialog: HTMLDialogElement } {
  const where = h("p", { class: "note" });
  const list = h("ul", { class: "conversations" });
  const undo = undoLine();
  const exported = h(
    "div",
    { class: "commands" },
    copyButton("Copy", "Copy this conversation", () => toMarkdown(options.shown())),
    small("Save as Markdown", "Save as Markdown: this conversation", saveMarkdown),
    small("Save as JSON", "Save as JSON: this conversation", () => void saveJson()),
  );
  const here = h("section", {}, h("h3", {}, "This conversation"), exported);
  const heading = h("h2", { id: "archive-title", tabindex: "-1" }, "Conversations");
  const close = h("button", { type: "button", class: "quiet", click: () => dialog.close() }, "Close");
  const parts = [h("header", {}, heading, close), where, here, list, undo.element];
  const dialog = h("dialog", { class: "archive", "aria-labelledby": heading.id }, ...parts);
  const button = small("Conversations", undefined, () => {
    undo.clear();
    void fill();
    dialog.showModal();
    heading.focus();
  });

  function saveMarkdown(): void {
    const shown = options.shown();
    download(fileName(titleOf(shown.turns), "md"), "text/markdown", toMarkdown(shown));
  }

  async function saveJson(): Promise<void> {
    const shown = options.shown();
    download(fileName(titleOf(shown.turns), "json"), "application/json", await toJson(shown));
  }

  async function fill(): Promise<void> {
    const history = await options.history();
    const entries = (await history?.list().catch(() => [])) ?? [];
    const rows = entries.filter(({ turns }) => turns > 0).map(row);
    where.textContent = history ? WHERE : NOWHERE;
    here.hidden = options.shown().turns.length === 0;
    list.replaceChildren(...rows);
  }

  function row({ id, title, changed, turns }: Entry): HTMLElement {
    const current = id === options.current();
    const facts = h("span", { class: "note" }, `${timeOf(changed)} · ${turns} ${turns === 1 ? "turn" : "turns"}`);
    const click = (): void => void choose(id, title);
    const open = h("button", { type: "button", class: "open", click }, h("span", {}, title), facts);
    if (current) open.setAttribute("aria-current", "true");
    const remove = small("Delete", `Delete “${title}”`, () => void forget(id, title));
    open.disabled = options.busy();
    remove.disabled = options.busy() && current;
    return h("li", {}, open, remove);
  }

  async function choose(id: string, title: string): Promise<void> {
    if (id === options.current() || (await options.open(id))) dialog.close();
    else undo.say(`“${title}” is open in another tab.`);
  }

  async function forget(id: string, title: string): Promise<void> {
    const restore = await options.remove(id);
    await fill();
    if (!restore) return undo.say(`“${title}” is open in another tab.`);
    undo.offer(`Deleted “${title}”.`, () => {
      void restore().then(fill);
      heading.focus();
    });
    undo.focus();
  }

  return { button, dialog };
}

/** A time as people read it. */
function timeOf(milliseconds: number): string {
  const style = { dateStyle: "medium", timeStyle: "short" } as const;
  return new Date(milliseconds).toLocaleString(document.documentElement.lang, style);
}
