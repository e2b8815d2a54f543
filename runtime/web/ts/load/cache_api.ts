// Contents as responses in the Cache API, for browsers whose file system cannot be written.

import type { Backend, Kept } from "./backend";

const CACHE = "gristmill";
/** The cache wants addresses; these lead nowhere, and are the same whatever page of the origin asks. */
const BASE = "https://gristmill.invalid/";

/** The cache with what is used of it. */
export type CacheLike = Pick<Cache, "match" | "put" | "delete" | "keys">;

/** Opens the cache; rejects if the browser has none or refuses it. */
export async function openCache(): Promise<Backend> {
  return cacheBackend(await caches.open(CACHE));
}

/** A backend over a cache, which replaces contents atomically by itself. */
export function cacheBackend(cache: CacheLike): Backend {
  return {
    kind: "cache",
    async read(key) {
      const response = await cache.match(BASE + key);
      return response ? new Uint8Array(await response.arrayBuffer()) : null;
    },
    async size(key) {
      const response = await cache.match(BASE + key);
      return response ? numberOf(response, "content-length") : null;
    },
    async write(key, content) {
      const headers = {
        "content-type": "application/octet-stream",
        "content-length": String(content.length),
        "x-written": String(Date.now()),
      };
      await cache.put(BASE + key, new Response(content as Uint8Array<ArrayBuffer>, { headers }));
    },
    async remove(key) {
      await cache.delete(BASE + key);
    },
    async list() {
      const kept: Kept[] = [];
      // Some browsers list a content twice when two tabs wrote it at once.
      for (const url of new Set((await cache.keys()).map((request) => request.url))) {
        const response = await cache.match(url);
        if (!response || !url.startsWith(BASE)) continue;
        const [bytes, written] = [numberOf(response, "content-length"), numberOf(response, "x-written")];
        kept.push({ key: url.slice(BASE.length), bytes, written });
      }
      return kept;
    },
  };
}

function numberOf(response: Response, header: string): number {
  return Number(response.headers.get(header)) || 0;
}
