// A store in memory.

import type { Store } from "../ts/load/contract";

/** A store with its contents. */
export function memoryStore(): Store & { contents: Map<string, Uint8Array>; spared: Set<string> } {
  const contents = new Map<string, Uint8Array>();
  const spared = new Set<string>();
  return {
    kind: "opfs",
    contents,
    spared,
    get: (key) => {
      const found = contents.get(key);
      return Promise.resolve(found ? new Uint8Array(found) : null);
    },
    put: (key, content) => {
      contents.set(key, content.slice());
      return Promise.resolve(true);
    },
    remove: (key) => {
      contents.delete(key);
      return Promise.resolve();
    },
    protect: (keys) => {
      for (const key of keys) spared.add(key);
    },
    list: () => Promise.resolve(Array.from(contents, ([key, { length: bytes }]) => {
      const file = /^([0-9a-f]{64})(-\d+)?$/.exec(key)?.[1] ?? null;
      return { key, file, bytes, used: 0 };
    })),
  };
}
