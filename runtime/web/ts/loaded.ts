// A model that is loaded: its files, its device, and what happens when that device is lost.

import type { LoadProgress, MemoryInfo, ModelInfo, RunOptions, Task, Tensor } from "./api";
import { aborted, makeError, type GristmillError } from "./errors";
import { Device } from "./gpu/device";
import type { FileRef, Source } from "./load/contract";
import { Meter } from "./load/meter";
import { openSource } from "./load/source";
import { openStore } from "./load/store";
import { loadWeights } from "./load/weights";
import { familiesOf } from "./profile";
import {
  loadRuntime,
  Runtime,
  runtimeError,
  version,
  type ManifestInfo,
  type RuntimeFiles,
  type WeightPlan,
} from "./runtime";
import { loadText, NO_TEXT, type Text } from "./text/files";

/** How a bundle is loaded, as it can be sent to a worker. */
export interface LoadArgs {
  base: string;
  cache: boolean;
  profile: string | null;
  without: string[];
  recoveries: number;
}

/** A model and its device. */
export class Loaded {
  readonly runtime: Runtime;
  readonly manifest: ManifestInfo;
  text: Text = NO_TEXT;
  private readonly args: LoadArgs;
  private readonly source: Source;
  private readonly memoryOfRuntime: WebAssembly.Memory;
  private readonly meter: Meter;
  private device: Device | null = null;
  private profile = "";
  private disposed = false;
  private endWatch = (): void => {};

  private constructor(
    args: LoadArgs,
    source: Source,
    meter: Meter,
    memory: WebAssembly.Memory,
    manifest: Uint8Array,
  ) {
    this.args = args;
    this.source = source;
    this.meter = meter;
    this.memoryOfRuntime = memory;
    this.runtime = guard(() => new Runtime(manifest));
    this.manifest = JSON.parse(this.runtime.info()) as ManifestInfo;
  }

  /**
   * Loads a bundle. After a failure or an abort nothing is left of it but what `opened` was given: the source, which
   * may still be storing.
   */
  static async load(
    args: LoadArgs,
    signal: AbortSignal,
    report: (progress: LoadProgress) => void,
    opened: (source: Source) => void,
  ): Promise<Loaded> {
    const meter = new Meter(report);
    meter.begin("start");
    const open = Device.open(args.without);
    open.catch(() => {});
    const base = new URL(args.base);
    const store = args.cache ? await openStore() : null;
    const source = openSource({ base, store, onBytes: (delta, from) => meter.bytes(delta, from) });
    opened(source);
    let model: Loaded | null = null;
    try {
      // Without a device nothing else need be fetched.
      const device = await open;
      const [memory, manifest] = await Promise.all([loadRuntime(), source.manifest(signal)]);
      model = new Loaded(args, source, meter, memory, manifest);
      await model.attach(device, signal, true);
      return model;
    } catch (e) {
      const device = await open.catch(() => null);
      const error = signal.aborted ? aborted() : await causeOf(e, device);
      device?.close();
      model?.dispose();
      throw error;
    }
  }

  /** What is loaded and where it runs. */
  get info(): ModelInfo {
    const { name, architecture, precision, parameters, weightBytes, maxContext, entries } = this.manifest;
    const has = (role: string): boolean => entries.some((e) => e.role === role);
    const tasks: Task[] = ["run"];
    if (has("embed") && this.text.tokenizer) tasks.unshift("embed");
    if (has("decode") && this.text.tokenizer) tasks.unshift("generate");
    if (has("decode") && this.text.template) tasks.unshift("chat");
    return {
      name,
      architecture,
      precision,
      parameters,
      weightBytes,
      maxContext,
      tasks,
      entries,
      backend: "webgpu",
      profile: this.profile,
      adapter: this.opened().adapter,
      version: version(),
    };
  }

  memory(): MemoryInfo {
    return { ...this.opened().memory(), wasm: this.memoryOfRuntime.buffer.byteLength };
  }

  /** Reports lost devices being replaced, until the model is disposed of. */
  watch(report: (progress: LoadProgress) => void): Promise<null> {
    this.meter.report = report;
    return new Promise((resolve) => (this.endWatch = () => resolve(null)));
  }

  /** Calls an entry with tensors; without a name the one that takes these inputs. */
  run(entry: string | null, inputs: Record<string, Tensor>, options: RunOptions): Promise<Record<string, Tensor>> {
    const { greedy = 0, taps = false } = options;
    const call = (): Promise<Record<string, Tensor>> =>
      this.runtime.run(entry ?? undefined, inputs, greedy, taps) as Promise<Record<string, Tensor>>;
    return this.withDevice(call, call);
  }

  /**
   * Does something on the device. When that is lost it is replaced, as often as the options allow without progress in
   * between, and `again` goes on. `progressed` tells whether there was progress since it was last asked.
   */
  async withDevice<T>(
    first: () => Promise<T>,
    again: () => Promise<T>,
    progressed: () => boolean = () => false,
    lost: () => void = () => {},
  ): Promise<T> {
    let action = first;
    for (let losses = 0; ; ) {
      try {
        return await action();
      } catch (e) {
        const error = await causeOf(e, this.device);
        if (this.disposed) throw makeError("aborted", "the model was disposed of", {}, error);
        if (error.code !== "device-lost") throw error;
        if (progressed()) losses = 0;
        losses += 1;
        if (losses > this.args.recoveries) throw error;
        lost();
        await this.recover();
        action = again;
      }
    }
  }

