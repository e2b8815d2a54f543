// A model that is loaded: its files, what executes it, and what happens when that is lost.

import type { BackendChoice, KernelInfo, KernelTimes, LoadProgress, MemoryInfo, ModelInfo, RunOptions, Tensor } from "./api";
import { Bundle, guard } from "./bundle";
import { aborted, makeError, type GristmillError } from "./errors";
import { Device } from "./gpu/device";
import { openKernelSet, type KernelSet } from "./kernels";
import type { Source, Store } from "./load/contract";
import { Meter } from "./load/meter";
import { openSource } from "./load/source";
import { openStore } from "./load/store";
import { pick, pickAgain, type Picked } from "./pick";
import { fetchAny } from "./platform";
import type { LoadArgs } from "./protocol";
import { loadRuntime, runtimeError, version, type ManifestInfo } from "./runtime";
import type { Prepared, Target } from "./target";
import { loadText, NO_TEXT, type Text } from "./text/files";
import { refusal } from "./refusal";
import { able } from "./wasm/prepare";

/** A model and what executes it. */
export class Loaded {
  readonly bundle: Bundle;
  text: Text = NO_TEXT;
  private args: LoadArgs;
  private readonly store: Store | null;
  private readonly memoryOfRuntime: WebAssembly.Memory;
  private target: Target | null = null;
  private choice: BackendChoice | null = null;
  private profile = "";
  /** Ends what is under way when the model is disposed of. */
  private readonly life = new AbortController();
  /** Whether the device is lost and could not be replaced: the next call tries again. */
  private lost = false;
  private endWatch = (): void => {};
  private replaced = (): void => {};

  private constructor(args: LoadArgs, store: Store | null, memory: WebAssembly.Memory, bundle: Bundle) {
    this.args = args;
    this.store = store;
    this.memoryOfRuntime = memory;
    this.bundle = bundle;
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
    const missing = refusal();
    if (missing) throw missing;
    const meter = new Meter(report);
    meter.begin("start");
    const opening = args.backend === "wasm" ? null : Device.open(args);
    opening?.catch(() => {});
    const base = new URL(args.base);
    const store = args.cache ? await openStore() : null;
    const source = openSource({ base, store, fetch: fetchAny, onBytes: (delta, from) => meter.bytes(delta, from) });
    opened(source);
    let model: Loaded | null = null;
    try {
      // Without what was asked for nothing else need be fetched.
      if (args.backend === "webgpu") await opening;
      if (args.backend === "wasm") able(args);
      const [memory, manifest] = await Promise.all([loadRuntime(args.parts.wasm), source.manifest(signal)]);
      model = new Loaded(args, store, memory, new Bundle(source, meter, manifest));
      await model.attach(await pick(model.task(signal), opening), signal, true);
      return model;
    } catch (e) {
      const device = (await opening?.catch(() => null)) ?? null;
      const error = signal.aborted ? aborted() : await causeOf(e, device);
      device?.close();
      model?.dispose();
      throw error;
    }
  }

  /** What is loaded and where it runs. */
  get info(): ModelInfo {
    const { name, architecture, precision, parameters, weightBytes, maxContext, embedding, components, entries, tasks } =
      this.manifest;
    const { adapter, cpu, offloaded, kind } = this.opened();
    return {
      name,
      architecture,
      precision,
      formats: this.bundle.formats,
      parameters,
      weightBytes,
      maxContext,
      embedding: embedding && {
        maxTokens: embedding.maxTokens,
        prompts: embedding.prompts,
        defaultPrompt: embedding.defaultPrompt,
        similarity: embedding.similarity,
      },
      generation: this.text.generation,
      components,
      tasks,
      entries,
      backend: kind,
      choice: this.choice ?? { backend: kind, asked: this.args.backend, reason: "", estimates: null },
      profile: this.profile,
      adapter,
      cpu,
      offloaded,
      version: version(),
    };
  }

  get runtime(): Bundle["runtime"] {
    return this.bundle.runtime;
  }

  get manifest(): ManifestInfo {
    return this.bundle.manifest;
  }

  memory(): MemoryInfo {
    return { ...this.opened().memory(), wasm: this.memoryOfRuntime.buffer.byteLength };
  }

  /** The kernels of the programs in use. */
  async kernels(): Promise<KernelInfo[]> {
    return (await this.kernelSet()).all();
  }

  /** The text of a kernel; null if it has none. */
  async shader(name: string): Promise<string | null> {
    return (await this.kernelSet()).shader(name);
  }

  /** Times kernels from now on. A device that was opened without a clock is replaced; weights come from storage then. */
  async startTiming(): Promise<null> {
    if (this.opened().startTiming()) return null;
    this.args = { ...this.args, timing: true };
    // There may be no memory for two.
    this.opened().close();
    await this.recover();
    this.opened().startTiming();
    return null;
  }

  /** Times kernels no more; gives what was measured. */
  async stopTiming(): Promise<KernelTimes> {
    const timed = await this.opened().stopTiming();
    return (await this.kernelSet()).named(timed);
  }

  private kernelSet(): Promise<KernelSet> {
    return openKernelSet(this.bundle, this.opened(), this.profile);
  }

