// The store over fakes of the browser's storage; real browsers are tested elsewhere.

import assert from "node:assert/strict";
import { test } from "node:test";
import type { Backend } from "../ts/load/backend";
import { cacheBackend, type CacheLike } from "../ts/load/cache_api";
import { INDEX, usageIndex, victims } from "../ts/load/evict";
import { opfsBackend } from "../ts/load/opfs";
import { makeStore, openStore } from "../ts/load/store";
import { bytesOf } from "./server";

/** How a fake file system misbehaves. */
interface Faults {
  sync: "works" | "fails" | "missing";
  writable: boolean;
  move: "overwrites" | "refuses" | "missing";
  capacity: number;
}

/** A folder as browsers have it. */
function fakeFolder(faults: Faults) {
  const files = new Map<string, Uint8Array>();
  const times = new Map<string, number>();
  const locked = new Set<string>();
  const set = (name: string, content: Uint8Array): void => {
    let total = content.length;
    for (const [other, bytes] of files) if (other !== name) total += bytes.length;
    if (total > faults.capacity) throw new DOMException("full", "QuotaExceededError");
    files.set(name, content);
    times.set(name, Date.now());
  };
  const handleOf = (first: string): object => {
    const name = first;
    const sync = async (): Promise<object> => {
      await Promise.resolve();
      if (faults.sync === "fails") throw new DOMException("not supported", "InvalidStateError");
      if (locked.has(name)) throw new DOMException("locked", "NoModificationAllowedError");
      locked.add(name);
      return {
        truncate: (n: number) => set(name, (files.get(name) ?? new Uint8Array()).slice(0, n)),
        write: (bytes: Uint8Array, { at }: { at: number }) => {
          const next = new Uint8Array(at + bytes.length);
          next.set(files.get(name) ?? new Uint8Array());
          next.set(bytes, at);
          set(name, next);
          return bytes.length;
        },
        flush: () => {},
        close: () => locked.delete(name),
      };
    };
    const writable = async (): Promise<object> => {
      await Promise.resolve();
      let written = new Uint8Array();
      return {
        write: async (bytes: Uint8Array<ArrayBuffer>) => void (written = bytes.slice()),
        close: async () => set(name, written),
        abort: async () => {},
      };
    };
    const move = async (to: string): Promise<void> => {
      await Promise.resolve();
      if (faults.move === "refuses" && files.has(to)) throw new DOMException("there", "InvalidModificationError");
      files.set(to, files.get(name) ?? assert.fail());
      files.delete(name);
      times.set(to, times.get(name) ?? 0);
    };
    return {
      getFile: async () => {
        const content = files.get(name) ?? assert.fail(name);
        const lastModified = times.get(name) ?? 0;
        return { size: content.length, lastModified, arrayBuffer: async () => content.slice().buffer };
      },
      ...(faults.sync === "missing" ? {} : { createSyncAccessHandle: sync }),
      ...(faults.writable ? { createWritable: writable } : {}),
      ...(faults.move === "missing" ? {} : { move }),
    };
  };
  const folder = {
    getFileHandle: async (name: string, options?: { create: boolean }) => {
      if (!files.has(name) && !options?.create) throw new DOMException("no", "NotFoundError");
      if (!files.has(name)) files.set(name, new Uint8Array());
      return handleOf(name);
    },
    removeEntry: async (name: string) => {
      if (!files.delete(name)) throw new DOMException("no", "NotFoundError");
    },
    async *entries() {
      for (const name of [...files.keys()]) yield [name, { kind: "file" }];
    },
  };
  return { files, folder: folder as unknown as Parameters<typeof opfsBackend>[0] };
}

/** A cache as browsers have it. */
function fakeCache(): CacheLike {
  const entries = new Map<string, { body: ArrayBuffer; headers: Headers }>();
  const url = (request: RequestInfo | URL): string => (request instanceof Request ? request.url : String(request));
  return {
    match: async (request: RequestInfo | URL) => {
      const found = entries.get(url(request));
      return found && new Response(found.body, { headers: found.headers });
    },
    put: async (request: RequestInfo | URL, response: Response) => {
      entries.set(url(request), { body: await response.arrayBuffer(), headers: response.headers });
    },
    delete: async (request: RequestInfo | URL) => entries.delete(url(request)),
    keys: async () => [...entries.keys()].map((key) => new Request(key)),
  };
}

const FINE: Faults = { sync: "works", writable: true, move: "overwrites", capacity: 1e9 };
const key = (n: number): string => n.toString(16).padStart(64, "0");
const unknown = (): Promise<null> => Promise.resolve(null);

