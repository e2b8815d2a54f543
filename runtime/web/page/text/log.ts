// The turns of the conversation, in their order.

import { small } from "../buttons";
import type { Conversation, Turn } from "./conversation";
import { turnView, type TurnActions, type TurnView } from "./turn";
import { h } from "../dom";

/** What the log says besides the turns. */
export interface LogState {
  busy: boolean;
  /** The turn whose text is in the box again. */
  returned: Turn | null;
}

/** The turns as they are shown. */
export interface Log {
  element: HTMLElement;
  /** Shows the conversation as it is now. */
  show(conversation: Conversation, state: LogState): void;
  /** The view of a turn that is shown. */
  view(turn: Turn): TurnView | undefined;
}

/** An empty log. `include` lets the model see again what was left out. */
export function createLog(empty: string, actions: TurnActions, include: () => void): Log {
  const views = new Map<Turn, TurnView>();
  const line = h("p", { class: "left-out-line" }, "The model no longer sees the messages above. ");
  const includeButton = small("Include them again", undefined, include);
  line.append(includeButton);
  const nothing = h("p", { class: "empty" }, empty);
  const facts = { class: "log", role: "log", "aria-live": "off", "aria-label": "Conversation" };
  // Until the conversation that was kept is there.
  const element = h("div", { ...facts, "aria-busy": "true" }, nothing);

  function viewOf(turn: Turn): TurnView {
    const view = views.get(turn) ?? turnView(turn, actions);
    views.set(turn, view);
    return view;
  }

  function show(conversation: Conversation, { busy, returned }: LogState): void {
    const path = conversation.path();
    for (const turn of views.keys()) if (!path.includes(turn)) views.delete(turn);
    const firstSeen = path.findIndex(({ leftOut }) => !leftOut);
    const parts: HTMLElement[] = [];
    path.forEach((turn, at) => {
      if (at > 0 && at === firstSeen) parts.push(line);
      const view = viewOf(turn);
      const versions = conversation.versions(turn);
      view.update({
        number: at + 1,
        version: versions.indexOf(turn) + 1,
        versions: versions.length,
        busy,
        hasEarlier: conversation.hasEarlier(turn),
        returned: turn === returned,
      });
      parts.push(view.element);
    });
    includeButton.disabled = busy;
    arrange(element, parts.length > 0 ? parts : [nothing]);
  }

  return { element, show, view: (turn) => views.get(turn) };
}

/** Makes these the children of an element. Those that stay in their place keep the focus. */
function arrange(element: HTMLElement, children: HTMLElement[]): void {
  for (const child of [...element.children]) if (!children.includes(child as HTMLElement)) child.remove();
  children.forEach((child, at) => {
    if (element.children[at] !== child) element.insertBefore(child, element.children[at] ?? null);
  });
}
