// Contents by hash, kept by the browser between visits: in the origin's private file system, else in the Cache API,
// else not at all.

import { isQuota, type Backend } from "./backend";
import { openCache } from "./cache_api";
import type { Store } from "./contract";
import { INDEX, usageIndex, victims } from "./evict";
import { openOpfs } from "./opfs";
import { ownerOf } from "./portions";

/** Left free for what the browser itself writes beside a content. */
const MARGIN_BYTES = 1 << 20;
/** Keys of files; other keys have contents that change. */
const FILE_KEY = /^[0-9a-f]{64}$/;

/** Bytes that the origin uses and may use. */
export interface Estimate {
  usage: number;
  quota: number;
}

/** The best store that works here. */
export async function openStore(): Promise<Store> {
  for (const open of [openOpfs, openCache]) {
    try {
      const backend = await open();
      // Several browsers offer storage that fails when it is used.
      await probe(backend);
      return makeStore(backend, estimate);
    } catch {
      // The next one, then.
    }
  }
  return emptyStore();
}

/** A store that keeps nothing. */
export function emptyStore(): Store {
  return {
    kind: "none",
    get: () => Promise.resolve(null),
    put: () => Promise.resolve(false),
    remove: () => Promise.resolve(),
    protect: () => {},
    list: () => Promise.resolve([]),
  };
}

async function probe(backend: Backend): Promise<void> {
  const key = `probe-${crypto.randomUUID()}`;
  try {
    await backend.write(key, new TextEncoder().encode(key));
    const found = await backend.read(key);
    if (!found || new TextDecoder().decode(found) !== key) throw new Error("the storage does not keep written files");
  } finally {
    await backend.remove(key).catch(() => {});
  }
}

async function estimate(): Promise<Estimate | null> {
  try {
    const { usage, quota } = await navigator.storage.estimate();
    return usage === undefined || quota === undefined ? null : { usage, quota };
  } catch {
    return null;
  }
}

/** A store over a backend. `ask` gives the space there is, or null if nobody knows. */
export function makeStore(backend: Backend, ask: () => Promise<Estimate | null>): Store {
  const index = usageIndex(backend);
  const spared = new Set<string>();
  // One write at a time: more are not faster, and the room made for one must not be taken by another.
  let last: Promise<unknown> = Promise.resolve();
  // After giving up, contents of this size and more are not tried again until something was removed.
  let hopeless = Infinity;

  /** Removes others' contents to gain some bytes; false if that is not possible. */
  const evict = async (bytes: number, key: string): Promise<boolean> => {
    const [kept, usage] = await Promise.all([backend.list(), index.read()]);
    const chosen = victims(kept, usage, new Set([...spared, ownerOf(key)]), bytes);
    for (const victim of chosen ?? []) await backend.remove(victim);
    return chosen !== null;
  };
  const keep = async (key: string, content: Uint8Array): Promise<boolean> => {
    if (content.length >= hopeless) return false;
    if (FILE_KEY.test(key) && (await backend.size(key)) === content.length) return true;
    const space = await ask();
    const missing = space ? content.length + MARGIN_BYTES - (space.quota - space.usage) : 0;
    // An estimate may be stale, so what it forbids is tried nevertheless if nothing of ours can go.
    if (missing > 0) await evict(missing, key);
    try {
      await backend.write(key, content);
    } catch (e) {
      if (!isQuota(e) || !(await evict(content.length, key))) throw e;
      await backend.write(key, content);
    }
    index.touch(key);
    return true;
  };
  return {
    kind: backend.kind,
    async get(key) {
      try {
        const content = await backend.read(key);
        if (content) index.touch(key);
        return content;
      } catch {
        return null;
      }
    },
    put(key, content) {
      const result = last.then(async () => {
        try {
          return await keep(key, content);
        } catch (e) {
          if (isQuota(e)) hopeless = Math.min(hopeless, content.length);
          return false;
        }
      });
      last = result;
      return result;
    },
    async remove(key) {
      hopeless = Infinity;
      await backend.remove(key).catch(() => {});
    },
    protect(keys) {
      for (const key of keys) spared.add(key);
    },
    async list() {
      try {
        const [kept, usage] = await Promise.all([backend.list(), index.read()]);
        const contents = kept.filter(({ key }) => key !== INDEX);
        return contents.map(({ key, bytes, written }) => {
          const file = ownerOf(key);
          const used = Math.max(written, usage.get(key) ?? 0);
          return { key, file: FILE_KEY.test(file) ? file : null, bytes, used };
        });
      } catch {
        return [];
      }
    },
  };
}
