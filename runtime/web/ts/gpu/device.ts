// The device: everything that the runtime does with WebGPU goes through here.

import type { AdapterInfo, MemoryInfo } from "../api";
import { makeError, type GristmillError } from "../errors";
import type { WeightDevice } from "../load/weights";
import type { Target } from "../target";
import type { TimedKernel } from "../timing";
import { openAdapter, TIMER, type AdapterWishes } from "./adapter";
import { measureAdapter, type AdapterSpeed } from "./measure";
import { Timestamps } from "./timestamps";

/** What a buffer is for, by the numbers that the runtime uses. */
const WEIGHT = 0;
const SCRATCH = 2;
const READBACK = 4;

// The constants of GPUBufferUsage and its like, which are not there where WebGPU is not.
const [MAP_READ, COPY_SRC, COPY_DST, UNIFORM, STORAGE] = [0x1, 0x4, 0x8, 0x40, 0x80] as const;
const COMPUTE_STAGE = 0x4;
const READ_MODE = 0x1;

/** By kind: weights, states, scratch memory, symbols, results. */
const USAGES = [
  STORAGE | COPY_SRC | COPY_DST,
  STORAGE | COPY_SRC | COPY_DST,
  STORAGE | COPY_SRC | COPY_DST,
  UNIFORM | COPY_DST,
  MAP_READ | COPY_DST,
] as const;

/** A pipeline with the layout of its bindings. */
interface Pipeline {
  pipeline: GPUComputePipeline;
  layout: GPUBindGroupLayout;
}

/** Steps of a submission, in order. */
interface Steps {
  pipelines: GPUComputePipeline[];
  groups: GPUBindGroup[];
}

/** Copies on the device: from, to, [offset in it, bytes], and so on. */
type Copies = (GPUBuffer | Float64Array)[];

/** What a step of generation is assumed to take when the number of submissions under way is chosen. */
const STEP_MS = 8;
const MAX_DEPTH = 16;
/** How often finished work is asked for. */
const NUDGE_MS = 4;
/** How long the news of a lost device may take on a busy machine; only errors wait for it. */
const LOSS_NEWS_MS = 1000;

/** An opened device. The methods without a comment are those of the trait `Gpu` of the runtime, or of a target. */
export class Device implements Target {
  readonly kind = "webgpu";
  readonly cpu = null;
  readonly offloaded: string[] = [];
  readonly module = null;
  /** Whether results are waited for between stretches of steps, so that calls cannot overlap. */
  alternates = false;
  readonly name: string;
  readonly features: string[];
  readonly adapter: AdapterInfo;
  /** How many submissions are under way at once; more where the way back from the device is long. */
  depth = 2;
  private readonly device: GPUDevice;
  private readonly hasTimer: boolean;
  private timestamps: Timestamps | null = null;
  /** Told when the device is lost. */
  private readonly waiting = new Set<(loss: GristmillError) => void>();
  private readonly sizes = new Map<GPUBuffer, { bytes: number; kind: number }>();
  private readonly byKind: [number, number, number, number, number] = [0, 0, 0, 0, 0];
  private peak = 0;
  private lostError: GristmillError | null = null;
  private firstFailure: GristmillError | null = null;
  private readonly layouts = new Map<string, GPUBindGroupLayout>();

  private constructor(device: GPUDevice, adapter: AdapterInfo, hasTimer: boolean) {
    this.device = device;
    this.hasTimer = hasTimer;
    this.adapter = adapter;
    const parts = [adapter.vendor, adapter.architecture, adapter.description].filter((part) => part !== "");
    this.name = parts.join(" ") || "this adapter";
    this.features = adapter.features;
    void device.lost.then(({ reason, message }) => {
      const loss = makeError("device-lost", `the GPU was lost (${reason || "unknown"}): ${message}`);
      this.lostError = loss;
      for (const tell of this.waiting) tell(loss);
    });
    device.addEventListener("uncapturederror", ({ error }) => {
      this.firstFailure ??= makeError("internal", `a GPU error: ${error.message}`);
    });
  }

  /** Opens the best adapter, with everything that it offers and that is wanted. */
  static async open(wishes: AdapterWishes): Promise<Device> {
    const { device, info, hasTimer } = await openAdapter(wishes);
    return new Device(device, info, hasTimer);
  }

  limit(name: string): number {
    return this.adapter.limits[name] ?? 0;
  }

  /** Bytes of all buffers. */
  private allocated(): number {
    return this.byKind.reduce((sum, bytes) => sum + bytes, 0);
  }

  memory(): Omit<MemoryInfo, "wasm"> {
    const [weights, states, scratch, uniform, readback] = this.byKind;
    return { weights, states, scratch: scratch + uniform + readback, total: this.allocated(), peak: this.peak };
  }

  async create(labels: string[], bytes: Float64Array, kinds: Uint8Array): Promise<GPUBuffer[]> {
    const all = labels.map((label, i) => this.allocate(label, bytes[i] ?? 0, kinds[i] ?? SCRATCH, false));
    const results = await Promise.allSettled(all);
    const failed = results.find((result) => result.status === "rejected");
    if (!failed) return Promise.all(all);
    for (const result of results) if (result.status === "fulfilled") this.destroy(result.value);
    throw failed.reason;
  }

