// Work that is asked for more often than it can be done.

/** Does the work; if it is asked for meanwhile, once more when it has ended. Never two at once. */
export function latest(work: () => Promise<void>): () => Promise<void> {
  let running = false;
  let again = false;
  return async () => {
    again = true;
    if (running) return;
    running = true;
    try {
      while (again) {
        again = false;
        await work();
      }
    } finally {
      running = false;
    }
  };
}
