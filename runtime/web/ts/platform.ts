// What Node.js, Bun and Deno have in other places than browsers: workers, files, paths, the number of cores. Their
// modules are loaded by name while the program runs, so that bundlers find nothing to bundle.

import { makeError } from "./errors";
import type { Port } from "./link";

/** A worker that was started here. */
export interface StartedWorker extends Port {
  terminate(): void;
}

/** The roles of the workers that this package starts, by the names that debuggers show. */
export const ROLES = { engine: "gristmill-engine", compute: "gristmill-compute" } as const;
type Role = keyof typeof ROLES;

interface NodeWorker {
  on(type: string, listener: (data: unknown) => void): void;
  off(type: string, listener: (data: unknown) => void): void;
  postMessage(message: unknown, transfer: Transferable[]): void;
  terminate(): unknown;
}

/** As much of these modules as is used. */
interface Builtins {
  "node:worker_threads": {
    Worker: new (address: URL, options: { name: string; workerData: unknown }) => NodeWorker;
    isMainThread: boolean;
    parentPort: Port | null;
    workerData: unknown;
  };
  "node:fs/promises": { readFile(file: URL, options: { signal?: AbortSignal }): Promise<Uint8Array<ArrayBuffer>> };
  "node:url": { pathToFileURL(path: string): URL };
  "node:os": { availableParallelism(): number };
}

interface Process {
  versions?: { node?: string };
  getBuiltinModule?<K extends keyof Builtins>(name: K): Builtins[K];
}

const { process } = globalThis as { process?: Process };

/** Whether this is Node.js, Bun or Deno. Electron's pages have their modules, too, but are pages. */
export const isServer =
  typeof document === "undefined" && process?.getBuiltinModule !== undefined && process.versions?.node !== undefined;

function builtin<K extends keyof Builtins>(name: K): Builtins[K] {
  return (process as Required<Process>).getBuiltinModule(name);
}

/** Whether this thread has a global scope of a kind; the types of pages know those of pages only. */
export function isA(scope: "DedicatedWorkerGlobalScope" | "ServiceWorkerGlobalScope"): boolean {
  const kind = (globalThis as Record<string, unknown>)[scope];
  return typeof kind === "function" && globalThis instanceof kind;
}

/** Whether workers can be started here. */
export function hasWorkers(): boolean {
  return isServer || typeof Worker !== "undefined";
}

/** Starts the script with the engine in a worker. */
export function startWorker(address: string, role: Role): StartedWorker {
  const name = ROLES[role];
  if (isServer) return nodeWorker(address, name);
  const { origin, protocol } = new URL(address);
  if (origin === globalThis.origin && protocol !== "data:") return new Worker(address, { type: "module", name });
  // Browsers start workers from the page's own origin only, but these may import scripts of others.
  const own = URL.createObjectURL(new Blob([`import ${JSON.stringify(address)};`], { type: "text/javascript" }));
  const worker = new Worker(own, { type: "module", name });
  const loaded = (): void => URL.revokeObjectURL(own);
  for (const type of ["message", "error"]) worker.addEventListener(type, loaded, { once: true });
  return worker;
}

/** A worker of Node.js with the listeners of a browser's. */
function nodeWorker(address: string, name: string): StartedWorker {
  const { Worker } = builtin("node:worker_threads");
  const worker = new Worker(new URL(address), { name, workerData: name });
  const known = new Map<(event: Event) => void, (data: unknown) => void>();
  return {
    addEventListener(type, listener) {
      const told = (data: unknown): void =>
        listener((type === "message" ? { data } : { message: (data as Error | null)?.message }) as unknown as Event);
      known.set(listener, told);
      worker.on(type === "close" ? "exit" : type, told);
    },
    removeEventListener(type, listener) {
      const told = known.get(listener);
      if (told) worker.off(type === "close" ? "exit" : type, told);
    },
    postMessage: (message, transfer) => worker.postMessage(message, transfer),
    terminate: () => void worker.terminate(),
  };
}

/** If this is a worker that {@link startWorker} has started: as what, and the port to whoever did. */
export function ownRole(): { role: Role; port: Port } | null {
  let port: Port | null = null;
  let name: unknown;
  if (isServer) {
    const { isMainThread, parentPort, workerData } = builtin("node:worker_threads");
    if (!isMainThread) [port, name] = [parentPort, workerData];
  } else if (isA("DedicatedWorkerGlobalScope")) {
    [port, name] = [globalThis as unknown as Port, (globalThis as { name?: unknown }).name];
  }
  const role = (Object.keys(ROLES) as Role[]).find((key) => ROLES[key] === name);
  return port && role ? { role, port } : null;
}

/** An address that a caller gave: relative to the page, or else a path of the file system. */
export function addressOf(given: string | URL): URL {
  // The scheme of an address has more than one letter: drives of Windows have one.
  if (isServer && typeof given === "string" && !/^[a-z][a-z\d+.-]+:/i.test(given)) {
    return builtin("node:url").pathToFileURL(given);
  }
  try {
    return new URL(given, globalThis.location?.href);
  } catch (e) {
    throw makeError("input", `${String(given)}: expected an address`, {}, e);
  }
}

/** `fetch`, which also reads files where there is a file system. */
export const fetchAny: typeof fetch = async (input, init) => {
  if (!isServer || !String(input).startsWith("file:")) return fetch(input, init);
  const url = new URL(String(input));
  let content: Uint8Array<ArrayBuffer>;
  try {
    content = await builtin("node:fs/promises").readFile(url, init?.signal ? { signal: init.signal } : {});
  } catch (e) {
    if (init?.signal?.aborted) throw e;
    throw makeError("network", `${decodeURIComponent(url.pathname)}: ${(e as Error).message}`, {}, e);
  }
  const type = url.pathname.endsWith(".wasm") ? "application/wasm" : "application/octet-stream";
  return new Response(content, { headers: { "content-type": type } });
};

/** The number of cores. */
export function cores(): number {
  if (isServer) return builtin("node:os").availableParallelism();
  return globalThis.navigator?.hardwareConcurrency || 1;
}

/** What is thrown where nobody catches it. */
export function report(error: unknown): void {
  if (typeof reportError === "function") reportError(error);
  else console.error(error);
}
