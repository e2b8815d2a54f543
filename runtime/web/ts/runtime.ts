// The WebAssembly part: loading it, and the JSON that it speaks. See `src/runtime.rs` for the other side.

import init, { fileKind, readWave, Runtime, version } from "../pkg/gristmill_web.js";

import type { EmbeddingInfo, ModelInfo, StopReason, TranscribeResult } from "./api";
import { asError, fromPlain, type GristmillError, type PlainError } from "./errors";
import type { FileRef } from "./load/contract";
import { fetchOwn, ownFile } from "./own";
import { blocked } from "./refusal";
import type { Piece, WeightTensor } from "./load/weights";

export { fileKind, readWave, Runtime, version };

/** How texts become vectors, as `Runtime.info` gives it. */
export interface EmbeddingSettings extends EmbeddingInfo {
  /** Whether tokens of a prompt are left out of pooling, so that `Runtime.embed` has to know how many there are. */
  leavesOutPrompt: boolean;
}

/** What the manifest says, as `Runtime.info` gives it. */
export interface ManifestInfo
  extends Omit<
    ModelInfo,
    | "embedding"
    | "formats"
    | "generation"
    | "backend"
    | "choice"
    | "profile"
    | "adapter"
    | "cpu"
    | "offloaded"
    | "version"
  > {
  embedding: EmbeddingSettings | null;
  profiles: string[];
}

/** What loading weights takes, as `Runtime.weights` gives it. */
export interface WeightPlan {
  shards: FileRef[];
  pieces: Piece[][];
  tensors: WeightTensor[];
}

/** The kernels for a page, as `Runtime.kernelModule` gives them. */
export interface KernelModule {
  file: string;
  /** Bytes of linear memory that the bundle takes. */
  reserve: number;
}

/** Kernels that are instantiated, as `Runtime.openInstance` takes them. */
export interface MachineSetup {
  heapBase: number;
  scratchBytes: number;
  workers: number;
  spin: number;
  features: string[];
  limit: number;
}

/** What a call of the model's main task costs, as `Runtime.cost` gives it. */
export interface Cost {
  /** Kernels that are started. */
  steps: number;
  /** Bytes of weights that are read. */
  bytes: number;
  /** Weights that each token is multiplied by. */
  weights: number;
  /** Tokens of a call; null if it takes a whole text. */
  tokens: number | null;
}

/** Options of a generation, as `Runtime.generate` takes them. */
export interface FullGenerateOptions {
  maxNewTokens: number;
  temperature: number;
  topK: number;
  topP: number;
  minP: number;
  repetitionPenalty: number;
  seed: number;
  stop: string[];
  stopTokens: number[];
  ignoreEos: boolean;
}

/** What a generation brought, as `Runtime.generate` gives it. */
export interface Generated {
  tokens: number[];
  reason: StopReason;
  promptTokens: number;
  prefillMs: number;
  decodeMs: number;
}

/** What is said in an audio file, as `Runtime.transcribe` gives it. */
export type Transcribed = Omit<TranscribeResult, "recoveries">;

/** Where the runtime gets files from while it runs. */
export interface RuntimeFiles {
  /** The verified text at a path. */
  text(path: string): Promise<string>;
}

let memory: Promise<WebAssembly.Memory> | null = null;

/** Loads the module at an address; once, whatever addresses later calls name. */
export function loadRuntime(address: string): Promise<WebAssembly.Memory> {
  memory ??= start(address);
  // The next attempt may find the network in a better state.
  memory.catch(() => (memory = null));
  return memory;
}

async function start(address: string): Promise<WebAssembly.Memory> {
  const response = await fetchOwn(address);
  try {
    return (await init({ module_or_path: response })).memory;
  } catch (e) {
    // Safari's engine lets small modules pass.
    if (/content security policy/i.test((e as Error).message)) throw blocked(e);
    throw ownFile(address, `is no WebAssembly that this browser takes (${(e as Error).message})`, {}, e);
  }
}

/** Whatever the runtime threw, as one of our errors. */
export function runtimeError(thrown: unknown): GristmillError {
  const plain = thrown as Partial<PlainError> | null;
  if (typeof plain === "object" && plain && !(thrown instanceof Error) && plain.code) {
    return fromPlain({ code: plain.code, message: plain.message ?? "", details: plain.details ?? {} });
  }
  return asError(thrown);
}
