// Files of a bundle: from the store if it has them, else from the network; verified in both cases.

import { aborted, asError, makeError } from "../errors";
import type { FileRef, Source, Store } from "./contract";
import { sha256 } from "./digest";
import { fetchInto, type FetchOptions, type Sink } from "./fetching";
import { portionsOf, type Portions } from "./portions";

/** Where a bundle comes from. */
export interface SourceOptions {
  /** Address of the folder of the manifest, with a slash at its end. */
  base: URL;
  /** What keeps the files; null keeps nothing. */
  store: Store | null;
  /** Name of the manifest. Default: `manifest.json`. */
  manifest?: string;
  fetch?: typeof fetch;
  /** Bytes that arrived; negative when bytes turned out to be in vain and are fetched again. */
  onBytes?: (delta: number, from: "network" | "cache") => void;
  /** Attempts without a new byte after which the error is reported. Default: 6. */
  retries?: number;
  /** Milliseconds before the second attempt, doubled before each further one. Default: 300. */
  backoffMs?: number;
  /** Milliseconds without a byte after which a connection is given up. Default: 60000. */
  stallMs?: number;
  /** Bytes that may wait to be stored; when there are more, further downloads wait. Default: 128 MiB. */
  waitingBytes?: number;
}

type Bytes = Uint8Array<ArrayBuffer>;

const WAITING_BYTES = 128 << 20;
/** A manifest says this much at most. */
const MAX_MANIFEST_BYTES = 32 << 20;
const HASH_BYTES = 32;
/** Keys of manifests in a store. */
const MANIFEST_KEY = /^manifest-[0-9a-f]{64}$/;

/** A source of the files of a bundle. */
export function openSource(options: SourceOptions): Source {
  const { base, store, onBytes = () => {} } = options;
  const manifestFile = options.manifest ?? "manifest.json";
  const keeping = keeper(store, options.waitingBytes ?? WAITING_BYTES);
  const fetching = (file: string, cache: RequestCache, signal: AbortSignal | undefined): FetchOptions => ({
    url: inside(base, file),
    file,
    signal,
    cache,
    fetch: options.fetch ?? ((input, init) => fetch(input, init)),
    attempts: options.retries ?? 6,
    backoffMs: options.backoffMs ?? 300,
    stallMs: options.stallMs ?? 60_000,
    onBytes: (delta) => onBytes(delta, "network"),
  });

  const stored = async (ref: FileRef): Promise<Bytes | null> => {
    const content = (await store?.get(ref.sha256)) ?? null;
    if (!content) return null;
    if ((await mismatch(content, ref)) === null) return content;
    await store?.remove(ref.sha256);
    return null;
  };
  // Kept once is enough: the browser's own cache is used only if nothing else keeps the file.
  const keeps = store && store.kind !== "none" ? store : null;
  const first = keeps ? "no-store" : "default";
  const attempt = async (ref: FileRef, cache: RequestCache, signal: AbortSignal | undefined): Promise<Attempt> => {
    const content = allocate(ref);
    const portions = keeps && portionsOf(keeps, ref, content);
    const resumed = cache === first && portions ? await portions.restore() : 0;
    const counted = counter(resumed, onBytes);
    const sink = fixedSink(ref, content, resumed, portions);
    let wrong: string | null;
    try {
      if (resumed < ref.bytes) await fetchInto(sink, { ...fetching(ref.path, cache, signal), onBytes: counted });
      wrong = await mismatch(content, ref);
    } catch (e) {
      if (portions && !(e instanceof TooLong)) await keeping.wait(portions.keep());
      if (!(e instanceof TooLong)) throw e;
      wrong = e.message;
    }
    if (wrong !== null) {
      counted(-sink.received());
      await portions?.drop();
    }
    return { content, wrong, resumed: resumed > 0, portions };
  };
  const fetched = async (ref: FileRef, signal: AbortSignal | undefined): Promise<Bytes> => {
    let found = await attempt(ref, first, signal);
    // Without the portions of an earlier visit, which may be what is damaged.
    if (found.wrong !== null && found.resumed) found = await attempt(ref, first, signal);
    if (found.wrong !== null) found = await attempt(ref, "reload", signal);
    if (found.wrong !== null) throw damaged(ref, found.wrong, base);
    const { content, portions } = found;
    keeping.add(ref.sha256, content, async () => portions?.drop());
    return content;
  };

  return {
    needs: (refs) => store?.protect(Array.from(refs, (ref) => ref.sha256)),
    async file(ref, signal) {
      if (!Number.isSafeInteger(ref.bytes) || ref.bytes < 0) {
        throw makeError("bundle", `${ref.path}: expected a size in bytes, found ${ref.bytes}`, { file: ref.path });
      }
      const work = async (): Promise<Bytes> => {
        const content = await stored(ref);
        if (content) {
          onBytes(content.length, "cache");
          return content;
        }
        await keeping.room();
        if (signal?.aborted) throw aborted();
        return fetched(ref, signal);
      };
      const working = work();
      // What there is of it is kept after the caller has been told that it ended.
      return abortable(working, signal, () => void keeping.wait(working));
    },
    manifest: (signal) => abortable(manifest(fetching(manifestFile, "no-cache", signal), store, keeping), signal),
    settled: keeping.settled,
  };
}