test("contents come back from every kind of storage", async () => {
  const kinds: Partial<Faults>[] = [
    {},
    { sync: "missing" },
    { sync: "fails" },
    { writable: false },
    { move: "refuses" },
    { move: "missing" },
    { move: "missing", sync: "missing" },
  ];
  const backends: Backend[] = kinds.map((faults) => opfsBackend(fakeFolder({ ...FINE, ...faults }).folder));
  backends.push(cacheBackend(fakeCache()));
  const content = bytesOf((9 << 20) + 5);
  for (const [at, backend] of backends.entries()) {
    const store = makeStore(backend, unknown);
    assert.equal(await store.get(key(1)), null);
    assert.ok(await store.put(key(1), content), `${at}`);
    assert.deepEqual(await store.get(key(1)), content);
    // A content under a name is replaced; one under its hash stays.
    await store.put("manifest-1", bytesOf(10, 1));
    await store.put("manifest-1", bytesOf(10, 2));
    assert.deepEqual(await store.get("manifest-1"), bytesOf(10, 2));
    const [one, two] = [makeStore(backend, unknown), makeStore(backend, unknown)];
    await Promise.all([one.put(key(2), bytesOf(100)), two.put(key(2), bytesOf(100))]);
    assert.deepEqual(await store.get(key(2)), bytesOf(100));
    const kept = (await backend.list()).filter((k) => k.key !== INDEX).map((k) => [k.key, k.bytes]);
    assert.deepEqual(kept.sort(), [[key(1), content.length], [key(2), 100], ["manifest-1", 10]]);
    await store.remove(key(1));
    await store.remove(key(1));
    assert.equal(await store.get(key(1)), null);
  }
});

test("nothing is kept, and nothing rejects, where writing fails", async () => {
  const { folder, files } = fakeFolder({ ...FINE, sync: "fails", writable: false });
  const store = makeStore(opfsBackend(folder), unknown);
  assert.equal(await store.put(key(1), bytesOf(10)), false);
  assert.equal(await store.get(key(1)), null);
  assert.equal(files.size, 0, "no part is left behind");
});

test("without storage there is a store that keeps nothing", async () => {
  const store = await openStore();
  assert.equal(store.kind, "none");
  assert.equal(await store.put(key(1), bytesOf(10)), false);
  assert.equal(await store.get(key(1)), null);
});

test("when it is full, what was not used for longest goes, and never what is needed", async () => {
  const { folder, files } = fakeFolder({ ...FINE, capacity: 1000 });
  const store = makeStore(opfsBackend(folder), unknown);
  for (const n of [1, 2, 3]) {
    assert.ok(await store.put(key(n), bytesOf(300, n)));
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  await store.get(key(1));
  store.protect([key(2), key(4)]);
  assert.ok(await store.put(key(4), bytesOf(300, 4)));
  assert.deepEqual([...files.keys()].filter((k) => k.length === 64).sort(), [key(1), key(2), key(4)]);
  // Too large whatever goes: everything stays, and it is not tried again.
  assert.equal(await store.put(key(5), bytesOf(900, 5)), false);
  assert.equal(await store.put(key(5), bytesOf(900, 5)), false);
  assert.deepEqual([...files.keys()].filter((k) => k.length === 64).sort(), [key(1), key(2), key(4)]);
  // Smaller ones still find room.
  assert.ok(await store.put(key(6), bytesOf(100, 6)));
});

test("the browser's estimate makes room before writing", async () => {
  const { folder, files } = fakeFolder(FINE);
  let usage = 0;
  const store = makeStore(opfsBackend(folder), () => Promise.resolve({ usage, quota: 4 << 20 }));
  await store.put(key(1), bytesOf(1 << 20));
  usage = 3 << 20;
  await store.put(key(2), bytesOf(1 << 20));
  assert.ok(!files.has(key(1)) && files.has(key(2)));
});

test("victims are chosen by their last use", () => {
  const kept = [1, 2, 3, 4].map((n) => ({ key: `k${n}`, bytes: 10, written: n }));
  const usage = new Map([["k1", 100]]);
  assert.deepEqual(victims(kept, usage, new Set(), 15), ["k2", "k3"]);
  assert.deepEqual(victims(kept, usage, new Set(["k2"]), 30), ["k3", "k4", "k1"]);
  assert.equal(victims(kept, usage, new Set(["k2"]), 31), null);
  assert.deepEqual(victims([{ key: INDEX, bytes: 10, written: 0 }], usage, new Set(), 0), []);
});

test("the index survives, and damage to it does no harm", async () => {
  const { folder, files } = fakeFolder(FINE);
  const backend = opfsBackend(folder);
  await backend.write("a", bytesOf(1));
  const index = usageIndex(backend, 0);
  index.touch("a");
  index.touch("gone");
  while (!files.get(INDEX)?.length) await new Promise((resolve) => setTimeout(resolve, 5));
  assert.deepEqual([...(await usageIndex(backend).read()).keys()], ["a"]);
  await backend.write(INDEX, new TextEncoder().encode('{"a": "x"'));
  assert.equal((await usageIndex(backend).read()).size, 0);
});
