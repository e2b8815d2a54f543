// What users hold: a model, wherever it lives.

import type {
  BundleInfo,
  CallOptions,
  ClassScore,
  Detection,
  DetectOptions,
  EmbedOptions,
  VideoSource,
  Similarity,
  GenerateOptions,
  GenerateResult,
  KernelInfo,
  KernelTimes,
  LoadOptions,
  LoadProgress,
  MemoryInfo,
  Message,
  ModelInfo,
  ImageSource,
  RunOptions,
  AudioSource,
  StoredBundle,
  Tensor,
  TensorInput,
  Tokenizer,
  TranscribeOptions,
  TranscribeResult,
} from "./api";
import { chat, type Chat } from "./chat";
import { aborted, makeError } from "./errors";
import type { Files } from "./fetched";
import { openHome, type Home } from "./home";
import { leaving, streamOf, type Stream } from "./link";
import { takeImages } from "./image";
import { CALL, checked, DETECT, EMBED, GENERATE, LOAD, RUN, TRANSCRIBE, wrong } from "./options";
import { findParts, folderOf } from "./parts";
import { isServer, report } from "./platform";
import { isText, NOTHING_TRANSCRIBED, NOTHING_WRITTEN, withoutImages } from "./prompt";
import type { LoadArgs, TaskArgs, WriteEvent } from "./protocol";
import { takeAudio } from "./audio";
import { takeItems } from "./items";
import { takeTensors } from "./tensors";
import { tokenizerBehind } from "./tokenizer";

/** Pieces of a text as they come, and at the end what came of it. */
export interface Writing<R> extends AsyncIterable<string> {
  /** Resolves when the text has ended; rejects with the error that ended it. */
  readonly result: Promise<R>;
}

/** A text that a model generates. */
export type Generation = Writing<GenerateResult>;

/** What is said in an audio file. */
export type Transcription = Writing<TranscribeResult>;

/** Where the engine is. */
type EngineOptions = Pick<LoadOptions, "worker" | "workerUrl" | "wasmUrl" | "baseUrl">;

/** A loaded model. Calls are served one after the other. */
export class Model {
  /** Chat completions in the shapes of OpenAI's interface. */
  readonly chat: Chat = chat(this);
  /** Texts to token ids and back. */
  readonly tokenizer: Tokenizer;
  private readonly home: Home;
  private readonly files: Files;
  private known: ModelInfo;
  private ended = false;

  private constructor(home: Home, info: ModelInfo) {
    this.home = home;
    this.tokenizer = tokenizerBehind(home.link);
    this.files = {
      readAudio: (file) => home.link.call("readAudio", { file }),
      kindOf: (file) => home.link.call("kindOf", { file }),
    };
    this.known = info;
  }

  /**
   * Loads the bundle in the folder at `url`, which is relative to the page; in Node.js, Bun and Deno it may be a path.
   * Rejects with one of the errors of this package; then nothing is left behind.
   */
  static async load(url: string | URL, options: LoadOptions = {}): Promise<Model> {
    const given = checked(LOAD, options);
    const { signal, onProgress, worker } = given;
    if (signal?.aborted) throw aborted();
    const args: LoadArgs = {
      base: folderOf(url),
      parts: findParts(given),
      // There is no storage of a browser, and files mostly lie on a disk already.
      cache: !isServer && (given.cache ?? true),
      backend: given.backend ?? "auto",
      threads: given.threads ?? null,
      simd: given.simd ?? "auto",
      profile: given.profile ?? null,
      without: given.without ?? [],
      limits: given.limits ?? {},
      recoveries: given.recoveries ?? 2,
    };
    const home = await openHome(args.parts, worker);
    // Whatever a listener does, loading goes on.
    const onEvent = (progress: LoadProgress): void => {
      try {
        onProgress?.(progress);
      } catch (e) {
        report(e);
      }
    };
    try {
      const info = await home.link.call("load", args, { signal, onEvent });
      if (signal?.aborted) throw aborted();
      const model = new Model(home, info);
      const onChange = (event: LoadProgress | { info: ModelInfo }): void => {
        if ("info" in event) model.known = event.info;
        else onEvent(event);
      };
      home.link.call("watch", null, { onEvent: onChange }).catch(() => {});
      return model;
    } catch (e) {
      // What did arrive is stored before the worker ends.
      void dispose(home).then(() => home.end());
      throw e;
    }
  }

  /**
   * Says what the bundle in the folder at `url` is, how large it is, and how much of it is stored, without loading it:
   * only its manifest is fetched.
   */
  static async inspect(
    url: string | URL,
    options: Pick<LoadOptions, "signal" | "cache"> & EngineOptions = {},
  ): Promise<BundleInfo> {
    const { signal, cache = true } = options;
    if (signal?.aborted) throw aborted();
    const args = { base: folderOf(url), cache: !isServer && cache };
    return briefly(options, (link) => link.call("inspect", args, { signal }));
  }

