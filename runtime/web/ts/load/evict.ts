// Which contents go when the browser gives no more space: the least recently used ones.
//
// No browser tells when a file was last read, so a small index says it, kept as one more content. Tabs overwrite each
// other's index; what that loses is the order of a few contents, never a content.

import type { Backend, Kept } from "./backend";
import { ownerOf } from "./portions";

/** Key of the index. */
export const INDEX = "used";
/** The index waits this long for further changes before it is written. */
const INDEX_DELAY_MS = 500;

/** When contents were used last, by key, in milliseconds since 1970. */
export type Usage = Map<string, number>;

/** The contents to remove, in this order, to gain `bytes`; null if removing all that may go is not enough. */
export function victims(kept: Kept[], usage: Usage, spared: ReadonlySet<string>, bytes: number): string[] | null {
  const used = (k: Kept): number => Math.max(k.written, usage.get(k.key) ?? 0);
  const free = kept.filter((k) => k.key !== INDEX && !spared.has(ownerOf(k.key))).sort((a, b) => used(a) - used(b));
  const chosen: string[] = [];
  let gained = 0;
  for (const k of free) {
    if (gained >= bytes) break;
    chosen.push(k.key);
    gained += k.bytes;
  }
  return gained >= bytes ? chosen : null;
}

/** The index of a backend. */
export interface UsageIndex {
  /** Marks a content as used now. */
  touch(key: string): void;
  /** The index as it is now, together with what other tabs wrote. */
  read(): Promise<Usage>;
}

/** Reads and writes the index. If that fails, contents go in the order in which they were written. */
export function usageIndex(backend: Backend, delayMs = INDEX_DELAY_MS): UsageIndex {
  const touched: Usage = new Map();
  let timer: ReturnType<typeof setTimeout> | undefined;
  const read = async (): Promise<Usage> => {
    const usage = parse(await backend.read(INDEX).catch(() => null));
    for (const [key, time] of touched) usage.set(key, Math.max(time, usage.get(key) ?? 0));
    return usage;
  };
  const write = async (): Promise<void> => {
    timer = undefined;
    const [usage, kept] = await Promise.all([read(), backend.list()]);
    const there = new Set(kept.map((k) => k.key));
    const entries = [...usage].filter(([key]) => there.has(key));
    await backend.write(INDEX, new TextEncoder().encode(JSON.stringify(Object.fromEntries(entries))));
  };
  return {
    touch(key) {
      touched.set(key, Date.now());
      timer ??= setTimeout(() => void write().catch(() => {}), delayMs);
    },
    read,
  };
}

function parse(content: Uint8Array | null): Usage {
  try {
    const entries = Object.entries(JSON.parse(new TextDecoder().decode(content ?? undefined)) as object);
    return new Map(entries.filter((e): e is [string, number] => Number.isFinite(e[1])));
  } catch {
    return new Map();
  }
}