  /** Takes the device away. */
  loseDevice(): void {
    this.opened().close();
  }

  dispose(): void {
    this.disposed = true;
    this.device?.close();
    this.device = null;
    this.endWatch();
  }

  private opened(): Device {
    if (this.device) return this.device;
    throw makeError("internal", "the model has no device");
  }

  /** A new device in the place of one that is lost. A device that is lost on the way counts as the same loss. */
  private async recover(): Promise<void> {
    this.meter.begin("recover");
    // What is still on its way to the storage would be fetched a second time.
    await this.source.settled();
    const never = new AbortController().signal;
    for (let attempt = 1; ; attempt++) {
      const device = await Device.open(this.args.without);
      try {
        return await this.attach(device, never, false);
      } catch (e) {
        const error = await causeOf(e, device);
        device.close();
        if (error.code !== "device-lost" || attempt > this.args.recoveries || this.disposed) throw error;
      }
    }
  }

  /** Brings programs, kernels and weights to a device. Text is loaded along with them if it is not there yet. */
  private async attach(device: Device, signal: AbortSignal, withText: boolean): Promise<void> {
    const { runtime, source, meter } = this;
    const calibrated = device.calibrate();
    calibrated.catch(() => {});
    const plan = JSON.parse(runtime.weights()) as WeightPlan;
    meter.expect(plan.shards);
    source.needs(plan.shards);

    this.profile = guard(() => runtime.profile(this.args.profile ?? undefined, familiesOf(navigator)));
    const path = runtime.programsPath(this.profile);
    const programs = await this.file(path, signal);
    guard(() => runtime.setPrograms(path, programs));
    guard(() => runtime.admit(device as never));

    meter.begin(meter.phase === "recover" ? "recover" : "weights");
    // The first failure ends the others.
    const stop = new AbortController();
    let giveUp: (reason: GristmillError) => void = () => {};
    // Compilation cannot be ended, so it is not waited for when the caller ends loading.
    const givenUp = new Promise<never>((_, reject) => (giveUp = reject));
    givenUp.catch(() => {});
    const forward = (): void => {
      stop.abort();
      giveUp(aborted());
    };
    signal.addEventListener("abort", forward);
    if (signal.aborted) forward();
    // Kernels of entries that are first called later are fetched then, so no signal of loading ends these.
    const files: RuntimeFiles = {
      text: async (file) => new TextDecoder().decode(await this.file(file, undefined)),
    };
    const ending = <T>(task: Promise<T>): Promise<T> => {
      task.catch(() => stop.abort());
      return task;
    };
    try {
      await (runtime.open(device as never, files as never) as Promise<void>);
      const kernels = ending(runtime.warm((done: number, total: number) => meter.kernels(done, total)));
      const weights = ending(loadWeights({ source, ...plan, device: device.forWeights(), signal: stop.signal }));
      const text = withText ? ending(this.loadText(stop.signal)) : Promise.resolve(this.text);
      const all = Promise.allSettled([kernels, weights, text, calibrated] as const);
      const results = await Promise.race([all, givenUp]);
      throwFirst(results, signal);
      const [, buffers, loadedText] = results;
      if (this.disposed) throw aborted();
      if (buffers.status === "fulfilled") guard(() => runtime.setWeights(buffers.value));
      if (loadedText.status === "fulfilled") this.text = loadedText.value;
    } finally {
      signal.removeEventListener("abort", forward);
    }
    if (this.device !== device) this.device?.close();
    this.device = device;
    meter.begin("ready");
  }

  private loadText(signal: AbortSignal): Promise<Text> {
    const read = async (path: string): Promise<string | null> =>
      this.ref(path) ? new TextDecoder().decode(await this.file(path, signal)) : null;
    return loadText(read, this.manifest.bos, this.manifest.maxContext);
  }

  private ref(path: string): FileRef | null {
    const json = this.runtime.file(path);
    return json === undefined ? null : (JSON.parse(json) as FileRef);
  }

  /** The verified content of a file that the manifest lists. */
  private file(path: string, signal: AbortSignal | undefined): Promise<Uint8Array<ArrayBuffer>> {
    const ref = this.ref(path);
    if (!ref) throw makeError("bundle", `${path}: not in this bundle`, { file: path });
    this.meter.expect([ref]);
    this.source.needs([ref]);
    return this.source.file(ref, signal);
  }
}

/** The error behind what was thrown: a device that is lost makes calls fail in many ways. */
async function causeOf(thrown: unknown, device: Device | null): Promise<GristmillError> {
  const error = runtimeError(thrown);
  const maybeLost = error.code === "internal" || error.code === "out-of-memory";
  return (maybeLost && (await device?.lossBehindError())) || error;
}

/** Calls the runtime; what it throws becomes one of our errors. */
function guard<T>(call: () => T): T {
  try {
    return call();
  } catch (e) {
    throw runtimeError(e);
  }
}

/** Throws the failure that was the cause of the others. */
function throwFirst(results: readonly PromiseSettledResult<unknown>[], signal: AbortSignal): void {
  if (signal.aborted) throw aborted();
  const errors = results.filter((r) => r.status === "rejected").map((r) => runtimeError(r.reason));
  const cause = errors.find((e) => e.code !== "aborted") ?? errors[0];
  if (cause) throw cause;
}
