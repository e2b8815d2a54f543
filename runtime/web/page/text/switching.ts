// From one conversation to another.

import { claim } from "./claim";
import type { Composer } from "./composer";
import { emptyConversation, type Conversation, type ConversationData } from "./conversation";
import { newId } from "./history";
import type { Keeper } from "./keeper";

/** What is between the conversations. */
export interface SwitchingParts {
  conversation: Conversation;
  keeper: Keeper;
  box: Composer;
  /** The field with the system message. */
  system: HTMLTextAreaElement;
  /** Called when another conversation is there. */
  switched(): void;
}

/** Goes from one conversation to another. */
export interface Switching {
  /** Goes on with a conversation that was kept. */
  use(data: ConversationData): void;
  /** Begins a new one. Gives what brings the old one back. */
  startAnew(): Promise<() => Promise<void>>;
  /** Opens one that is kept; false if another tab has it. */
  open(id: string): Promise<boolean>;
  /** Forgets one. Gives what brings it back, or null if another tab has it. */
  remove(id: string): Promise<(() => Promise<void>) | null>;
}

/** The ways from the conversation that is shown to others. What is in the box stays there. */
export function createSwitching({ conversation, keeper, box, system, switched }: SwitchingParts): Switching {
  function use(data: ConversationData): void {
    conversation.restore(data);
    system.value = data.system;
    box.give(data.draft, []);
    switched();
  }

  /** Keeps the shown conversation. Nobody wants to see a list of empty ones. */
  async function leave(): Promise<ConversationData> {
    const left = conversation.copy(system.value, "");
    if (left.turns.length > 0) await keeper.now(left);
    else await keeper.history?.remove(left.id).catch(() => undefined);
    return left;
  }

  async function goTo(data: ConversationData): Promise<void> {
    await keeper.take(data.id);
    use(data);
    void keeper.now();
  }

  async function startAnew(): Promise<() => Promise<void>> {
    const left = await leave();
    await goTo(emptyConversation(newId(), system.value));
    return async () => {
      await leave();
      await goTo(left);
    };
  }

  async function open(id: string): Promise<boolean> {
    if (!(await keeper.take(id))) return false;
    await leave();
    const data = await keeper.history?.read(id);
    if (data) await goTo(data);
    return data !== undefined && data !== null;
  }

  async function remove(id: string): Promise<(() => Promise<void>) | null> {
    const { history } = keeper;
    if (!history) return null;
    if (id === conversation.id) {
      const back = await startAnew();
      await history.remove(id);
      return back;
    }
    const release = await claim(id);
    if (!release) return null;
    const restore = await history.remove(id);
    release();
    return restore;
  }

  return { use, startAnew, open, remove };
}
