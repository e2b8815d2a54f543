// Classes, boxes and similarities: what the tasks of a bundle give.

import { aborted, makeError } from "../errors";
import type { Loaded } from "../loaded";
import { pixelsOf } from "../image";
import type { TaskArgs } from "../protocol";

/** One result per image, video or audio file, or per text if there are only those. */
export async function perform(model: Loaded, args: TaskArgs, signal: AbortSignal): Promise<unknown[]> {
  const { kind, texts, threshold } = args;
  if (signal.aborted) throw aborted();
  const { tokenizer } = model.text;
  if (texts.length > 0 && !tokenizer) {
    throw makeError("unsupported", "this model has no tokenizer, so it takes no texts");
  }
  const ids = texts.map((text) => Uint32Array.from(tokenizer?.encode(text, true) ?? []));
  const items = args.items.map((item) => {
    if (item instanceof Float32Array) return item;
    return Array.isArray(item) ? item.map(pixelsOf) : pixelsOf(item);
  });
  const call = async (): Promise<unknown[]> =>
    JSON.parse((await model.runtime.task(kind, items, ids, threshold)) as string) as unknown[];
  return model.withDevice(call, call);
}