  /** What is loaded and where it runs. */
  info(): ModelInfo {
    return this.known;
  }

  /** Memory in use. */
  memory(): Promise<MemoryInfo> {
    return this.home.link.call("memory", null);
  }

  /** The kernels of the programs in use. */
  kernels(): Promise<KernelInfo[]> {
    return this.home.link.call("kernels", null);
  }

  /** The WGSL of a kernel; null if it is a part of a WebAssembly module, which has no text. */
  shader(name: string): Promise<string | null> {
    return this.home.link.call("shader", { name });
  }

  /**
   * What each kernel takes in the calls that `work` makes: on WebGPU by the adapter's clock, and rejected if that has no
   * `timestamp-query`; on WebAssembly by that of the browser. Calls are slower meanwhile.
   */
  async timeKernels(work: () => Promise<unknown>): Promise<KernelTimes> {
    await this.home.link.call("startTiming", null);
    try {
      await work();
    } catch (e) {
      await this.home.link.call("stopTiming", null).catch(() => {});
      throw e;
    }
    return this.home.link.call("stopTiming", null);
  }

  /**
   * Continues a prompt, or answers messages if the model has a chat template. The texts are the pieces as they come;
   * leaving the loop ends the generation.
   */
  generate(prompt: string | Message[], options: GenerateOptions = {}): Generation {
    let given: GenerateOptions;
    try {
      given = checked(GENERATE, options);
      if (typeof prompt !== "string" && !Array.isArray(prompt)) {
        throw wrong("prompt", "a text or a list of messages", prompt);
      }
    } catch (e) {
      return refused(e);
    }
    const { signal, onPrompt, images = [], ...sent } = given;
    if (isText(prompt, images)) {
      const args = { prompt, images: [], options: sent };
      return writing(this.home.link.stream("generate", args, { signal }), onPrompt);
    }
    const start = async (stop: AbortSignal, onEvent: (event: WriteEvent) => void): Promise<GenerateResult> => {
      const split = withoutImages(prompt, images);
      const taken = await unless(stop, takeImages(split.images, this.files, stop));
      if (!taken) return NOTHING_WRITTEN;
      const args = { prompt: split.prompt, images: taken.images, options: sent };
      return this.home.link.call("generate", args, { signal: stop, onEvent, transfer: taken.transfer });
    };
    return writing(streamOf(start, signal), onPrompt);
  }

  /**
   * Writes down what is said in an audio file. The texts are the pieces as they come, segment by segment where times are
   * marked or the audio file is longer than the model takes at once; leaving the loop ends it.
   */
  transcribe(audio: AudioSource, options: TranscribeOptions = {}): Transcription {
    let given: TranscribeOptions;
    try {
      given = checked(TRANSCRIBE, options);
    } catch (e) {
      return refused(e);
    }
    const { signal, onProgress, ...sent } = given;
    const rate = this.known.entries.find(({ task }) => task?.kind === "transcribe")?.task?.rate;
    const start = async (
      stop: AbortSignal,
      onEvent: (event: WriteEvent) => void,
    ): Promise<TranscribeResult> => {
      if (!rate) throw makeError("unsupported", "this model does not transcribe audio");
      const samples = await unless(stop, takeAudio(audio, rate, this.files, stop));
      if (!samples) return NOTHING_TRANSCRIBED;
      const args = { samples, options: sent };
      return this.home.link.call("transcribe", args, { signal: stop, onEvent, transfer: [samples.buffer] });
    };
    return writing(streamOf(start, signal), (done, total) => rate && onProgress?.(done / rate, total / rate));
  }

  /**
   * One vector per text. Behind the prompt of the model that `promptName` names, such as `query` or `document`, or else
   * behind its default, if it has one.
   */
  async embed(texts: string[], options: EmbedOptions = {}): Promise<Float32Array[]> {
    const { promptName = null, signal } = checked(EMBED, options);
    takeTexts(texts);
    return this.home.link.call("embed", { texts, promptName }, { signal });
  }

  /** Of which classes an image is, or a text for models of texts: all of them, the most certain first. */
  async classify(
    input: ImageSource | { text: string },
    options: CallOptions = {},
  ): Promise<ClassScore[]> {
    const { signal } = checked(CALL, options);
    // Blobs have a function of that name.
    const text = typeof input === "object" && "text" in input && typeof input.text === "string" ? input.text : null;
    const images = text === null ? [input as ImageSource] : [];
    const results = await this.perform("classify", images, text === null ? [] : [text], 0, signal);
    return results[0] as ClassScore[];
  }

