// What is said in audio files.

import type { TranscribeResult } from "../api";
import { makeError } from "../errors";
import type { CallContext } from "../link";
import type { Loaded } from "../loaded";
import type { SentTranscribeOptions, WriteEvent } from "../protocol";
import type { Transcribed } from "../runtime";
import { complete, write } from "./write";

/** Most tokens unless the caller says otherwise: the model's context ends a text. */
const MOST_TOKENS = 2 ** 32 - 1;

/** Writes down samples that have the rate of the model. An abort ends it without an error. */
export async function transcribe(
  model: Loaded,
  { samples, options }: { samples: Float32Array; options: SentTranscribeOptions },
  context: CallContext<WriteEvent>,
): Promise<TranscribeResult> {
  const task = model.manifest.entries.find((e) => e.task?.kind === "transcribe")?.task;
  if (!task) throw makeError("unsupported", "this model does not transcribe audio");
  if (task.generates && !model.text.tokenizer) {
    throw makeError("unsupported", "this model has no tokenizer, so its tokens cannot be decoded");
  }
  const { language, task: what, returnTimestamps = false, ...others } = options;
  const choices = { ...(language !== undefined && { language }), ...(what !== undefined && { task: what }) };
  const timestamps = returnTimestamps === "word" ? "word" : returnTimestamps ? "segment" : null;
  const given = JSON.stringify({ ...complete(others, MOST_TOKENS), choices, timestamps });
  const written = await write(model, context, (host) => model.runtime.transcribe(samples, given, ...host));
  const { reason, ...said } = JSON.parse(written.json) as Transcribed;
  const aborted = context.signal.aborted;
  return { ...said, reason: aborted ? "aborted" : reason, recoveries: written.recoveries };
}
