// The types that users of the package see. What they mean in detail stands in docs/javascript.md.

/** How a bundle is loaded. */
export interface LoadOptions {
  /** Called as loading goes on, at most some twenty times a second. */
  onProgress?: (progress: LoadProgress) => void;
  /** Ends loading; the promise rejects with an {@link AbortedError}. */
  signal?: AbortSignal;
  /** What executes the model. `auto`, the default, takes WebGPU unless WebAssembly is expected to be faster. */
  backend?: "auto" | "webgpu" | "wasm";
  /** WebAssembly: most threads that compute. Default: as many as the device has cores, but not more than 8. */
  threads?: number;
  /** WebAssembly: which instructions are used. Default: `auto`, the best that the browser has. */
  simd?: "auto" | "baseline" | "relaxed";
  /** Whether files are kept in the browser's storage and taken from there. Default: true, where there is a browser. */
  cache?: boolean;
  /** Whether the model lives in a worker, so that the page never stalls. Default: true, where workers can be started. */
  worker?: boolean;
  /** Folder with copies of this package's files, for bundlers that do not copy them. Default: that of this script. */
  baseUrl?: string | URL;
  /** Address of the script `engine.js`, which runs in all workers. Default: in `baseUrl`. */
  workerUrl?: string | URL;
  /** Address of `gristmill_web_bg.wasm`. Default: in `baseUrl`. */
  wasmUrl?: string | URL;
  /** The programs to run, such as `firefox`. Default: what fits the browser. */
  profile?: string;
  /** WebGPU features that are not to be used although the adapter has them, such as `subgroups`. */
  without?: string[];
  /** Limits of the adapter that count as lower than they are, by their WebGPU names, to see what happens on others. */
  limits?: Record<string, number>;
  /** How often a lost device is replaced without progress in between before the error is reported. Default: 2. */
  recoveries?: number;
}

/** The state of loading. */
export interface LoadProgress {
  /**
   * What is being waited for. `recover` instead of `weights` when a lost device is being replaced; `lost` if that
   * failed, until the next call tries again.
   */
  phase: "start" | "weights" | "recover" | "lost" | "ready";
  /** Bytes of the bundle that are there, from wherever. */
  loadedBytes: number;
  /** Bytes of the bundle that are needed. */
  totalBytes: number;
  /** Bytes of `loadedBytes` that came from the browser's storage. */
  cachedBytes: number;
  /** Kernels that are compiled, of `totalKernels`. */
  kernels: number;
  /** Kernels that are needed at the start. */
  totalKernels: number;
}

/** What a model can do. `run` is always there. */
export type Task = "generate" | "chat" | "embed" | "classify" | "detect" | "compare" | "transcribe" | "run";

/** The pixels of an image, as `ImageData` has them: four bytes for each, red, green, blue and alpha, row by row. */
export interface Pixels {
  readonly data: Uint8ClampedArray | Uint8Array;
  readonly width: number;
  readonly height: number;
}

/** An `ImageBitmap`. */
export interface Bitmap {
  readonly width: number;
  readonly height: number;
  close(): void;
}

/** An element `<img>`. Threads without a page have no types for these. */
export interface ImageElement {
  readonly naturalWidth: number;
  readonly naturalHeight: number;
  readonly currentSrc: string;
}

/** An `AudioBuffer`. */
export interface DecodedAudio {
  readonly length: number;
  readonly sampleRate: number;
  readonly numberOfChannels: number;
  getChannelData(channel: number): Float32Array;
}

/** An image, or the address of one. */
export type ImageSource = string | URL | Blob | Pixels | Bitmap | ImageElement;

/** Samples of one channel, from -1 to 1, so many per second. */
export interface Samples {
  samples: Float32Array;
  rate: number;
}

/** An audio file: a file of a kind that the browser plays, the address of one, or what is in it. */
export type AudioSource = string | URL | Blob | ArrayBuffer | DecodedAudio | Samples;

/** A video: images in their order, or a file of a kind that the browser plays, or the address of one. */
export type VideoSource = { frames: ImageSource[] } | { video: string | URL | Blob };

/** A class and how certain the model is of it. */
export interface ClassScore {
  /** Name of the class; its number if it has none. */
  label: string;
  /** Number of the class. */
  class: number;
  /** 0 to 1. */
  score: number;
}

/** Something that was found in an image. */
export interface Detection extends ClassScore {
  /** Left, top, right and bottom, in pixels of the image. */
  box: [number, number, number, number];
}

/** How well texts fit to an image, a video or an audio file; all lists are in the order of the texts. */
export interface Similarity {
  /** As the model gives it. */
  similarity: number[];
  /** 0 to 1; all together are 1. */
  probability: number[];
}