  private async allocate(label: string, bytes: number, kind: number, mapped: boolean): Promise<GPUBuffer> {
    const size = Math.max(16, Math.ceil(bytes / 16) * 16);
    this.device.pushErrorScope("out-of-memory");
    let buffer: GPUBuffer | null = null;
    let thrown: unknown;
    try {
      buffer = this.device.createBuffer({ label, size, usage: USAGES[kind] ?? STORAGE, mappedAtCreation: mapped });
    } catch (e) {
      thrown = e; // A mapped buffer that finds no memory in the page's process throws.
    }
    const refused = await this.unlessLost(this.device.popErrorScope()).catch(async (e: unknown) => {
      buffer?.destroy();
      await this.throwIfLost();
      throw makeError("device-lost", `the GPU does not answer: ${(e as Error).message}`, {}, e);
    });
    if (!buffer || refused) {
      buffer?.destroy();
      const message = `out of GPU memory for ${label} (${bytes} bytes; ${this.allocated()} in use)`;
      throw makeError("out-of-memory", message, { what: label, needed: bytes }, thrown);
    }
    this.sizes.set(buffer, { bytes: size, kind });
    this.count(kind, size);
    return buffer;
  }

  private count(kind: number, bytes: number): void {
    this.byKind[kind] = (this.byKind[kind] ?? 0) + bytes;
    this.peak = Math.max(this.peak, this.allocated());
  }

  destroy(buffer: GPUBuffer): void {
    const known = this.sizes.get(buffer);
    if (known) this.count(known.kind, -known.bytes);
    this.sizes.delete(buffer);
    buffer.destroy();
  }

  clear(buffers: GPUBuffer[]): void {
    const encoder = this.device.createCommandEncoder();
    for (const buffer of buffers) encoder.clearBuffer(buffer);
    this.device.queue.submit([encoder.finish()]);
  }

  async compile(name: string, source: string, writes: Uint8Array): Promise<Pipeline> {
    const layout = this.layout(writes);
    const module = this.device.createShaderModule({ label: name, code: source });
    const descriptor: GPUComputePipelineDescriptor = {
      label: name,
      layout: this.device.createPipelineLayout({ bindGroupLayouts: [layout] }),
      compute: { module },
    };
    try {
      const pipeline = await this.unlessLost(this.device.createComputePipelineAsync(descriptor));
      return { pipeline, layout };
    } catch (e) {
      await this.throwIfLost();
      const info = await module.getCompilationInfo().catch(() => null);
      const first = info?.messages.find((m) => m.type === "error");
      const where = first ? `line ${first.lineNum}: ${first.message}` : (e as Error).message;
      throw makeError("internal", `kernel \`${name}\`: ${where}`, { what: name }, e);
    }
  }

  /** Binding 0 is the symbols, the others are the kernel's buffers. */
  private layout(writes: Uint8Array): GPUBindGroupLayout {
    const key = writes.join("");
    let layout = this.layouts.get(key);
    if (!layout) {
      const types: GPUBufferBindingType[] = Array.from(writes, (w) => (w ? "storage" : "read-only-storage"));
      const all: GPUBufferBindingType[] = ["uniform", ...types];
      const entries = all.map((type, binding) => ({ binding, visibility: COMPUTE_STAGE, buffer: { type } }));
      layout = this.device.createBindGroupLayout({ entries });
      this.layouts.set(key, layout);
    }
    return layout;
  }

  bind(name: string, { layout }: Pipeline, buffers: GPUBuffer[]): GPUBindGroup {
    const entries = buffers.map((buffer, binding) => ({ binding, resource: { buffer } }));
    return this.device.createBindGroup({ label: name, layout, entries });
  }

  record(pipelines: Pipeline[], groups: GPUBindGroup[]): Steps {
    return { pipelines: pipelines.map((p) => p.pipeline), groups };
  }

  write(buffer: GPUBuffer, bytes: Uint8Array<ArrayBuffer>): void {
    this.device.queue.writeBuffer(buffer, 0, bytes);
  }

  submit(
    feed: Copies,
    steps: Steps,
    grids: Uint32Array,
    results: Copies,
    staging: GPUBuffer,
    bytes: number,
  ): Promise<Uint8Array> {
    const encoder = this.device.createCommandEncoder();
    copyAll(encoder, feed);
    if (this.timestamps) this.timestamps.encode(encoder, steps, grids);
    else encodeSteps(encoder, steps, grids);
    copyAll(encoder, results);
    this.device.queue.submit([encoder.finish()]);
    this.timestamps?.submitted();
    // Asked for now and not when somebody waits, which would cost a turn of the event loop.
    const read = bytes > 0 ? this.readBack(staging, bytes) : this.device.queue.onSubmittedWorkDone().then(nothing);
    const result = this.unlessLost(read).catch(async (e: unknown) => {
      await this.throwIfLost();
      throw makeError("internal", `reading results: ${(e as Error).message}`, {}, e);
    });
    // A result that nobody asks for any more may fail.
    result.catch(() => {});
    return result;
  }

