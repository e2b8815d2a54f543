// What there is of a file while it is being fetched. It is kept, so that a visit that was ended goes on where it was.
//
// A portion lies under a key of its own and has a fixed place in the file, so that tabs that fetch the same file write the
// same portions. Nothing vouches for portions but the hash of the file that they become.

import type { FileRef, Store } from "./contract";

/** Bytes of a portion; the last one that there is may have fewer. */
const PORTION_BYTES = 2 << 20;
/** What has come is kept this often, even if that is less than a portion: where networks are slow, it took long to come. */
const EVERY_MS = 1000;

/** The portions of a file. */
export interface Portions {
  /** Brings what is kept into the file; gives how many bytes that is, from the beginning. */
  restore(): Promise<number>;
  /** So many bytes of the file are there now. */
  grown(bytes: number): void;
  /** Keeps all bytes that are there. Never rejects. */
  keep(): Promise<void>;
  /** Forgets the portions. Never rejects. */
  drop(): Promise<void>;
}

/** The key of a portion of a file. */
function keyOf({ sha256 }: FileRef, index: number): string {
  return `${sha256}-${index}`;
}

/** The key of the file that a portion belongs to; of all else the key itself. */
export function ownerOf(key: string): string {
  return /^([0-9a-f]{64})-\d+$/.exec(key)?.[1] ?? key;
}

/** The portions of a file that comes into `content`, from the beginning to the end. */
export function portionsOf(store: Store, ref: FileRef, content: Uint8Array<ArrayBuffer>): Portions {
  let there = 0;
  /** Bytes that are kept, and portions that may exist. */
  let [kept, portions] = [0, 0];
  let last = performance.now();
  let writing: Promise<void> | null = null;
  /** A store without space for one portion has none for the others. */
  let full = false;

  const write = async (): Promise<void> => {
    const end = there;
    for (let index = Math.floor(kept / PORTION_BYTES); index * PORTION_BYTES < end; index++) {
      const portion = content.subarray(index * PORTION_BYTES, Math.min((index + 1) * PORTION_BYTES, end));
      full = !(await store.put(keyOf(ref, index), portion));
      if (full) break;
      kept = index * PORTION_BYTES + portion.length;
      portions = Math.max(portions, index + 1);
    }
    last = performance.now();
  };
  const start = (): Promise<void> => (writing ??= write().finally(() => (writing = null)));
  return {
    async restore() {
      while (kept < content.length) {
        const portion = await store.get(keyOf(ref, portions));
        if (!portion || portion.length > Math.min(PORTION_BYTES, content.length - kept)) break;
        content.set(portion, kept);
        kept += portion.length;
        portions += 1;
        if (portion.length < PORTION_BYTES) break;
      }
      return (there = kept);
    },
    grown(bytes) {
      // A server that starts again sends the same bytes.
      there = bytes;
      kept = Math.min(kept, bytes);
      const due = there - kept >= PORTION_BYTES || (there > kept && performance.now() - last >= EVERY_MS);
      if (due && !full) void start();
    },
    async keep() {
      // What came while the last ones were written comes after them.
      await writing;
      if (there > kept && !full) await start();
    },
    async drop() {
      there = 0;
      await writing;
      for (let index = 0; index < portions; index++) await store.remove(keyOf(ref, index));
      [kept, portions] = [0, 0];
    },
  };
}