/** What an entry is for. */
export interface TaskInfo {
  kind: "classify" | "detect" | "compare" | "transcribe" | "generate";
  inputs: ("image" | "video" | "text" | "audio")[];
  /** Samples per second of the audio files that it takes. */
  rate?: number;
  /** How many images of a video it looks at. */
  frames?: number;
  /** Length of a window, which is transcribed at once. */
  seconds?: number;
  /** The token that stands for an image in a prompt. */
  token?: number;
  /** The text that stands for an image in a prompt, if not that token alone. */
  placeholder?: string;
  /** Whether the text is generated token by token, for which a tokenizer is needed; otherwise it comes from CTC decoding. */
  generates?: boolean;
  /** Whether the model can mark times. */
  timestamps?: boolean;
  /** What callers choose of that text, such as `language`. */
  choices?: ChoiceInfo[];
}

/** Something that callers choose by a word. */
export interface ChoiceInfo {
  name: string;
  /** The words. */
  values: string[];
  /** The one that counts if nothing is said; null if the model then finds out itself. */
  default: string | null;
}

/** Where a tensor of an entry stands, and its shape over symbols such as `B` and `T`. */
export interface TensorInfo {
  name: string;
  elem: "f32" | "i32";
  shape: string[];
  /** Whether a call may leave it out. Only for inputs. */
  optional?: boolean;
}

/** A way to call the model with tensors. */
export interface EntryInfo {
  name: string;
  role: string;
  inputs: TensorInfo[];
  outputs: TensorInfo[];
  /** Names of the components whose weights it needs. */
  components: string[];
  /** What people use it for; null if it is for tensors only. */
  task: TaskInfo | null;
}

/** A part of a model, such as a vision tower. */
export interface ComponentInfo {
  name: string;
  /** Bytes of its weights as stored. */
  bytes: number;
}

/** What a bundle is, before any of it but the manifest is fetched. */
export interface BundleInfo extends Pick<ModelInfo, "name" | "architecture" | "precision" | "formats" | "parameters"> {
  /** What its files are stored under, see {@link StoredBundle}. */
  id: string;
  /** Bytes of all weights as stored. */
  weightBytes: number;
  /** Bytes of weights and tokenizer. Programs and kernels, which depend on the device, come on top. */
  downloadBytes: number;
  /** Bytes of these that are in the browser's storage. */
  storedBytes: number;
}

/** A bundle in the browser's storage. */
export interface StoredBundle {
  /** What its files are stored under; empty for files of bundles that have changed since. */
  id: string;
  /** Name of the model; empty for files of bundles that have changed since. */
  name: string;
  /** Bytes of all of its files that are stored. */
  bytes: number;
  /** Bytes of these that other stored bundles consist of as well. They stay when this one is deleted. */
  sharedBytes: number;
  /** When it was last loaded, in milliseconds since 1970; null if that is not known. */
  lastUsed: number | null;
}

/** What is loaded and where it runs. */
export interface ModelInfo {
  name: string;
  architecture: string;
  /** The precision policy that the bundle was compiled with. */
  precision: string;
  /** Bytes of weights by the format in which they are stored, such as `q4.g32`. */
  formats: Record<string, number>;
  /** Number of weights. */
  parameters: number;
  /** Bytes of all weights as stored. */
  weightBytes: number;
  /** Most tokens of a conversation. */
  maxContext: number;
  /** How texts become vectors; null if the model does not embed texts. */
  embedding: EmbeddingInfo | null;
  /** What the model's `generation_config.json` says about sampling: options for `generate`, which are not its defaults. */
  generation: GenerationDefaults;
  /** The parts of the model, whose weights are in files of their own; one, called `model`, if it is not divided. */
  components: ComponentInfo[];
  tasks: Task[];
  entries: EntryInfo[];
  /** What executes the model; after the loss of a GPU that may be another than before. */
  backend: "webgpu" | "wasm";
  /** Why it is this one. */
  choice: BackendChoice;
  /** The programs in use. */
  profile: string;
  /** The graphics adapter; null if the model runs by WebAssembly. */
  adapter: AdapterInfo | null;
  /** What is used of the CPU; null if all of the model runs by WebGPU. */
  cpu: CpuInfo | null;
  /** What exceeds limits of the adapter and runs by WebAssembly instead, for people; empty if nothing does. */
  offloaded: string[];
  /** Version of the runtime. */
  version: string;
}

/** Options that a model comes with. */
export type GenerationDefaults = Pick<
  GenerateOptions,
  "maxNewTokens" | "temperature" | "topK" | "topP" | "minP" | "repetitionPenalty"
>;

