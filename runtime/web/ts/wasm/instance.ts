// Kernels in linear memory: everything that the runtime does with WebAssembly goes through here.

import type { CpuInfo } from "../api";
import { makeError, type GristmillError } from "../errors";
import { setSpin, stepsOf, stopAll } from "./control";
import type { KernelExports } from "./module";
import type { Pool } from "./pool";
import { spinTuner } from "./spin";
import { StepClock } from "./step_clock";
import type { TimedKernel } from "../timing";

/** Messages to this thread are looked at this often at least, so that a caller can end what is under way. */
const TURN_MS = 4;
/** How long the reason may take that a thread gives for its end. */
const REASON_MS = 5000;
const PAGE = 65536;

/** What an instance is made of. */
export interface InstanceParts {
  memory: WebAssembly.Memory;
  exports: KernelExports;
  /** The module that they are from. */
  file: string;
  pool: Pool;
  /** Most bytes that the memory can have. */
  limit: number;
  cpu: CpuInfo;
}

/** Memory and kernels. The methods without a comment are those of the trait `Machine` of the runtime. */
export class KernelInstance {
  readonly limit: number;
  readonly cpu: CpuInfo;
  readonly exports: KernelExports;
  readonly file: string;
  private readonly memory: WebAssembly.Memory;
  private readonly pool: Pool;
  private bytes: Uint8Array;
  private control: number | null = null;
  private failure: GristmillError | null = null;
  private lastTurn = performance.now();
  private readonly spin = spinTuner();
  private clock: StepClock | null = null;

  constructor({ memory, exports, file, pool, limit, cpu }: InstanceParts) {
    this.memory = memory;
    this.exports = exports;
    this.file = file;
    this.pool = pool;
    this.limit = limit;
    this.cpu = cpu;
    this.bytes = new Uint8Array(memory.buffer);
    void pool.failed.then((error) => this.fail(error));
  }

  /** Workers that the kernels share their work with, this thread included. */
  get workers(): number {
    return this.pool.size + 1;
  }

  get size(): number {
    return this.memory.buffer.byteLength;
  }

  /** The error that ended it, if that was a loss. */
  get loss(): GristmillError | null {
    return this.failure?.code === "device-lost" ? this.failure : null;
  }

  describe(): string {
    const { threads, simd } = this.cpu;
    const with_ = simd === "relaxed" ? "relaxed SIMD" : "SIMD";
    return `WebAssembly with ${with_} on ${threads} ${threads === 1 ? "thread" : "threads"}`;
  }

  grow(bytes: number): void {
    const pages = Math.ceil((bytes - this.size) / PAGE);
    if (pages <= 0) return;
    try {
      this.memory.grow(pages);
    } catch (e) {
      const message = `the browser cannot allocate ${bytes} bytes of linear memory; it has ${this.size}`;
      throw makeError("out-of-memory", message, { what: "linear memory", needed: bytes }, e);
    }
    this.bytes = new Uint8Array(this.memory.buffer);
  }

  write(at: number, bytes: Uint8Array): void {
    this.bytes.set(bytes, at);
  }

  read(at: number, into: Uint8Array): void {
    into.set(this.bytes.subarray(at, at + into.length));
  }

  zero(at: number, bytes: number): void {
    this.bytes.fill(0, at, at + bytes);
  }

  copy(from: number, to: number, bytes: number): void {
    this.bytes.copyWithin(to, from, from + bytes);
  }

  start(control: number): void {
    this.control = control;
    this.pool.serve(control);
  }

  async run(control: number): Promise<void> {
    if (this.failure) throw this.failure;
    let stopped: number;
    try {
      if (this.clock) stopped = this.clock.run(this.memory, control, () => this.exports.run(control));
      else stopped = this.pool.size === 0 ? this.exports.run(control) : this.runTogether(control);
    } catch (e) {
      const message = `the kernels failed: ${(e as Error).message}`;
      this.fail(makeError("internal", message, {}, e));
      throw this.failure ?? e;
    }
    if (stopped !== 0) throw await this.reason();
    await this.turn();
  }

  /** A run on several threads, which learns how they should wait. */
  private runTogether(control: number): number {
    setSpin(this.memory, control, this.spin.next(stepsOf(this.memory, control)));
    const begin = performance.now();
    const stopped = this.exports.run(control);
    this.spin.took(performance.now() - begin);
    return stopped;
  }

  /** Times steps from now on. */
  startTiming(): void {
    this.clock = new StepClock();
  }

  /** Times no more steps; gives what was measured. */
  stopTiming(): TimedKernel[] {
    const timed = this.clock?.all() ?? [];
    this.clock = null;
    return timed;
  }

  /** Ends everything with this error, which later runs give as well. */
  fail(error: GristmillError): void {
    this.failure ??= error;
    this.close();
  }

  /** Ends all threads. The memory goes when nobody holds it any more. */
  close(): void {
    this.failure ??= makeError("device-lost", "the kernels were ended");
    if (this.control !== null && this.pool.size > 0) stopAll(this.memory, this.control);
    this.pool.close();
  }

  /** Why a run was stopped: what the thread says that stopped it. */
  private async reason(): Promise<GristmillError> {
    const pause = new Promise<null>((resolve) => setTimeout(() => resolve(null), REASON_MS));
    const told = await Promise.race([this.pool.failed, pause]);
    this.fail(told ?? makeError("internal", "the kernels were stopped for an unknown reason"));
    return this.failure ?? makeError("internal", "the kernels were stopped");
  }

  /** Lets messages in now and then: to end a generation, for example. */
  private turn(): Promise<void> {
    if (performance.now() - this.lastTurn < TURN_MS) return Promise.resolve();
    return new Promise((resolve) => {
      const { port1, port2 } = new MessageChannel();
      port1.onmessage = () => {
        port1.close();
        this.lastTurn = performance.now();
        resolve();
      };
      port2.postMessage(null);
    });
  }
}
