// A thread of a pool: an instance of the kernels over the shared memory that serves until it is told to stop.

import type { Port } from "../link";
import { isStopped, stopAll } from "./control";

/** What a thread is told: first its module, then where the control block is. */
export type ToThread =
  | { kind: "module"; module: WebAssembly.Module; memory: WebAssembly.Memory; worker: number }
  | { kind: "serve"; control: number };

/** What it answers. */
export type FromThread = { kind: "ready" } | { kind: "failed"; message: string };

/** Does what whoever started this worker says. */
export function serveThread(port: Port): void {
  let memory: WebAssembly.Memory | null = null;
  let serve: ((control: number) => void) | null = null;
  const say = (message: FromThread): void => port.postMessage(message, []);
  const prepare = async (task: Extract<ToThread, { kind: "module" }>): Promise<void> => {
    memory = task.memory;
    const { exports } = await WebAssembly.instantiate(task.module, { gristmill: { memory } });
    const found = exports["serve"] as (control: number, worker: number) => void;
    serve = (control) => found(control, task.worker);
    say({ kind: "ready" });
  };
  port.addEventListener("message", (event) => {
    const { data } = event as MessageEvent<ToThread>;
    if (data.kind === "module") {
      prepare(data).catch((e: unknown) => say({ kind: "failed", message: String(e) }));
      return;
    }
    try {
      serve?.(data.control);
      // The others would wait for a thread that left for ever.
      if (memory && !isStopped(memory, data.control)) throw new Error("it stopped working");
    } catch (e) {
      // First the news: who waits for this thread finds it as soon as it is woken.
      say({ kind: "failed", message: String(e) });
      if (memory) stopAll(memory, data.control);
    }
  });
  port.start?.();
}
