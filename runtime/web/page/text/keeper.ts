// Keeps the conversation of this tab, as it grows, in the browser's history.

import { claim } from "./claim";
import { Conversation, emptyConversation, type ConversationData } from "./conversation";
import { newId, openHistory, type History } from "./history";

/** Milliseconds between two writes while a text grows. */
const EVERY = 400;

/** Keeps one conversation at a time. */
export interface Keeper {
  /** The conversations that are kept; null where the browser keeps nothing. */
  readonly history: History | null;
  /** The conversation to go on with: the last one, unless another tab has it. */
  begin(): Promise<ConversationData>;
  /** Goes on with another one. False if another tab has it. */
  take(id: string): Promise<boolean>;
  /** Writes soon. */
  soon(): void;
  /** Writes at once. */
  now(data?: ConversationData): Promise<void>;
}

/**
 * A new keeper for the bundle at an address. `snapshot` gives what is to be written, `kept` is told whether that
 * worked.
 */
export function createKeeper(bundle: string, snapshot: () => ConversationData, kept: (works: boolean) => void): Keeper {
  let history: History | null = null;
  let release = (): void => {};
  let timer: ReturnType<typeof setTimeout> | null = null;
  let writing: Promise<void> = Promise.resolve();

  function now(data = snapshot()): Promise<void> {
    if (timer !== null) clearTimeout(timer);
    timer = null;
    if (!history) return writing;
    // One after the other, so that the last one is what stays.
    writing = writing.then(() => history?.write(data)).then(
      () => kept(true),
      () => kept(false),
    );
    return writing;
  }

  async function take(id: string): Promise<boolean> {
    const taken = await claim(id);
    if (!taken) return false;
    release();
    release = taken;
    return true;
  }

  async function begin(): Promise<ConversationData> {
    try {
      history = await openHistory(bundle);
      const [last] = await history.list();
      const data = last && (await take(last.id)) && (await history.read(last.id));
      if (data) {
        const conversation = new Conversation(data);
        conversation.close();
        return conversation.copy();
      }
    } catch {
      history = null;
      kept(false);
    }
    const fresh = emptyConversation(newId());
    await take(fresh.id);
    return fresh;
  }

  // The last moments in which a page may write.
  const last = (): void => {
    if (timer !== null) void now();
  };
  addEventListener("pagehide", last);
  document.addEventListener("visibilitychange", last);
  return {
    get history() {
      return history;
    },
    begin,
    take,
    soon: () => void (timer ??= setTimeout(() => void now(), EVERY)),
    now,
  };
}