  private async readBack(staging: GPUBuffer, bytes: number): Promise<Uint8Array> {
    const mapped = staging.mapAsync(READ_MODE, 0, bytes);
    await (this.alternates ? this.nudged(mapped) : mapped);
    const copy = new Uint8Array(staging.getMappedRange(0, bytes).slice(0));
    staging.unmap();
    return copy;
  }

  /**
   * Waits, and asks for finished work while it does. Firefox looks for it ten times a second by itself, and whenever
   * something is submitted.
   */
  private async nudged(mapped: Promise<undefined>): Promise<void> {
    const nudge = setInterval(() => (this.lostError ? clearInterval(nudge) : this.device.queue.submit([])), NUDGE_MS);
    try {
      await mapped;
    } finally {
      clearInterval(nudge);
    }
  }

  startTiming(): boolean {
    if (!this.hasTimer) {
      const message = `${this.name} has no ${TIMER}, without which the times of kernels cannot be measured`;
      throw makeError("unsupported", message, { what: TIMER });
    }
    if (!this.features.includes(TIMER)) return false;
    this.timestamps = new Timestamps(this.device);
    return true;
  }

  async stopTiming(): Promise<TimedKernel[]> {
    const timestamps = this.timestamps;
    this.timestamps = null;
    return timestamps ? this.unlessLost(timestamps.all()) : [];
  }

  failure(): GristmillError | undefined {
    const failure = this.lostError ?? this.firstFailure ?? undefined;
    this.firstFailure = null;
    return failure;
  }

  /** What the loader of weights needs. */
  forWeights(): WeightDevice {
    return {
      createMapped: (label, bytes) => this.allocate(label, bytes, WEIGHT, true),
      create: (label, bytes) => this.allocate(label, bytes, WEIGHT, false),
      write: async (buffer, offset, content) => {
        this.device.queue.writeBuffer(buffer, offset, content);
        // Staging memory would pile up if nobody waited.
        await this.unlessLost(this.device.queue.onSubmittedWorkDone());
      },
    };
  }

  /**
   * Finds out how long a result takes from the device to here, and how many submissions must be under way for the
   * device not to wait for that.
   */
  async calibrate(): Promise<void> {
    const labels = ["calibration", "calibration"];
    const [from, to] = await this.create(labels, Float64Array.of(16, 16), Uint8Array.of(SCRATCH, READBACK));
    if (!from || !to) return;
    let best = Infinity;
    for (let i = 0; i < 2; i++) {
      const begin = performance.now();
      const copies = [from, to, Float64Array.of(0, 16)];
      await this.submit([], { pipelines: [], groups: [] }, new Uint32Array(), copies, to, 16);
      best = Math.min(best, performance.now() - begin);
    }
    this.destroy(from);
    this.destroy(to);
    this.depth = Math.min(MAX_DEPTH, 2 + Math.floor(best / STEP_MS));
  }

  /** Finds out how fast the device is. */
  async measure(): Promise<AdapterSpeed> {
    try {
      return await this.unlessLost(measureAdapter(this.device));
    } catch (e) {
      // What concerned the measurement only must not end the model.
      this.firstFailure = null;
      throw e;
    }
  }

  lose(): void {
    this.device.destroy();
  }

  close(): void {
    this.device.destroy();
  }

  /** Errors that a loss causes may come before the news of it, so this waits a moment for those. */
  async lossBehindError(): Promise<GristmillError | null> {
    const pause = new Promise<void>((resolve) => setTimeout(resolve, LOSS_NEWS_MS));
    await this.unlessLost(pause).catch(() => {});
    return this.lostError;
  }

  /**
   * The promise, or the loss of the device if that comes first: whether promises of a lost device settle is up to the
   * browser. (A race with a promise of the loss would keep the results of all races until then.)
   */
  private unlessLost<T>(work: Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      if (this.lostError) reject(this.lostError);
      this.waiting.add(reject);
      work.then(resolve, reject).finally(() => this.waiting.delete(reject));
    });
  }

  private async throwIfLost(): Promise<void> {
    const lost = await this.lossBehindError();
    if (lost) throw lost;
  }
}

function copyAll(encoder: GPUCommandEncoder, copies: Copies): void {
  for (let i = 0; i < copies.length; i += 3) {
    const [offset, bytes] = copies[i + 2] as Float64Array;
    encoder.copyBufferToBuffer(copies[i] as GPUBuffer, 0, copies[i + 1] as GPUBuffer, offset ?? 0, bytes ?? 0);
  }
}

function encodeSteps(encoder: GPUCommandEncoder, steps: Steps, grids: Uint32Array): void {
  const pass = encoder.beginComputePass();
  for (let i = 0; i < steps.pipelines.length; i++) {
    const x = grids[2 * i] as number;
    if (x === 0) continue;
    pass.setPipeline(steps.pipelines[i] as GPUComputePipeline);
    pass.setBindGroup(0, steps.groups[i] as GPUBindGroup);
    pass.dispatchWorkgroups(x, grids[2 * i + 1] as number);
  }
  pass.end();
}

function nothing(): Uint8Array {
  return new Uint8Array();
}