  /** What is where in an image, with a score above `threshold` (default: 0.5), the most certain first. */
  async detect(
    image: ImageSource,
    options: DetectOptions = {},
  ): Promise<Detection[]> {
    const { threshold = 0.5, signal } = checked(DETECT, options);
    const results = await this.perform("detect", [image], [], threshold, signal);
    return results[0] as Detection[];
  }

  /** How well each of the texts fits to each of the images, videos or audio files, whichever the model compares. */
  async compare(
    items: (ImageSource | VideoSource | AudioSource)[],
    texts: string[],
    options: CallOptions = {},
  ): Promise<Similarity[]> {
    const { signal } = checked(CALL, options);
    if (!Array.isArray(items)) throw wrong("items", "a list of images, videos or audio files", items);
    takeTexts(texts);
    return (await this.perform("compare", items, texts, 0, signal)) as Similarity[];
  }

  private async perform(
    kind: TaskArgs["kind"],
    sources: (ImageSource | VideoSource | AudioSource)[],
    texts: string[],
    threshold: number,
    signal: AbortSignal | undefined,
  ): Promise<unknown[]> {
    if (signal?.aborted) throw aborted();
    const task = this.known.entries.find((entry) => entry.task?.kind === kind)?.task;
    const { items, transfer } = await takeItems(sources, task ?? {}, this.files, signal);
    return this.home.link.call("perform", { kind, items, texts, threshold }, { signal, transfer });
  }

  /** Calls an entry with tensors; with `null` the one that takes inputs of these names. */
  async run(
    entry: string | null,
    inputs: Record<string, TensorInput>,
    options: RunOptions = {},
  ): Promise<Record<string, Tensor>> {
    const given = checked(RUN, options);
    const args = { entry, inputs: takeTensors(inputs, entry, this.known.entries), options: given };
    return this.home.link.call("run", args);
  }

  /** Frees everything. Calls under way reject. Resolves when everything that was fetched is stored, too. */
  async dispose(): Promise<void> {
    if (this.ended) return;
    this.ended = true;
    await dispose(this.home);
    this.home.link.close(makeError("aborted", "the model was disposed of"));
    this.home.end();
  }

  /** For tests: takes the device away, as a driver that crashes does. */
  [Symbol.for("gristmill.loseDevice")](): Promise<null> {
    return this.home.link.call("loseDevice", null);
  }
}

/** The bundles that this origin has in the browser's storage, the last used first. */
export function storedBundles(options: EngineOptions = {}): Promise<StoredBundle[]> {
  return briefly(options, (link) => link.call("storedBundles", null));
}

/**
 * Deletes what is stored of a bundle, except for files that it shares with others; without a bundle, everything that
 * this origin has stored. Gives the number of bytes that this freed. A loaded model goes on, but its files are fetched
 * again at the next visit.
 */
export function deleteStored(
  bundle?: Pick<StoredBundle, "id">,
  options: EngineOptions = {},
): Promise<number> {
  return briefly(options, (link) => link.call("deleteStored", { id: bundle?.id ?? null }));
}

/** Asks an engine that ends afterwards: storage is opened where models are loaded, as browsers offer less in pages. */
async function briefly<T>(options: EngineOptions, ask: (link: Home["link"]) => Promise<T>): Promise<T> {
  const home = await openHome(findParts(options), options.worker);
  try {
    return await ask(home.link);
  } finally {
    home.end();
  }
}

/** Resolves when everything is freed, or the engine does not respond any more. */
async function dispose(home: Home): Promise<void> {
  await home.link.call("dispose", null, { signal: AbortSignal.abort() }).catch(() => {});
}

/** The pieces of a stream; its counts go to `count`. */
function writing<R>(stream: Stream<WriteEvent, R>, count?: (done: number, total: number) => void): Writing<R> {
  async function* pieces(): AsyncGenerator<string, void> {
    for await (const event of stream) {
      if ("piece" in event) yield event.piece;
      else count?.(event.done, event.total);
    }
  }
  const iterator = leaving(pieces(), () => void stream[Symbol.asyncIterator]().return?.());
  return { result: stream.result, [Symbol.asyncIterator]: () => iterator };
}

/** What is written where an error says why it is nothing. */
function refused<R>(error: unknown): Writing<R> {
  return writing(streamOf<WriteEvent, R>(() => Promise.reject(error as Error)));
}

function takeTexts(texts: unknown): void {
  const found = Array.isArray(texts) && texts.every((text) => typeof text === "string");
  if (!found) throw wrong("texts", "a list of texts", texts);
}

/** What a task brings; nothing as soon as nobody waits for it any more. */
function unless<T>(signal: AbortSignal, task: Promise<T>): Promise<T | null> {
  return new Promise((resolve, reject) => {
    const give = (): void => resolve(null);
    signal.addEventListener("abort", give, { once: true });
    if (signal.aborted) give();
    task.then(resolve, reject).finally(() => signal.removeEventListener("abort", give));
  });
}
