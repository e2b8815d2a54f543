// What page and engine say to each other.

import type {
  BundleInfo,
  ChatTemplateOptions,
  GenerateOptions,
  GenerateResult,
  KernelInfo,
  KernelTimes,
  LoadProgress,
  MemoryInfo,
  ModelInfo,
  RunOptions,
  StoredBundle,
  TaskInfo,
  Tensor,
  TranscribeOptions,
  TranscribeResult,
} from "./api";
import type { SentImage } from "./image";
import type { Parts } from "./parts";
import type { PickArgs } from "./pick";
import type { Wave } from "./tasks/read";

/** How a bundle is loaded, as it can be sent to a worker. */
export interface LoadArgs extends PickArgs {
  base: string;
  parts: Parts;
  cache: boolean;
  recoveries: number;
}

/** Options of a generation that can be sent to a worker. */
export type SentGenerateOptions = Omit<GenerateOptions, "signal" | "onPrompt" | "images">;

/** A message without the images that it is about, which are sent beside it. */
export interface SentMessage {
  role: string;
  content?: string | ({ type: "text"; text: string } | { type: "image" })[] | null;
  [entry: string]: unknown;
}

/** Options of writing down an audio file that can be sent to a worker. */
export type SentTranscribeOptions = Omit<TranscribeOptions, "signal" | "onProgress">;

/** What is reported of a text: pieces of it, and how much of what it follows from is done. */
export type WriteEvent = { piece: string } | { done: number; total: number };

/** An image, the images of a video, or the samples of an audio file. */
export type Item = SentImage | SentImage[] | Float32Array;

/** A task as it can be sent to a worker. */
export interface TaskArgs {
  kind: Exclude<TaskInfo["kind"], "transcribe" | "generate">;
  items: Item[];
  texts: string[];
  threshold: number;
}

/** The calls between page and engine. */
export type Calls = {
  load: { args: LoadArgs; result: ModelInfo; event: LoadProgress };
  /** What is at an address, and stored of it. */
  inspect: { args: { base: string; cache: boolean }; result: BundleInfo };
  storedBundles: { args: null; result: StoredBundle[] };
  /** Gives the bytes that were freed; without an id by all bundles. */
  deleteStored: { args: { id: string | null }; result: number };
  /** Reports lost devices being replaced, and by what, for as long as the model lives. */
  watch: { args: null; result: null; event: LoadProgress | { info: ModelInfo } };
  generate: {
    args: { prompt: string | SentMessage[]; images: SentImage[]; options: SentGenerateOptions };
    result: GenerateResult;
    event: WriteEvent;
  };
  transcribe: {
    args: { samples: Float32Array; options: SentTranscribeOptions };
    result: TranscribeResult;
    event: WriteEvent;
  };
  embed: { args: { texts: string[]; promptName: string | null }; result: Float32Array[] };
  perform: { args: TaskArgs; result: unknown[] };
  run: {
    args: { entry: string | null; inputs: Record<string, Tensor>; options: RunOptions };
    result: Record<string, Tensor>;
  };
  /** The audio file in a file, or null if the browser has to decode it. */
  readAudio: { args: { file: Blob }; result: Wave | null };
  /** What a file is. */
  kindOf: { args: { file: Blob }; result: string | null };
  /** Token ids of a text; with the special tokens around it, if they are wanted. */
  encode: { args: { text: string; special: boolean }; result: number[] };
  /** The text of token ids; with special tokens, if they are wanted. */
  decode: { args: { ids: number[]; special: boolean }; result: string };
  applyChatTemplate: { args: { messages: SentMessage[]; options: ChatTemplateOptions }; result: string };
  memory: { args: null; result: MemoryInfo };
  kernels: { args: null; result: KernelInfo[] };
  shader: { args: { name: string }; result: string | null };
  startTiming: { args: null; result: null };
  stopTiming: { args: null; result: KernelTimes };
  dispose: { args: null; result: null };
  /** For tests. */
  loseDevice: { args: null; result: null };
};
