// Classes, boxes and similarities: what the tasks of a bundle give.

import type { TaskInfo } from "../api";
import { aborted, makeError } from "../errors";
import type { Loaded } from "../loaded";
import { pixelsOf } from "../picture";

/** A task as it can be sent to a worker. */
export interface TaskArgs {
  kind: Exclude<TaskInfo["kind"], "transcribe">;
  pictures: (ImageBitmap | ImageData)[];
  texts: string[];
  threshold: number;
}

/** One result per picture, or per text if there are only those. */
export async function perform(model: Loaded, args: TaskArgs, signal: AbortSignal): Promise<unknown[]> {
  const { kind, texts, threshold } = args;
  if (signal.aborted) throw aborted();
  const { tokenizer, longest } = model.text;
  if (texts.length > 0 && !tokenizer) {
    throw makeError("unsupported", "this model came without a tokenizer, so it takes no texts");
  }
  const ids = texts.map((text) => Uint32Array.from(tokenizer?.encodeWithin(text, true, longest) ?? []));
  const pictures = args.pictures.map(pixelsOf);
  const call = async (): Promise<unknown[]> =>
    JSON.parse((await model.runtime.task(kind, pictures, ids, threshold)) as string) as unknown[];
  return model.withDevice(call, call);
}