/** How texts become vectors. */
export interface EmbeddingInfo {
  /** Most tokens of a text; what is longer is cut. */
  maxTokens: number;
  /** Texts that can be put in front of others, by name: `query` and `document`, which may be empty, and the model's own. */
  prompts: Record<string, string>;
  /** The name of the one that is used unless the caller names another. */
  defaultPrompt: string | null;
  /** How the model's vectors are compared; with distances, less is closer. */
  similarity: "cosine" | "dot" | "euclidean" | "manhattan";
}

/** Options of turning texts into vectors. */
export interface EmbedOptions {
  /** Which of the model's prompts is put in front of the texts, such as `query` or `document`. Default: the model's. */
  promptName?: string;
  signal?: AbortSignal;
}

/** Options of classifying and comparing. */
export interface CallOptions {
  signal?: AbortSignal;
}

/** Options of finding things in images. */
export interface DetectOptions {
  /** Least score of what is told. Default: 0.5. */
  threshold?: number;
  signal?: AbortSignal;
}

/** Why a model runs where it runs. */
export interface BackendChoice {
  backend: "webgpu" | "wasm";
  /** What the caller asked for. */
  asked: "auto" | "webgpu" | "wasm";
  /** For people. */
  reason: string;
  /** Milliseconds that a call was expected to take, if that was what decided: measured now or on an earlier visit. */
  estimates: { webgpuMs: number; wasmMs: number } | null;
}

/** What WebAssembly uses of the CPU. */
export interface CpuInfo {
  /** Threads that compute. */
  threads: number;
  simd: "baseline" | "relaxed";
  /** Why there is one thread only, for people. */
  single?: string;
}

/** The graphics adapter, as far as the browser tells. */
export interface AdapterInfo {
  vendor: string;
  architecture: string;
  description: string;
  /** Whether the browser computes on the CPU. */
  fallback: boolean;
  /** WebGPU features in use. */
  features: string[];
  limits: Record<string, number>;
}

/** Memory in bytes. */
export interface MemoryInfo {
  /** Buffers of the device, or in the memory of kernels: weights, states (KV caches), and everything else. */
  weights: number;
  states: number;
  scratch: number;
  /** All buffers of the device now, and the most there ever was. By WebAssembly the kernels' memory, which only grows. */
  total: number;
  peak: number;
  /** The memory of the runtime itself. */
  wasm: number;
}

/** A kernel of the programs in use. */
export interface KernelInfo {
  name: string;
  /** The nodes of the graph that one of its steps computes. */
  nodes: string;
  /** What runs it. */
  backend: "webgpu" | "wasm";
  /** Path in the bundle: a shader, or the module that has all kernels. */
  file: string;
}

/** What the steps of a kernel take. */
export interface KernelTime extends KernelInfo {
  /** How often it ran. */
  steps: number;
  /** Milliseconds of all of its steps together. */
  ms: number;
}

/** What all kernels take, the longest first. */
export interface KernelTimes {
  /** Milliseconds of all kernels together. */
  ms: number;
  kernels: KernelTime[];
}

/** A part of a message: a text, or an image where the model is to see one. */
export type MessagePart = { type: "text"; text: string } | { type: "image"; image: ImageSource };

/** One message of a conversation. */
export interface Message {
  role: string;
  /** May be missing where other entries say everything, such as calls of tools. */
  content?: string | MessagePart[] | null;
  /** Further entries that the chat template may know: `tool_calls`, `name`, `reasoning_content`, .. */
  [entry: string]: unknown;
}

/** What the chat template of a model is given besides messages. */
export interface TemplateOptions {
  /** Tools that the model may call, as JSON schemas, for the chat template. Calls are part of the text. */
  tools?: object[];
  /** Documents for the chat template. */
  documents?: object[];
  /** Leaves the last message open, and continues it instead of beginning a new one. */
  continueFinalMessage?: boolean;
  /** The name of a chat template, if the model has several. */
  chatTemplate?: string;
  /** Further variables of the chat template, such as `enable_thinking`. */
  templateVariables?: Record<string, unknown>;
}

/** How messages become a prompt. */
export interface ChatTemplateOptions extends TemplateOptions {
  /** Whether the prompt ends where the assistant begins. Default: true, as in `generate`. */
  addGenerationPrompt?: boolean;
}

/** How a text becomes token ids. */
export interface EncodeOptions {
  /** Whether the special tokens are added that the model has around texts. Default: true. */
  addSpecialTokens?: boolean;
}

/** How token ids become a text. */
export interface DecodeOptions {
  /** Whether special tokens are left out. Default: true. */
  skipSpecialTokens?: boolean;
}

