// What the browser's WebAssembly and this thread can do, found out by tiny modules and never guessed from names.

import { cores, hasWorkers, isServer } from "../platform";
import type { Cost } from "../runtime";

/** Names of features, as kernels of a bundle require them. */
export const RELAXED_SIMD = "relaxed-simd";
export const THREADS = "threads";

/** `(func (result v128) (i8x16.splat (i32.const 0)))` */
// prettier-ignore
const SIMD = [
  0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0, 10, 8, 1, 6, 0, 65, 0, 253, 15, 11,
];
/** `i32x4.relaxed_dot_i8x16_i7x16_add_s` and `f32x4.relaxed_madd` of zeros: those that kernels use. */
// prettier-ignore
const RELAXED = [
  0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0, 10, 30, 1, 28, 0, 65, 0, 253, 15, 65, 0, 253, 15,
  65, 0, 253, 15, 253, 147, 2, 65, 0, 253, 15, 65, 0, 253, 15, 253, 133, 2, 11,
];

/** What is asked for; everything else is found out. */
export interface Wishes {
  /** Most threads, or null for as many as make sense. */
  threads: number | null;
  /** `baseline` leaves relaxed instructions unused. */
  simd: "auto" | "baseline" | "relaxed";
}

/** What kernels may use here. */
export interface Abilities {
  simd: boolean;
  relaxed: boolean;
  /** Threads that compute, this one included: 1 if there is no shared memory, or this thread must not wait. */
  threads: number;
  /** Why there is one thread only, for people; empty if there are more. */
  single: string;
}

/** Bytes of weights per kernel that are worth a further thread: what one reads in the time that meeting takes. */
const LEAST_BYTES = 32_000;
/** Multiplications in the time that a byte of weights takes from memory. */
const OPERATIONS_PER_BYTE = 2;
/** Tokens of a text that is neither short nor long, for models that take a text at once. */
export const TEXT_TOKENS = 32;

/** More threads than this share the memory's bandwidth without getting more of it. */
const MOST_THREADS = 8;

/** Whether an engine takes a module. */
function takes(bytes: number[]): boolean {
  return WebAssembly.validate(Uint8Array.from(bytes));
}

/** Finds out what there is. */
export function abilities({ threads, simd }: Wishes): Abilities {
  const single = whySingle();
  const most = threads ?? Math.min(cores(), MOST_THREADS);
  return {
    simd: takes(SIMD),
    relaxed: simd !== "baseline" && takes(RELAXED),
    threads: single ? 1 : Math.max(1, most),
    single: single || (most > 1 ? "" : threads === 1 ? "one thread was requested" : "the device has one core"),
  };
}

/**
 * The same with as many threads as a model has work for, unless the caller knows better: after each kernel all threads
 * meet, and meeting takes longer than a small kernel.
 */
export function fitting(found: Abilities, { threads }: Wishes, cost: Cost): Abilities {
  if (threads !== null || found.threads === 1) return found;
  const work = Math.max(cost.bytes, (cost.weights * (cost.tokens ?? TEXT_TOKENS)) / OPERATIONS_PER_BYTE);
  const useful = Math.max(1, Math.floor(work / cost.steps / LEAST_BYTES));
  if (useful > 1) return { ...found, threads: Math.min(found.threads, useful) };
  return { ...found, threads: 1, single: "the model is too small for threads" };
}

/** The features that choose a module. */
export function featuresOf({ relaxed, threads }: Abilities): string[] {
  return [...(relaxed ? [RELAXED_SIMD] : []), ...(threads > 1 ? [THREADS] : [])];
}

/** Why threads cannot share memory here; empty if they can. */
function whySingle(): string {
  // Engines make shared memories in pages that are not isolated, too, but refuse to hand them to workers.
  if (!isServer && !globalThis.crossOriginIsolated) return "the page is not cross-origin isolated";
  if (typeof SharedArrayBuffer === "undefined") return "the browser has no shared memory";
  if (!hasWorkers()) return "this kind of worker cannot start threads";
  // A thread that computes together with others waits for them, which the main thread of a page must not.
  if (typeof document !== "undefined") return "the model runs in the page's main thread, which cannot wait for others";
  return "";
}