  /** Reports lost devices being replaced, until the model is disposed of. */
  watch(report: (event: LoadProgress | { info: ModelInfo }) => void): Promise<null> {
    this.bundle.meter.report = report;
    this.replaced = () => report({ info: this.info });
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
   * between, and `again` goes on. `progressed` tells whether there was progress since it was last asked. If no other can
   * be had, that is an error of this call: the next one asks for a device again.
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
        if (this.lost) await this.recover();
        return await action();
      } catch (e) {
        const error = await causeOf(e, this.target);
        if (this.disposed) throw makeError("aborted", "the model was disposed of", {}, error);
        // What came of an attempt to replace a device is the end of this call.
        if (error.code !== "device-lost" || this.lost) throw error;
        this.lost = true;
        if (progressed()) losses = 0;
        losses += 1;
        if (losses > this.args.recoveries) throw error;
        lost();
        action = again;
      }
    }
  }

  /** Takes the device away. */
  loseDevice(): void {
    this.opened().lose();
  }

  dispose(): void {
    if (this.disposed) return;
    this.life.abort();
    this.target?.close();
    this.target = null;
    this.bundle.close();
    this.endWatch();
  }

  private get disposed(): boolean {
    return this.life.signal.aborted;
  }

  private opened(): Target {
    if (this.target) return this.target;
    throw makeError("internal", "the model has no device");
  }

  private task(signal: AbortSignal): Parameters<typeof pick>[0] {
    return { bundle: this.bundle, args: this.args, store: this.store, signal };
  }

  /** A new target in the place of one that is lost. One that is lost on the way counts as the same loss. */
  private async recover(): Promise<void> {
    const { meter, source } = this.bundle;
    const { signal } = this.life;
    meter.begin("recover");
    // What is still on its way to the storage would be fetched a second time.
    await source.settled();
    const { kind } = this.opened();
    const choice = this.info.choice;
    for (let attempt = 1; ; attempt++) {
      try {
        await this.attach(await pickAgain(this.task(signal), kind, choice), signal, false);
        this.lost = false;
        return;
      } catch (e) {
        const error = runtimeError(e);
        if (error.code === "device-lost" && attempt <= this.args.recoveries && !this.disposed) continue;
        meter.begin("lost");
        if (error.code !== "no-webgpu") throw error;
        const message = "the GPU was lost, and the browser gives no other now: try again, or reload the page";
        throw makeError("device-lost", message, {}, error);
      }
    }
  }

  /** Brings kernels and weights to a target; closes it if that fails. */
  private async attach({ prepared, choice }: Picked, signal: AbortSignal, withText: boolean): Promise<void> {
    const { target, profile } = prepared;
    try {
      await this.fill(prepared, signal, withText);
    } catch (e) {
      const error = signal.aborted ? aborted() : await causeOf(e, target);
      target.close();
      throw error;
    }
    if (this.target !== target) this.target?.close();
    [this.target, this.profile, this.choice] = [target, profile, choice];
    this.replaced();
    this.bundle.meter.begin("ready");
  }

  /** Everything at once. Text is loaded along with the rest if it is not there yet. */
  private async fill(prepared: Prepared, signal: AbortSignal, withText: boolean): Promise<void> {
    const { bundle } = this;
    const { runtime, meter } = bundle;
    bundle.expectWeights();
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
    const ending = <T>(task: Promise<T>): Promise<T> => {
      task.catch(() => stop.abort());
      return task;
    };
    try {
      await prepared.open();
      const kernels = ending(runtime.warm((done: number, total: number) => meter.kernels(done, total)));
      const weights = ending(prepared.weights(stop.signal));
      const text = withText ? ending(this.loadText(stop.signal)) : Promise.resolve(this.text);
      const all = Promise.allSettled([kernels, weights, text, prepared.settled] as const);
      const results = await Promise.race([all, givenUp]);
      throwFirst(results, signal);
      const [, buffers, loadedText] = results;
      if (this.disposed) throw aborted();
      if (buffers.status === "fulfilled") guard(() => runtime.setWeights(buffers.value));
      if (loadedText.status === "fulfilled") this.text = loadedText.value;
    } finally {
      signal.removeEventListener("abort", forward);
    }
  }

  private loadText(signal: AbortSignal): Promise<Text> {
    const { bundle } = this;
    const read = async (path: string): Promise<string | null> => (bundle.ref(path) ? bundle.text(path, signal) : null);
    return loadText(read, this.args.parts.template);
  }
}

/** The error behind what was thrown: a device that is lost makes calls fail in many ways. */
async function causeOf(thrown: unknown, target: Target | null): Promise<GristmillError> {
  const error = runtimeError(thrown);
  const maybeLost = error.code === "internal" || error.code === "out-of-memory";
  return (maybeLost && (await target?.lossBehindError())) || error;
}

/** Throws the failure that was the cause of the others. */
function throwFirst(results: readonly PromiseSettledResult<unknown>[], signal: AbortSignal): void {
  if (signal.aborted) throw aborted();
  const errors = results.filter((r) => r.status === "rejected").map((r) => runtimeError(r.reason));
  const cause = errors.find((e) => e.code !== "aborted") ?? errors[0];
  if (cause) throw cause;
}