/** Texts to token ids and back. Models that lack what a method needs reject it (`unsupported`). */
export interface Tokenizer {
  /** The token ids of a text. */
  encode(text: string, options?: EncodeOptions): Promise<number[]>;
  /** The text of token ids, all of which must exist. */
  decode(ids: ArrayLike<number | bigint>, options?: DecodeOptions): Promise<string>;
  /**
   * The prompt that `generate` makes of messages. It has its special tokens already: its token ids are those of
   * `encode(prompt, { addSpecialTokens: false })`.
   */
  applyChatTemplate(messages: Message[], options?: ChatTemplateOptions): Promise<string>;
}

/** How text is generated. */
export interface GenerateOptions extends TemplateOptions {
  /**
   * Images that the text is about. A prompt says where they are by the model's own marks; those that it does not
   * mention stand in front of it, or in front of the last message.
   */
  images?: ImageSource[];
  /** Most tokens to generate. Default: 256. */
  maxNewTokens?: number;
  /** 0, the default, takes the best token every time. */
  temperature?: number;
  topK?: number;
  topP?: number;
  minP?: number;
  repetitionPenalty?: number;
  /** Equal seeds give equal texts. Default: a new one each time. */
  seed?: number;
  /** Texts that end the generation and are not shown. */
  stop?: string | string[];
  /** Token ids that end it, besides the model's own. */
  stopTokens?: number[];
  /** Goes on after the model's end token. */
  ignoreEos?: boolean;
  /** Ends it; the stream then ends without an error and `result` says `aborted`. */
  signal?: AbortSignal;
  /** Called as a long prompt is computed. */
  onPrompt?: (done: number, total: number) => void;
}

/** Why a generation ended. */
export type StopReason = "end" | "stop" | "length" | "context" | "aborted";

/** What a generation brought. */
export interface GenerateResult {
  text: string;
  /** Token ids, without the end token. */
  tokens: number[];
  reason: StopReason;
  promptTokens: number;
  /** Milliseconds until the first token. */
  prefillMs: number;
  /** Milliseconds for the others. */
  decodeMs: number;
  /** Devices that were lost and replaced on the way. */
  recoveries: number;
}

/** How an audio file is written down: options of the text that is generated, unless the model uses CTC decoding. */
export interface TranscribeOptions extends Omit<GenerateOptions, "maxNewTokens" | "onPrompt" | "images"> {
  /** Most tokens of a window. Default: as many as the model can. */
  maxNewTokens?: number;
  /** Language that is spoken, such as `en`, for models that know several; left out, the model finds out. */
  language?: string;
  /** What to do with speech, such as `translate`, for models that can do several things. */
  task?: string;
  /**
   * Whether times are marked: `true` for those of segments, `"word"` also for those of words. Left out, an audio file that is
   * transcribed at once is one segment.
   */
  returnTimestamps?: boolean | "word";
  /** Called before each window of a long audio file, with the seconds that are transcribed, and all there are. */
  onProgress?: (done: number, total: number) => void;
}

/** A word of a segment. */
export interface TranscribedWord {
  /** Seconds. */
  start: number;
  end: number;
  /** With the punctuation around it, and the space in front of it if there is one. */
  text: string;
}

/** Something that is said without a break; where no times are marked, a complete window. */
export interface TranscribedSegment {
  /** Seconds. */
  start: number;
  end: number;
  text: string;
  /** Token ids, without those of times and the end token; none for CTC models. */
  tokens: number[];
  /** Its words, with `returnTimestamps: "word"`. */
  words?: TranscribedWord[];
}

/** What is said in an audio file. */
export interface TranscribeResult {
  text: string;
  /** The same by segments. */
  segments: TranscribedSegment[];
  /** What was chosen, by the caller or else by the model, such as `{ language: "en", task: "transcribe" }`. */
  choices: Record<string, string>;
  /** `end`, `aborted`, or how the last window ended that did not end by itself. */
  reason: StopReason;
  /** Devices that were lost and replaced on the way. */
  recoveries: number;
}

/** A tensor: elements row-major. */
export interface Tensor {
  data: Float32Array | Int32Array;
  shape: number[];
}

/** Numbers in lists, nested once per dimension; all lists of a level have the same length. */
export type NestedNumbers = (number | bigint | NestedNumbers)[];

/**
 * A tensor as `run` takes it: elements row-major with their shape, or nested lists. Lists and 64-bit integers are
 * converted to the elements of the input, which must hold them.
 */
export type TensorInput =
  | { data: Float32Array | Int32Array | BigInt64Array | (number | bigint)[]; shape: number[] }
  | NestedNumbers;

/** How tensors are computed. */
export interface RunOptions {
  /** Also decodes this many tokens: `greedy.tokens` and `greedy.logits`. */
  greedy?: number;
  /** Gives intermediate values as further outputs. */
  taps?: boolean;
}
