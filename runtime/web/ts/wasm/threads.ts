// Who starts the threads of kernels. The worker of a model has its page do it and passes messages through it: Firefox
// does not return, once in some fifty times, from starting a worker inside of a worker, which blocks until the page's
// main thread has answered.

import { makeError } from "../errors";
import type { Port } from "../link";
import { startWorker } from "../platform";
import type { FromThread, ToThread } from "./compute";

/** What a thread brings about. */
export interface ThreadEvents {
  told(message: FromThread): void;
  /** It will never say anything again. */
  broken(why: string): void;
}

/** A thread that runs `compute.ts`. */
export interface Thread {
  post(message: ToThread): void;
  /** Ends it at once. */
  end(): void;
}

type Start = (events: ThreadEvents) => Thread;
// None has a field `id`, by which the calls of `link.ts`, which go through the same port, are known.
type Ask =
  | { gristmill: "thread"; thread: number; ask: "start" | "end" }
  | { gristmill: "thread"; thread: number; ask: "post"; message: ToThread };
type Answer =
  | { gristmill: "thread"; thread: number; answer: "told"; message: FromThread }
  | { gristmill: "thread"; thread: number; answer: "broken"; why: string };

let start: Start = () => {
  throw makeError("internal", "nobody said where the script of threads is");
};

/** Starts a thread. */
export function startThread(events: ThreadEvents): Thread {
  return start(events);
}

/** From now on, threads are started here, from the script at this address. */
export function startFrom(address: string): void {
  start = (events) => startHere(address, events);
}

function startHere(address: string, { told, broken }: ThreadEvents): Thread {
  const worker = startWorker(address, "compute");
  worker.addEventListener("message", (event) => told((event as MessageEvent<FromThread>).data));
  const failed = (event: Event): void =>
    broken((event as Partial<ErrorEvent>).message || "its script failed to run");
  for (const type of ["error", "messageerror"]) worker.addEventListener(type, failed);
  return { post: (message) => worker.postMessage(message, []), end: () => worker.terminate() };
}

/** From now on, whoever started this worker starts the threads as well: it has called [`hostThreads`]. */
export function startByOwner(owner: Port): void {
  const threads = new Map<number, ThreadEvents>();
  let next = 0;
  const ask = (message: Ask): void => owner.postMessage(message, []);
  owner.addEventListener("message", (event) => {
    const answer = (event as MessageEvent<Answer | null>).data;
    if (answer?.gristmill !== "thread") return;
    const events = threads.get(answer.thread);
    if (answer.answer === "told") events?.told(answer.message);
    else events?.broken(answer.why);
  });
  start = (events) => {
    const thread = next++;
    threads.set(thread, events);
    ask({ gristmill: "thread", thread, ask: "start" });
    return {
      post: (message) => ask({ gristmill: "thread", thread, ask: "post", message }),
      end: () => {
        if (threads.delete(thread)) ask({ gristmill: "thread", thread, ask: "end" });
      },
    };
  };
}

/**
 * Starts threads for a worker that was started here, from the script at an address. Call the result when the worker has
 * ended: it ends them all.
 */
export function hostThreads(worker: Port, address: string): () => void {
  const threads = new Map<number, Thread>();
  const answer = (message: Answer): void => worker.postMessage(message, []);
  worker.addEventListener("message", (event) => {
    const asked = (event as MessageEvent<Ask | null>).data;
    if (asked?.gristmill !== "thread") return;
    const { thread } = asked;
    if (asked.ask === "start") {
      const broken = (why: string): void => answer({ gristmill: "thread", thread, answer: "broken", why });
      const told = (message: FromThread): void => answer({ gristmill: "thread", thread, answer: "told", message });
      try {
        threads.set(thread, startHere(address, { told, broken }));
      } catch (e) {
        broken((e as Error).message);
      }
    } else if (asked.ask === "post") {
      threads.get(thread)?.post(asked.message);
    } else {
      threads.get(thread)?.end();
      threads.delete(thread);
    }
  });
  return () => {
    for (const thread of threads.values()) thread.end();
    threads.clear();
  };
}
