// One file from the network: retried after errors, continued where the connection broke.

import { aborted, GristmillError, makeError } from "../errors";

/** How to fetch. */
export interface FetchOptions {
  url: URL;
  /** Path in the bundle, for errors. */
  file: string;
  signal: AbortSignal | undefined;
  fetch: typeof fetch;
  cache: RequestCache;
  /** Attempts without a new byte after which the error is reported. */
  attempts: number;
  /** Waited before the second attempt; doubled before each further one. */
  backoffMs: number;
  /** A connection that brings nothing for so long is given up. */
  stallMs: number;
  /** Bytes that arrived, or negative ones that were in vain. */
  onBytes: (delta: number) => void;
}

const MAX_BACKOFF_MS = 10_000;
const MAX_RETRY_AFTER_MS = 30_000;
/** Client errors that pass by themselves: Request Timeout, Too Early, Too Many Requests. */
const PASSING = [408, 425, 429];

/** Where the bytes go. */
export interface Sink {
  /** Bytes that are there; a continued answer starts behind them. */
  received(): number;
  write(chunk: Uint8Array): void;
  /** Forgets all bytes. */
  restart(): void;
  /** The size, if it is known before. */
  readonly expected: number | null;
}

/** An error after which another attempt makes sense. */
class Transient extends Error {
  constructor(
    readonly reported: GristmillError,
    readonly waitMs = 0,
  ) {
    super(reported.message);
  }
}

/** Fetches a file into a sink. Rejects with a NetworkError, an AbortedError, or what the sink throws. */
export async function fetchInto(sink: Sink, options: FetchOptions): Promise<void> {
  let most = sink.received();
  for (let failures = 0; ; ) {
    try {
      return await attempt(sink, options);
    } catch (e) {
      if (options.signal?.aborted) throw aborted();
      if (!(e instanceof Transient)) throw e;
      // A server that always starts again and breaks at the same place makes no progress.
      if (sink.received() > most) failures = 0;
      most = Math.max(most, sink.received());
      failures += 1;
      if (failures >= options.attempts) throw e.reported;
      const backoff = Math.min(options.backoffMs * 2 ** (failures - 1), MAX_BACKOFF_MS);
      await sleep(Math.max(backoff * (0.5 + Math.random() / 2), e.waitMs), options.signal);
    }
  }
}

/** One request. */
async function attempt(sink: Sink, options: FetchOptions): Promise<void> {
  const from = sink.received();
  const stop = new AbortController();
  const forward = (): void => stop.abort();
  options.signal?.addEventListener("abort", forward);
  if (options.signal?.aborted) stop.abort();
  let timer: ReturnType<typeof setTimeout> | undefined;
  const alive = (): void => {
    clearTimeout(timer);
    timer = setTimeout(forward, options.stallMs);
  };
  try {
    alive();
    const response = await request(from, stop.signal, options);
    begin(response, from, sink, options);
    await stream(response, sink, options, alive);
  } finally {
    clearTimeout(timer);
    options.signal?.removeEventListener("abort", forward);
    // Lets go of the connection if the body was not read to its end; nothing happens if it was.
    stop.abort();
  }
}

async function request(from: number, signal: AbortSignal, options: FetchOptions): Promise<Response> {
  const headers: Record<string, string> = from > 0 ? { range: `bytes=${from}-` } : {};
  try {
    return await options.fetch(options.url.href, { headers, signal, cache: options.cache });
  } catch (e) {
    if (e instanceof GristmillError) throw e;
    // Browsers do not say more than that it failed.
    throw new Transient(failure("the server cannot be reached, or does not let this page read its files", options, e));
  }
}

/** Looks at the head of an answer and makes the sink ready for its body. */
function begin(response: Response, from: number, sink: Sink, options: FetchOptions): void {
  const { status } = response;
  if (status === 416 && from > 0) {
    startAgain(sink, options);
    throw new Transient(failure(`the file on the server ends before byte ${from}`, options));
  }
  if (!response.ok) {
    const text = `the server answered ${status}${hint(status)}`;
    const error = makeError("network", `${options.file}: ${text}`, { file: options.file, status });
    throw status >= 500 || PASSING.includes(status) ? new Transient(error, retryAfter(response)) : error;
  }
  if (from === 0) {
    sink.restart();
    if (status === 206 && !continues(response, 0, sink.expected)) {
      throw new Transient(failure("the server sent the wrong range of the file", options));
    }
    return;
  }
  if (status === 206 && continues(response, from, sink.expected)) return;
  startAgain(sink, options);
  if (status === 206) throw new Transient(failure("the server sent the wrong range of the file", options));
}

/** Whether a partial answer starts where it should. Other origins may hide the header; the hash then decides. */
function continues(response: Response, from: number, expected: number | null): boolean {
  const header = response.headers.get("content-range");
  if (header === null) return true;
  const [, first, total] = /^bytes (\d+)-\d+\/(\d+|\*)$/.exec(header) ?? [];
  return Number(first) === from && (total === "*" || expected === null || Number(total) === expected);
}

function startAgain(sink: Sink, options: FetchOptions): void {
  options.onBytes(-sink.received());
  sink.restart();
}

/** Reads a body into the sink. */
async function stream(response: Response, sink: Sink, options: FetchOptions, alive: () => void): Promise<void> {
  const reader = response.body?.getReader();
  while (reader) {
    let chunk: Uint8Array | undefined;
    try {
      chunk = (await reader.read()).value;
    } catch (e) {
      throw new Transient(failure(`the connection was lost after ${sink.received()} bytes`, options, e));
    }
    if (!chunk) break;
    alive();
    sink.write(chunk);
    options.onBytes(chunk.length);
  }
  const { expected } = sink;
  if (expected !== null && sink.received() < expected) {
    throw new Transient(failure(`the response ended after ${sink.received()} of ${expected} bytes`, options));
  }
}

function failure(text: string, options: FetchOptions, cause?: unknown): GristmillError {
  return makeError("network", `${options.file}: ${text} (${options.url.href})`, { file: options.file }, cause);
}

function hint(status: number): string {
  if (status === 404 || status === 410) return ": the file is missing; upload the whole folder of the bundle";
  if (status === 401 || status === 403) return ": this page is not allowed to read the file";
  return "";
}

function retryAfter(response: Response): number {
  const seconds = Number(response.headers.get("retry-after"));
  return Number.isFinite(seconds) ? Math.min(Math.max(seconds, 0) * 1000, MAX_RETRY_AFTER_MS) : 0;
}

function sleep(ms: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    const end = (): void => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", end);
      if (signal?.aborted) reject(aborted());
      else resolve();
    };
    const timer = setTimeout(end, ms);
    signal?.addEventListener("abort", end);
  });
}
