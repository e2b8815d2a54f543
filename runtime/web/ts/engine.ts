// The side that has the model: what the calls of the public interface do. Runs in a worker, or beside the page's code.

import type {
  GenerateOptions,
  GenerateResult,
  LoadProgress,
  MemoryInfo,
  ModelInfo,
  RunOptions,
  Tensor,
  TranscribeOptions,
  TranscribeResult,
} from "./api";
import { makeError } from "./errors";
import { serve, type Handlers, type Port } from "./link";
import type { Source } from "./load/contract";
import { Loaded, type LoadArgs } from "./loaded";
import type { SentPicture } from "./picture";
import { embed } from "./tasks/embed";
import { generate } from "./tasks/generate";
import { perform, type TaskArgs } from "./tasks/perform";
import { kindOf, readRecording, type Wave } from "./tasks/read";
import { transcribe } from "./tasks/transcribe";
import type { WriteEvent } from "./tasks/write";

/** Options of a generation that can be sent to a worker. */
export type SentGenerateOptions = Omit<GenerateOptions, "signal" | "onPrompt" | "images">;

/** Options of the chat template. */
export type TemplateOptions = Pick<
  GenerateOptions,
  "tools" | "documents" | "continueFinalMessage" | "chatTemplate" | "templateVariables"
>;

/** A message without the pictures that it is about, which are sent beside it. */
export interface SentMessage {
  role: string;
  content?: string | ({ type: "text"; text: string } | { type: "image" })[] | null;
  [entry: string]: unknown;
}

/** Options of writing down a recording that can be sent to a worker. */
export type SentTranscribeOptions = Omit<TranscribeOptions, "signal" | "onProgress">;

/** The calls between page and engine. */
export type Calls = {
  load: { args: LoadArgs; result: ModelInfo; event: LoadProgress };
  /** Reports lost devices being replaced, and by what, for as long as the model lives. */
  watch: { args: null; result: null; event: LoadProgress | { info: ModelInfo } };
  generate: {
    args: { prompt: string | SentMessage[]; pictures: SentPicture[]; options: SentGenerateOptions };
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
  /** The recording in a file, or null if the browser has to decode it. */
  readRecording: { args: { file: Blob }; result: Wave | null };
  /** What a file is. */
  kindOf: { args: { file: Blob }; result: string | null };
  memory: { args: null; result: MemoryInfo };
  dispose: { args: null; result: null };
  /** For tests. */
  loseDevice: { args: null; result: null };
};

/** Answers the calls that come through a port. */
export function serveEngine(port: Port): () => void {
  return serve<Calls>(port, handlers());
}

function handlers(): Handlers<Calls> {
  let model: Loaded | null = null;
  /** Resolves when what was fetched is stored. */
  let stored = (): Promise<void> => Promise.resolve();
  /** Ends when all calls so far have ended: the runtime takes one at a time. */
  let turn: Promise<unknown> = Promise.resolve();

  let disposed = false;
  const loaded = (): Loaded => {
    if (model) return model;
    if (disposed) throw makeError("aborted", "the model was disposed of");
    throw makeError("internal", "no model is loaded here");
  };
  function inTurn<T>(task: (model: Loaded) => Promise<T>): Promise<T> {
    const mine = turn.then(() => task(loaded()));
    turn = mine.catch(() => {});
    return mine;
  }

  return {
    load: async (args, context) => {
      const opened = (source: Source): void => void (stored = () => source.settled());
      model = await Loaded.load(args, context.signal, (progress) => context.emit(progress), opened);
      return model.info;
    },
    watch: (_, context) => loaded().watch((event) => context.emit(event)),
    generate: (args, context) => inTurn((model) => generate(model, args, context)),
    transcribe: (args, context) => inTurn((model) => transcribe(model, args, context)),
    embed: (args, { signal }) => inTurn((model) => embed(model, args.texts, args.promptName, signal)),
    perform: (args, { signal }) => inTurn((model) => perform(model, args, signal)),
    run: (args) => inTurn((model) => model.run(args.entry, args.inputs, args.options)),
    readRecording: async ({ file }, context) => {
      const read = await readRecording(file);
      if (read) context.transfer([read.samples.buffer]);
      return read;
    },
    kindOf: ({ file }) => kindOf(file),
    memory: async () => loaded().memory(),
    dispose: async () => {
      model?.dispose();
      model = null;
      disposed = true;
      // The worker may end after this, and what it has not stored would be fetched again.
      await stored();
      return null;
    },
    loseDevice: async () => {
      loaded().loseDevice();
      return null;
    },
  };
}
