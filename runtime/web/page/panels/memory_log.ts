// Memory as it was, from when the model was loaded.

import type { MemoryInfo } from "../../ts/api";

/** Memory at a time. */
export interface MemorySample {
  /** Milliseconds since the page began. */
  at: number;
  weights: number;
  states: number;
  /** Everything else: scratch memory, what linear memory has in reserve, and the runtime itself. */
  rest: number;
}

/** Samples in their order. */
export interface MemoryLog {
  readonly samples: readonly MemorySample[];
  note(memory: MemoryInfo, at: number): void;
  /** Calls this for each new sample, from now on. */
  listen(listener: () => void): void;
}

/** More samples than this are thinned out: a chart has no more pixels. */
const MOST = 600;

/** A log without samples. */
export function memoryLog(): MemoryLog {
  let samples: MemorySample[] = [];
  const listeners: (() => void)[] = [];
  return {
    get samples() {
      return samples;
    },
    note({ weights, states, total, wasm }, at) {
      samples.push({ at, weights, states, rest: Math.max(total + wasm - weights - states, 0) });
      // The first and the last stay.
      if (samples.length > MOST) samples = samples.filter((_, index) => index % 2 === 0 || index === samples.length - 1);
      for (const listener of listeners) listener();
    },
    listen: (listener) => void listeners.push(listener),
  };
}
