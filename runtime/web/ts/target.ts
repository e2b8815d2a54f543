// What executes a model: a GPU, or kernels on the CPU. Loading and recovering are the same for both.

import type { AdapterInfo, MemoryInfo, CpuInfo } from "./api";
import type { GristmillError } from "./errors";
import type { TimedKernel } from "./timing";

/** Something that executes programs. */
export interface Target {
  readonly kind: "webgpu" | "wasm";
  /** The graphics adapter, if that is what computes. */
  readonly adapter: AdapterInfo | null;
  /** The CPU's part, if it has one. */
  readonly cpu: CpuInfo | null;
  /** What the CPU computes because it exceeds limits of the adapter, for people. */
  readonly offloaded: string[];
  /** The file of its WebAssembly kernels, if it has any. */
  readonly module: string | null;
  memory(): Omit<MemoryInfo, "wasm">;
  /** Times steps from now on; false if it has to be opened anew for that. Throws if it cannot. */
  startTiming(): boolean;
  /** Times no more steps; gives what was measured. */
  stopTiming(): Promise<TimedKernel[]>;
  /** The loss that is behind some other error, if there was one. */
  lossBehindError(): Promise<GristmillError | null>;
  /** Goes away as a driver that crashes does. */
  lose(): void;
  /** Frees everything. */
  close(): void;
}

/** A target that the bundle fits and whose programs are set, before it has weights. */
export interface Prepared {
  target: Target;
  /** The programs in use. */
  profile: string;
  /** Lets the runtime take the target. */
  open(): Promise<void>;
  /** Loads all weights; gives what the runtime is to be told of them. */
  weights(signal: AbortSignal): Promise<unknown[]>;
  /** What else must be done before the first call. */
  settled: Promise<void>;
}
