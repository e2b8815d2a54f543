// The view of what is stored in this browser: by model, with sizes, and a way to delete it.

import type { StoredBundle } from "../../ts/api";
import { deleteStored, storedBundles } from "../../ts/index";
import { bytes, h } from "../dom";
import { openDialog } from "./dialog";
import { askToKeep, isKept, keptText } from "./keep";
import { troubleLine, troubleOf } from "./trouble";

const DAY_MS = 86_400_000;

/** Opens the view; `closed` is told whether something was deleted meanwhile. */
export function openStorage(closed: (deleted: boolean) => void): void {
  let deleted = false;
  const body = openDialog("Stored models", "storage", () => closed(deleted));
  const estimate = h("p", { class: "estimate" });
  const kept = h("p", { class: "kept" });
  const list = h("ul", { class: "stored", "aria-label": "Stored models" });
  const everything = h("div", { class: "everything" });
  const status = h("p", { role: "status", class: "note", tabindex: "-1" }, "Reading the storage");
  body.append(estimate, kept, list, everything, status);

  async function refresh(): Promise<void> {
    const [all] = await Promise.all([storedBundles(), writeEstimate(estimate), writeKept(kept)]);
    list.replaceChildren(...all.map((bundle) => item(bundle, () => remove(bundle))));
    const question = "Delete all models that are stored here? The next visits download them again.";
    everything.replaceChildren(
      ...(all.length > 1 ? [confirmed("Delete all", question, "Delete all models", () => remove(null))] : []),
    );
    status.textContent = all.length === 0 ? "No model is stored." : "";
  }
  async function remove(bundle: StoredBundle | null): Promise<void> {
    await attempt(async () => {
      const freed = await deleteStored(bundle ?? undefined);
      deleted = true;
      await refresh();
      status.textContent = `${bundle ? nameOf(bundle) : "Everything"} was deleted: ${bytes(freed)}.`;
    });
    // The button that had the focus is gone.
    status.focus();
  }
  async function attempt(task: () => Promise<void>): Promise<void> {
    try {
      await task();
    } catch (thrown) {
      status.textContent = troubleLine(troubleOf(thrown));
    }
  }
  void attempt(refresh);
}

function item(bundle: StoredBundle, remove: () => Promise<void>): HTMLElement {
  const name = nameOf(bundle);
  const shared = bundle.sharedBytes > 0 ? `, ${bytes(bundle.sharedBytes)} of it shared with others` : "";
  const size = `${bytes(bundle.bytes)}${shared}`;
  const used = bundle.lastUsed === null ? "" : ` · last used ${daysAgo(bundle.lastUsed)}`;
  const question = `Delete ${name}, ${bytes(bundle.bytes - bundle.sharedBytes)}? The next visit downloads it again.`;
  return h(
    "li",
    {},
    h("div", {}, h("strong", {}, name), h("p", { class: "note" }, size + used)),
    confirmed("Delete", question, `Delete ${name}`, remove),
  );
}

/** A button that asks before it does what it says, in its own place. */
function confirmed(label: string, question: string, described: string, action: () => Promise<void>): HTMLElement {
  const box = h("div", { class: "confirm" });
  const ask = h("button", { type: "button", class: "quiet", "aria-label": described }, label);
  const yes = h("button", { type: "button", class: "danger" }, "Delete");
  const no = h("button", { type: "button", class: "quiet" }, "Keep");
  ask.addEventListener("click", () => {
    box.replaceChildren(h("p", { role: "alert" }, question), yes, no);
    no.focus();
  });
  no.addEventListener("click", () => {
    box.replaceChildren(ask);
    ask.focus();
  });
  yes.addEventListener("click", () => {
    yes.disabled = no.disabled = true;
    void action();
  });
  box.append(ask);
  return box;
}

function nameOf({ name, id }: StoredBundle): string {
  return name || (id ? "An unnamed model" : "Files of earlier versions");
}

function daysAgo(when: number): string {
  const midnight = (time: number): number => new Date(time).setHours(0, 0, 0, 0);
  const days = Math.round((midnight(when) - midnight(Date.now())) / DAY_MS);
  return new Intl.RelativeTimeFormat("en", { numeric: "auto" }).format(Math.min(days, 0), "day");
}

async function writeEstimate(line: HTMLElement): Promise<void> {
  try {
    const { usage, quota } = await navigator.storage.estimate();
    if (usage === undefined || quota === undefined) return;
    line.textContent = `This site uses ${bytes(usage)} of the ${bytes(quota)} that the browser allows it.`;
  } catch {
    // Not all browsers tell.
  }
}

async function writeKept(line: HTMLElement): Promise<void> {
  const promised = await isKept();
  const ask = h("button", { type: "button", class: "quiet" }, "Ask the browser to keep them");
  ask.addEventListener("click", () => {
    ask.disabled = true;
    void askToKeep().then((answer) => line.replaceChildren(keptText(answer)));
  });
  line.replaceChildren(keptText(promised), ...(promised === false ? [ask] : []));
}