/** The address of a file, which must lie in the folder. */
function inside(base: URL, file: string): URL {
  const url = new URL(file.split("/").map(encodeURIComponent).join("/"), base);
  if (url.href.startsWith(new URL(".", base).href)) return url;
  throw makeError("bundle", `expected a path inside the bundle, found ${file}`, { file });
}

/** What is wrong with a content; null if nothing is. */
async function mismatch(content: Uint8Array, ref: FileRef): Promise<string | null> {
  if (content.length !== ref.bytes) return `expected ${ref.bytes} bytes, found ${content.length}`;
  const found = await sha256(content);
  return found === ref.sha256 ? null : `expected SHA-256 ${ref.sha256}, found ${found}`;
}

function damaged(ref: FileRef, wrong: string, base: URL): Error {
  const remedy = "manifest and file are from different builds, or the file is damaged: upload the whole folder again";
  return makeError("integrity", `${ref.path} at ${base.href}: ${wrong}; ${remedy}`, { file: ref.path });
}

/** More bytes came than the manifest says. */
class TooLong extends Error {}

/** What came of fetching a file once. */
interface Attempt {
  content: Bytes;
  /** What is wrong with it; null if nothing is. */
  wrong: string | null;
  /** Whether it began with portions of an earlier visit. */
  resumed: boolean;
  portions: Portions | null;
}

/** Counts bytes from the network behind those from the store, which are in vain if all are. */
function counter(resumed: number, onBytes: NonNullable<SourceOptions["onBytes"]>): (delta: number) => void {
  let stored = resumed;
  if (stored > 0) onBytes(stored, "cache");
  return (delta) => {
    const back = delta < 0 ? Math.min(stored, -delta) : 0;
    stored -= back;
    if (back > 0) onBytes(-back, "cache");
    if (delta + back !== 0) onBytes(delta + back, "network");
  };
}

/** A buffer of a known size, of which some bytes are there. */
function fixedSink(ref: FileRef, content: Bytes, there: number, portions: Portions | null): Sink {
  let at = there;
  return {
    expected: ref.bytes,
    received: () => at,
    write(chunk) {
      if (chunk.length > content.length - at) throw new TooLong(`expected ${ref.bytes} bytes, found more`);
      content.set(chunk, at);
      at += chunk.length;
      portions?.grown(at);
    },
    restart: () => void (at = 0),
  };
}

function allocate(ref: FileRef): Bytes {
  try {
    return new Uint8Array(ref.bytes);
  } catch (e) {
    const message = `${ref.path}: the browser has no memory for its ${ref.bytes} bytes`;
    throw makeError("out-of-memory", message, { what: ref.path }, e);
  }
}

/** A buffer that grows, for the one file whose size nobody knows before. */
function growingSink(): Sink & { join(): Bytes } {
  let chunks: Uint8Array[] = [];
  let bytes = 0;
  return {
    expected: null,
    received: () => bytes,
    write(chunk) {
      bytes += chunk.length;
      if (bytes > MAX_MANIFEST_BYTES) {
        throw makeError("bundle", `the manifest has more than ${MAX_MANIFEST_BYTES} bytes`);
      }
      chunks.push(chunk);
    },
    restart() {
      chunks = [];
      bytes = 0;
    },
    join() {
      const whole = new Uint8Array(bytes);
      let at = 0;
      for (const chunk of chunks) {
        whole.set(chunk, at);
        at += chunk.length;
      }
      return whole;
    },
  };
}

