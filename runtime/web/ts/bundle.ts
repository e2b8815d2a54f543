// A bundle whose manifest is read: its files, verified, and the runtime that knows what they mean.

import { makeError } from "./errors";
import type { FileRef, Source } from "./load/contract";
import type { Meter } from "./load/meter";
import { readManifest } from "./manifest";
import { Runtime, runtimeError, type ManifestInfo, type RuntimeFiles, type WeightPlan } from "./runtime";

/** Name of the programs for the CPU. */
export const WASM_PROFILE = "wasm";

/** A bundle in a page. */
export class Bundle {
  readonly runtime: Runtime;
  readonly manifest: ManifestInfo;
  /** Bytes of weights by their format. */
  readonly formats: Record<string, number>;
  readonly plan: WeightPlan;
  readonly source: Source;
  readonly meter: Meter;
  /** Kernels of entries that are first called later are fetched then, so no signal of loading ends these. */
  readonly files: RuntimeFiles = { text: (path) => this.text(path, undefined) };

  constructor(source: Source, meter: Meter, manifest: Uint8Array) {
    this.source = source;
    this.meter = meter;
    this.runtime = guard(() => new Runtime(manifest));
    this.manifest = JSON.parse(this.runtime.info()) as ManifestInfo;
    this.formats = readManifest(manifest).formats;
    this.plan = JSON.parse(this.runtime.weights()) as WeightPlan;
  }

  /** Whether there are programs for the CPU. */
  get hasWasm(): boolean {
    return this.manifest.profiles.includes(WASM_PROFILE);
  }

  /** Whether there are programs for WebGPU. */
  get hasWebGPU(): boolean {
    return this.manifest.profiles.some((profile) => profile !== WASM_PROFILE);
  }

  /** What the manifest says of a file; null if it does not list it. */
  ref(path: string): FileRef | null {
    const json = this.runtime.file(path);
    return json === undefined ? null : (JSON.parse(json) as FileRef);
  }

  /** The verified content of a file that the manifest lists. */
  file(path: string, signal: AbortSignal | undefined): Promise<Uint8Array<ArrayBuffer>> {
    const ref = this.ref(path);
    if (!ref) return Promise.reject(makeError("bundle", `${path}: not in this bundle`, { file: path }));
    this.meter.expect([ref]);
    this.source.needs([ref]);
    return this.source.file(ref, signal);
  }

  /** The same as text. */
  async text(path: string, signal: AbortSignal | undefined): Promise<string> {
    return new TextDecoder().decode(await this.file(path, signal));
  }

  /** Makes the programs of a profile those that run. */
  async setPrograms(profile: string, signal: AbortSignal): Promise<void> {
    const path = this.runtime.programsPath(profile);
    const programs = await this.file(path, signal);
    guard(() => this.runtime.setPrograms(path, programs));
  }

  /**
   * Lets go of what the runtime has. The runtime's memory holds kernels, buffers and this bundle, and is no garbage as
   * long as it does. A call under way keeps what it needs until it ends; later ones throw.
   */
  close(): void {
    this.runtime.free();
  }

  /** Says that all weights will be needed. */
  expectWeights(): void {
    this.meter.expect(this.plan.shards);
    this.source.needs(this.plan.shards);
  }
}

/** Calls the runtime; what it throws becomes one of our errors. */
export function guard<T>(call: () => T): T {
  try {
    return call();
  } catch (e) {
    throw runtimeError(e);
  }
}
