// A short call of whatever the model is for, to be measured.

import type { ModelInfo, TaskInfo } from "../../ts/api";
import type { Model } from "../../ts/index";

/** A call and what it is, for people. */
export interface SampleCall {
  text: string;
  run: () => Promise<unknown>;
}

const TOKENS = 16;
const SIDE = 224;
const TEXT = "The mill grinds the grain.";

async function ended(pieces: AsyncIterable<string>): Promise<void> {
  for await (const piece of pieces) void piece;
}

/** The call; null for a model that takes tensors only. */
export function sampleCall(model: Model, info: ModelInfo): SampleCall | null {
  const tasks = info.entries.flatMap(({ task }) => task ?? []);
  const takes = (kind: TaskInfo["kind"], input: TaskInfo["inputs"][number]): TaskInfo | undefined =>
    tasks.find((task) => task.kind === kind && task.inputs.includes(input));
  const image = (): ImageData => new ImageData(SIDE, SIDE);
  const silence = (seconds: number, rate = 16_000): { samples: Float32Array; rate: number } => ({
    samples: new Float32Array(seconds * rate),
    rate,
  });
  if (info.tasks.includes("generate")) {
    const options = { maxNewTokens: TOKENS, ignoreEos: true };
    return { text: `a short prompt and ${TOKENS} tokens`, run: () => ended(model.generate(TEXT, options)) };
  }
  if (info.tasks.includes("embed")) return { text: "one sentence", run: () => model.embed([TEXT]) };
  if (takes("classify", "image")) return { text: "one image", run: () => model.classify(image()) };
  if (takes("detect", "image")) return { text: "one image", run: () => model.detect(image()) };
  if (takes("classify", "text")) return { text: "one sentence", run: () => model.classify({ text: TEXT }) };
  const compared = takes("compare", "text");
  if (compared?.inputs.includes("audio")) {
    return { text: "one second of audio and a text", run: () => model.compare([silence(1, compared.rate)], [TEXT]) };
  }
  if (compared?.inputs.includes("video")) {
    const frames = Array.from({ length: compared.frames ?? 1 }, image);
    return { text: "a short video and a text", run: () => model.compare([{ frames }], [TEXT]) };
  }
  if (compared) return { text: "one image and a text", run: () => model.compare([image()], [TEXT]) };
  const speech = takes("transcribe", "audio");
  if (speech) return { text: "one second of audio", run: () => ended(model.transcribe(silence(1, speech.rate))) };
  return null;
}