/** The key of the manifest at an address. */
export async function manifestKey(url: URL): Promise<string> {
  return `manifest-${await sha256(new TextEncoder().encode(url.href))}`;
}

/** The manifest from the network; without network, as it was seen last. */
async function manifest(options: FetchOptions, store: Store | null, keeping: Keeper): Promise<Bytes> {
  const key = await manifestKey(options.url);
  const seen = await keptManifest(key, store);
  const sink = growingSink();
  // A part of a manifest that changed meanwhile would go unnoticed, so it is always fetched as a whole.
  const whole: Sink = { ...sink, received: () => 0 };
  try {
    await fetchInto(whole, { ...options, attempts: seen ? 1 : options.attempts, onBytes: () => {} });
  } catch (e) {
    const error = asError(e);
    const { status } = error.details;
    // The server's word that there is no bundle counts; its troubles do not.
    const refused = status !== undefined && status < 500 && status !== 408 && status !== 429;
    if (!seen || error.code !== "network" || refused) throw error;
    return seen;
  }
  const content = sink.join();
  const hash = await sha256(content);
  const known = seen !== null && (await sha256(seen)) === hash;
  if (!known) keeping.add(key, concat(fromHex(hash), content));
  return content;
}

/** The manifest under a key; null for other keys. Nothing else vouches for it, so its hash stands in front of it. */
export async function keptManifest(key: string, store: Store | null): Promise<Bytes | null> {
  const content = MANIFEST_KEY.test(key) ? ((await store?.get(key)) ?? null) : null;
  if (!content || content.length < HASH_BYTES) return null;
  const body = content.slice(HASH_BYTES);
  const hash = fromHex(await sha256(body));
  return hash.every((byte, i) => byte === content[i]) ? body : null;
}

function fromHex(text: string): Uint8Array {
  return Uint8Array.from({ length: text.length / 2 }, (_, i) => parseInt(text.slice(2 * i, 2 * i + 2), 16));
}

function concat(a: Uint8Array, b: Uint8Array): Bytes {
  const both = new Uint8Array(a.length + b.length);
  both.set(a);
  both.set(b, a.length);
  return both;
}

/** Writes to the store in the background. */
interface Keeper {
  add(key: string, content: Bytes, then?: () => Promise<unknown>): void;
  /** Counts something as not settled until it has ended, however. */
  wait(work: Promise<unknown>): Promise<void>;
  /** Resolves when few enough contents wait. */
  room(): Promise<void>;
  settled(): Promise<void>;
}

function keeper(store: Store | null, most: number): Keeper {
  const waiting = new Set<Promise<unknown>>();
  let bytes = 0;
  const wait = (work: Promise<unknown>): Promise<void> => {
    const ended = work.then(
      () => void waiting.delete(ended),
      () => void waiting.delete(ended),
    );
    waiting.add(ended);
    return ended;
  };
  return {
    add(key, content, then = () => Promise.resolve()) {
      if (!store) return;
      bytes += content.length;
      void wait(store.put(key, content).then(then).finally(() => (bytes -= content.length)));
    },
    wait,
    async room() {
      while (bytes > most && waiting.size > 0) await Promise.race(waiting);
    },
    async settled() {
      while (waiting.size > 0) await Promise.all(waiting);
    },
  };
}

/** Rejects at once when the caller aborts, whatever the work is waiting for. */
function abortable<T>(work: Promise<T>, signal: AbortSignal | undefined, ended = (): void => {}): Promise<T> {
  if (!signal) return work;
  return new Promise((resolve, reject) => {
    const abort = (): void => {
      reject(aborted());
      ended();
    };
    if (signal.aborted) abort();
    signal.addEventListener("abort", abort, { once: true });
    work.then(resolve, (e: unknown) => reject(asError(e))).finally(() => signal.removeEventListener("abort", abort));
  });
}
