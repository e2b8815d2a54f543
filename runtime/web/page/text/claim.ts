// A conversation belongs to one tab at a time: two that write it would lose turns of each other.

/** Takes a conversation for this tab, until the function that it gives is called; null if another tab has it. */
export function claim(id: string): Promise<(() => void) | null> {
  const { locks } = navigator as { locks?: LockManager };
  // Pages from plain http have no locks.
  if (!locks) return Promise.resolve(() => undefined);
  return new Promise((resolve) => {
    const hold = (lock: Lock | null): Promise<void> | void => {
      if (!lock) return resolve(null);
      return new Promise<void>((release) => resolve(release));
    };
    // Where locks are forbidden, the conversation is still better than none.
    locks.request(`gristmill-conversation-${id}`, { ifAvailable: true }, hold).catch(() => resolve(() => undefined));
  });
}
