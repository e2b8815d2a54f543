// The service worker of a bundle: keeps the page and the runtime, so that a reload works without a network. Weights
// and all other files are kept by the runtime itself, verified against the manifest, and never here.

/// <reference lib="webworker" />

export {};

declare const self: ServiceWorkerGlobalScope;
/** Paths of the page and the runtime in the bundle. The build puts them in. */
declare const PAGE_FILES: string[];
/** What models with a chat template need besides. */
declare const CHAT_FILES: string[];

const CACHE = `gristmill page ${self.registration.scope}`;
const ROOT = new URL(self.registration.scope);

self.addEventListener("install", (event) => {
  event.waitUntil(keepAll().then(() => self.skipWaiting()));
});

self.addEventListener("activate", (event) => event.waitUntil(self.clients.claim()));

self.addEventListener("fetch", (event) => {
  const key = event.request.method === "GET" ? keyOf(new URL(event.request.url)) : null;
  if (key !== null) event.respondWith(networkFirst(event.request, key));
});

/** The name under which an address is kept, or null if it is none of the page's files. */
function keyOf(url: URL): string | null {
  if (url.origin !== ROOT.origin || !url.pathname.startsWith(ROOT.pathname)) return null;
  const path = url.pathname.slice(ROOT.pathname.length);
  if (path === "" || path === "index.html") return new URL("index.html", ROOT).href;
  return path.startsWith("runtime/") ? new URL(path, ROOT).href : null;
}

/** From the network, so that an update is seen at once; from the cache if there is none. */
async function networkFirst(request: Request, key: string): Promise<Response> {
  try {
    const response = await fetch(request);
    if (response.status === 200 && !response.redirected) {
      const copy = response.clone();
      const cache = await caches.open(CACHE);
      // Storage may be full; the page then works as long as the network does.
      await cache.put(key, copy).catch(() => undefined);
    }
    return response;
  } catch (error) {
    const kept = await (await caches.open(CACHE)).match(key);
    if (kept) return kept;
    throw error;
  }
}

/** The first visit's files were fetched before this worker was there. */
async function keepAll(): Promise<void> {
  const cache = await caches.open(CACHE);
  const paths = ["index.html", ...PAGE_FILES, ...((await chats()) ? CHAT_FILES : [])];
  await Promise.allSettled(paths.map((path) => cache.add(new URL(path, ROOT).href)));
}

/** Whether the model has a chat template. If that cannot be found out, it may have one. */
async function chats(): Promise<boolean> {
  try {
    const response = await fetch(new URL("manifest.json", ROOT));
    const manifest = (await response.json()) as { files: Record<string, unknown> };
    return "chat_template.json" in manifest.files;
  } catch {
    return true;
  }
}
