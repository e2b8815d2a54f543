// How fast a download is, and how long the rest will take. Says nothing until it knows something.

/** A download as it goes on. */
export interface Rate {
  /** Notes how many bytes have come from the network, at a time in milliseconds. */
  note(bytes: number, now: number): void;
  /** Bytes per second over the last seconds; null as long as too little is known. */
  perSecond(now: number): number | null;
  /** Whether nothing has come for so long that the rate says nothing about the rest. */
  isStalled(now: number): boolean;
}

/** What counts: a connection may change, but not with every packet. */
const WINDOW_MS = 5000;
/** Less than this says nothing yet: connections begin slowly. */
const LEAST_MS = 2000;

/** A pause that is more than a pause between packets. */
const STALLED_MS = 5000;

/** A new rate. */
export function createRate(): Rate {
  let notes: { bytes: number; at: number }[] = [];
  return {
    note(bytes, now) {
      const last = notes.at(-1);
      // Bytes that were in vain are fetched again.
      if (last && bytes < last.bytes) notes = [];
      if (notes.at(-1)?.bytes !== bytes) notes.push({ bytes, at: now });
      // The last note before the window is where it begins.
      while (notes[1] && notes[1].at <= now - WINDOW_MS) notes.shift();
    },
    perSecond(now) {
      const [first] = notes;
      const last = notes.at(-1);
      if (!first || !last || last.bytes === first.bytes || now - first.at < LEAST_MS) return null;
      return ((last.bytes - first.bytes) * 1e3) / (now - first.at);
    },
    isStalled(now) {
      const last = notes.at(-1);
      return last !== undefined && now - last.at >= STALLED_MS;
    },
  };
}

/** A duration that is only estimated: `less than a minute` would be too coarse, seconds of an hour too fine. */
export function remaining(seconds: number): string {
  const rounded = seconds < 10 ? Math.max(Math.ceil(seconds), 1) : Math.ceil(seconds / 5) * 5;
  if (rounded < 60) return `about ${rounded} s left`;
  const minutes = Math.round(seconds / 60);
  if (minutes < 60) return `about ${Math.max(minutes, 1)} min left`;
  const hours = Math.floor(minutes / 60);
  return `about ${hours} h ${minutes % 60} min left`;
}
