// Counts what loading has done, and says so now and then.

import type { LoadProgress } from "../api";
import type { FileRef } from "./contract";

const EVERY_MS = 50;

/** The state of loading. */
export class Meter {
  report: (progress: LoadProgress) => void;
  private readonly seen = new Set<string>();
  private state: LoadProgress = {
    phase: "start",
    loadedBytes: 0,
    totalBytes: 0,
    cachedBytes: 0,
    kernels: 0,
    totalKernels: 0,
  };
  private last = -Infinity;
  private timer: ReturnType<typeof setTimeout> | null = null;

  constructor(report: (progress: LoadProgress) => void) {
    this.report = report;
  }

  get phase(): LoadProgress["phase"] {
    return this.state.phase;
  }

  /** Begins a phase; `start` and `recover` begin to count anew. */
  begin(phase: LoadProgress["phase"]): void {
    if (phase === "start" || (phase === "recover" && this.state.phase !== "recover")) {
      this.seen.clear();
      this.state = { ...this.state, loadedBytes: 0, totalBytes: 0, cachedBytes: 0, kernels: 0, totalKernels: 0 };
    }
    this.state.phase = phase;
    this.send();
  }

  /** Files that will be needed; each counts once. */
  expect(files: readonly FileRef[]): void {
    for (const { path, bytes } of files) {
      if (!this.seen.has(path)) this.state.totalBytes += bytes;
      this.seen.add(path);
    }
    this.soon();
  }

  bytes(delta: number, from: "network" | "cache"): void {
    this.state.loadedBytes += delta;
    if (from === "cache") this.state.cachedBytes += delta;
    this.soon();
  }

  kernels(done: number, total: number): void {
    this.state.kernels = done;
    this.state.totalKernels = total;
    this.soon();
  }

  private soon(): void {
    const wait = this.last + EVERY_MS - performance.now();
    if (wait <= 0) this.send();
    else this.timer ??= setTimeout(() => this.send(), wait);
  }

  private send(): void {
    if (this.timer !== null) clearTimeout(this.timer);
    this.timer = null;
    this.last = performance.now();
    // A shard that two tensors share is fetched once but may be listed twice.
    const totalBytes = Math.max(this.state.totalBytes, this.state.loadedBytes);
    this.report({ ...this.state, totalBytes });
  }
}
