// The side that has the model: what the calls of the public interface do. Runs in a worker, or beside the page's code.

import { aborted, makeError } from "./errors";
import { serve, type Handlers, type Port } from "./link";
import type { Source } from "./load/contract";
import { manifestKey, openSource } from "./load/source";
import { openStore } from "./load/store";
import { Loaded } from "./loaded";
import { NOTHING_TRANSCRIBED, NOTHING_WRITTEN } from "./prompt";
import type { Calls } from "./protocol";
import { deleteStored, describe, storedBundles } from "./stored";
import { embed } from "./tasks/embed";
import { generate } from "./tasks/generate";
import { perform } from "./tasks/perform";
import { kindOf, readAudio } from "./tasks/read";
import { decode, encode, render } from "./tasks/tokenize";
import { transcribe } from "./tasks/transcribe";

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
  /** Does something when it is its turn. If nobody wants it any more by then, `unwanted` is what comes of it, at once. */
  function inTurn<T>(
    task: (model: Loaded) => Promise<T>,
    signal?: AbortSignal,
    unwanted: () => T = refuse,
  ): Promise<T> {
    return new Promise((resolve, reject) => {
      let begun = false;
      const leave = (): void => {
        if (begun) return;
        begun = true;
        try {
          resolve(unwanted());
        } catch (e) {
          reject(e as Error);
        }
      };
      signal?.addEventListener("abort", leave, { once: true });
      turn = turn.then(async () => {
        if (begun) return;
        begun = true;
        const mine = (async () => task(loaded()))();
        mine.then(resolve, reject);
        await mine.catch(() => {});
      });
      if (signal?.aborted) leave();
    });
  }

  return {
    load: async (args, context) => {
      const opened = (source: Source): void => void (stored = () => source.settled());
      model = await Loaded.load(args, context.signal, (progress) => context.emit(progress), opened);
      return model.info;
    },
    inspect: async (args, { signal }) => {
      const base = new URL(args.base);
      const store = args.cache ? await openStore() : null;
      const source = openSource({ base, store });
      const manifest = await source.manifest(signal);
      const info = await describe(manifest, await manifestKey(new URL("manifest.json", base)), store);
      await source.settled();
      return info;
    },
    storedBundles: async () => storedBundles(await openStore()),
    deleteStored: async ({ id }) => deleteStored(await openStore(), id),
    watch: (_, context) => loaded().watch((event) => context.emit(event)),
    generate: (args, context) => inTurn((model) => generate(model, args, context), context.signal, () => NOTHING_WRITTEN),
    transcribe: (args, context) =>
      inTurn((model) => transcribe(model, args, context), context.signal, () => NOTHING_TRANSCRIBED),
    embed: (args, { signal }) => inTurn((model) => embed(model, args.texts, args.promptName, signal), signal),
    perform: (args, { signal }) => inTurn((model) => perform(model, args, signal), signal),
    run: (args) => inTurn((model) => model.run(args.entry, args.inputs, args.options)),
    readAudio: async ({ file }, context) => {
      const read = await readAudio(file);
      if (read) context.transfer([read.samples.buffer]);
      return read;
    },
    kindOf: ({ file }) => kindOf(file),
    encode: async ({ text, special }) => encode(loaded(), text, special),
    decode: async ({ ids, special }) => decode(loaded(), ids, special),
    applyChatTemplate: async ({ messages, options }) => render(loaded(), messages, options),
    memory: async () => loaded().memory(),
    kernels: async () => loaded().kernels(),
    shader: async ({ name }) => loaded().shader(name),
    startTiming: () => inTurn((model) => model.startTiming()),
    stopTiming: () => inTurn((model) => model.stopTiming()),
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

function refuse(): never {
  throw aborted();
}
