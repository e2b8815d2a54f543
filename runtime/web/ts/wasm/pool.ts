// Threads that compute together with the one that has the model.

import { makeError, type GristmillError } from "../errors";
import type { FromThread } from "./compute";
import { startThread, type Thread } from "./threads";

/** A thread that does not answer for so long is not waited for. */
const READY_MS = 20_000;

/** Threads that are ready. */
export interface Pool {
  /** Threads besides the caller's. */
  readonly size: number;
  /** Lets them serve a control block. */
  serve(control: number): void;
  /** Resolves with what went wrong in one of them; never, if nothing does. */
  readonly failed: Promise<GristmillError>;
  /** Ends them at once. */
  close(): void;
}

/** A pool of nobody. Each has a promise of its own: one for all would keep everything that ever waited for it. */
export function noPool(): Pool {
  return { size: 0, serve: () => {}, failed: new Promise(() => {}), close: () => {} };
}

/** Starts so many threads; rejects if one of them cannot be had, and then leaves none. */
export async function openPool(module: WebAssembly.Module, memory: WebAssembly.Memory, size: number): Promise<Pool> {
  if (size === 0) return noPool();
  let fail: (error: GristmillError) => void = () => {};
  const failed = new Promise<GristmillError>((resolve) => (fail = resolve));
  const threads: Thread[] = [];
  const close = (): void => threads.forEach((thread) => thread.end());
  const ready: Promise<void>[] = [];
  for (let worker = 1; worker <= size; worker++) {
    ready.push(
      new Promise((resolve) => {
        const told = (message: FromThread): void => {
          if (message.kind === "ready") resolve();
          else fail(makeError("internal", `a kernel thread failed: ${message.message}`));
        };
        const broken = (why: string): void => fail(makeError("internal", `a kernel thread ended: ${why}`));
        const thread = startThread({ told, broken });
        threads.push(thread);
        thread.post({ kind: "module", module, memory, worker });
      }),
    );
  }
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<GristmillError>((resolve) => {
    timer = setTimeout(() => resolve(makeError("internal", "a kernel thread does not start")), READY_MS);
  });
  const trouble = await Promise.race([Promise.all(ready).then(() => null), failed, late]);
  clearTimeout(timer);
  if (trouble) {
    close();
    throw trouble;
  }
  const serve = (control: number): void => {
    for (const thread of threads) thread.post({ kind: "serve", control });
  };
  return { size, serve, failed, close };
}
