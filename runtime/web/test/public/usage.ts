// The public interface as a user's own TypeScript sees it: this file need only compile, against the declarations of the
// build. It has no types of WebGPU and no settings that are laxer than the strictest.

import {
  AbortedError,
  chat,
  deleteStored,
  DeviceLostError,
  GristmillError,
  IntegrityError,
  LimitError,
  Model,
  NetworkError,
  NoWebGPUError,
  OutOfMemoryError,
  storedBundles,
  type AdapterInfo,
  type BackendChoice,
  type BundleInfo,
  type Chat,
  type ChatCompletion,
  type ChatCompletionChunk,
  type ChatMessage,
  type ChatParams,
  type ChatRequestOptions,
  type ChatUsage,
  type ClassScore,
  type Detection,
  type EntryInfo,
  type ErrorCode,
  type ErrorDetails,
  type VideoSource,
  type FinishReason,
  type Similarity,
  type GenerateOptions,
  type GenerateResult,
  type Generation,
  type LoadOptions,
  type LoadProgress,
  type MemoryInfo,
  type Message,
  type MessagePart,
  type ModelInfo,
  type ImageSource,
  type CpuInfo,
  type KernelInfo,
  type KernelTime,
  type KernelTimes,
  type RunOptions,
  type StopReason,
  type StoredBundle,
  type Task,
  type TaskInfo,
  type Tensor,
  type TensorInfo,
  type TensorInput,
  type Tokenizer,
} from "gristmill";

/** Compiles if both types are the same. */
type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : never;
const same = <A, B>(yes: Same<A, B>): boolean => yes;

export async function storage(signal: AbortSignal): Promise<number> {
  const { id, downloadBytes, storedBytes, formats }: BundleInfo = await Model.inspect("/dist/", { signal, cache: true });
  const bundles: StoredBundle[] = await storedBundles({ worker: false });
  const here = bundles.find((bundle) => bundle.id === id);
  const old = (here?.lastUsed ?? 0) < Date.now() - 1000;
  const freed: number = old && here ? await deleteStored(here) : await deleteStored();
  return freed + downloadBytes - storedBytes + Object.values(formats).length;
}

export async function kernels(model: Model): Promise<string> {
  const all: KernelInfo[] = await model.kernels();
  const times: KernelTimes = await model.timeKernels(() => model.embed(["a"]));
  const longest: KernelTime | undefined = times.kernels[0];
  const text: string | null = await model.shader(longest?.name ?? all[0]?.name ?? "");
  return `${times.ms} ${longest?.steps} ${longest?.backend} ${text}`;
}

export async function load(signal: AbortSignal): Promise<Model> {
  const onProgress = ({ phase, loadedBytes, totalBytes, cachedBytes, kernels, totalKernels }: LoadProgress): void => {
    const share: number = (loadedBytes - cachedBytes) / totalBytes + kernels / totalKernels;
    console.log(phase === "recover" ? "again" : phase, share);
  };
  const options: LoadOptions = {
    onProgress,
    signal,
    backend: "auto",
    threads: 4,
    simd: "baseline",
    cache: true,
    worker: false,
    profile: "firefox",
    without: ["subgroups"],
    limits: { maxStorageBufferBindingSize: 1 << 20 },
    recoveries: 1,
    baseUrl: "/gristmill/",
    workerUrl: new URL("https://example.org/engine.js"),
    wasmUrl: "https://example.org/gristmill_web_bg.wasm",
  };
  await Model.load(new URL("https://example.org/dist/"));
  // @ts-expect-error: there is no such backend
  await Model.load("/dist/", { backend: "webgl" });
  // @ts-expect-error: misspelt
  await Model.load("/dist/", { onprogress: onProgress });
  // @ts-expect-error: models are loaded, not made
  new Model();
  return Model.load("/dist/", options);
}

export async function text(model: Model, signal: AbortSignal): Promise<string> {
  const options: GenerateOptions = {
    maxNewTokens: 10,
    temperature: 0.8,
    topK: 40,
    topP: 0.9,
    minP: 0.05,
    repetitionPenalty: 1.1,
    seed: 7,
    stop: ["\n\n"],
    stopTokens: [2],
    ignoreEos: false,
    signal,
    onPrompt: (done: number, total: number) => console.log(done / total),
  };
  const stream: Generation = model.generate("Once upon a time", options);
  let all = "";
  for await (const piece of stream) all += piece.toUpperCase();
  const result: GenerateResult = await stream.result;
  const reason: StopReason = result.reason;
  const numbers: number = result.promptTokens + result.prefillMs + result.decodeMs + result.recoveries;
  const messages: Message[] = [{ role: "user", content: "Hello" }];
  await model.generate(messages, { stop: "." }).result;
  const content: MessagePart[] = [{ type: "image", image: "cat.png" }, { type: "text", text: "What is it?" }];
  await model.generate([{ role: "user", content }], { images: [new URL("https://example.org/a.png")] }).result;
  // @ts-expect-error: a message is not a text
  model.generate(["Hello"]);
  // @ts-expect-error: the name of another interface
  model.generate("Hello", { max_tokens: 5 });
  // @ts-expect-error: there is no such reason
  if (reason === "eos") return "";
  return `${all}${result.text}${result.tokens.length}${numbers}`;
}

export async function completions(model: Model, options: ChatRequestOptions): Promise<ChatUsage> {
  const messages: ChatMessage[] = [{ role: "user", content: [{ type: "text", text: "Hello" }] }];
  const create = model.chat.completions.create;
  const answer = await create({ messages, max_tokens: 5, temperature: null }, options);
  same<typeof answer, ChatCompletion>(true);
  const finished: FinishReason | undefined = answer.choices[0]?.finish_reason;
  const chunks = await create({ messages, stream: true, stream_options: { include_usage: true } });
  same<typeof chunks, AsyncIterable<ChatCompletionChunk>>(true);
  for await (const chunk of chunks) console.log(chunk.choices[0]?.delta.content ?? "", finished);
  const params: ChatParams = { messages, stream: Math.random() < 0.5 };
  const either = await create(params);
  // @ts-expect-error: it may be a stream
  console.log(either.usage);
  // @ts-expect-error: one answer at a time
  await create({ messages, n: 2 });
  await create({ messages, n: 1, user: "me", store: false, metadata: { a: "b" }, response_format: { type: "text" } });
  const other: Chat = chat(model);
  return (await other.completions.create({ messages })).usage;
}

export async function tensors(model: Model, signal: AbortSignal): Promise<Tensor | undefined> {
  const vectors: Float32Array[] = await model.embed(["a", "b"], { signal });
  const options: RunOptions = { greedy: 4, taps: true };
  const ids: Tensor = { data: Int32Array.of(1, 2), shape: [1, 2] };
  const outputs: Record<string, Tensor> = await model.run("forward", { input_ids: ids }, options);
  await model.run(null, { input_ids: ids, weights: { data: vectors[0] ?? new Float32Array(), shape: [1] } });
  const nested: TensorInput = [[1, 2n], [3, 4]];
  await model.run(null, { input_ids: nested, mask: { data: BigInt64Array.of(1n), shape: [1] }, x: { data: [1], shape: [1] } });
  // @ts-expect-error: a kind of element that no input has
  await model.run(null, { input_ids: { data: Float64Array.of(1), shape: [1] } });
  // @ts-expect-error: without a shape
  await model.run(null, { input_ids: { data: Int32Array.of(1) } });
  return outputs["logits"];
}

export async function tokens({ tokenizer }: Model): Promise<string> {
  const all: Tokenizer = tokenizer;
  const ids: number[] = await all.encode("Hello", { addSpecialTokens: false });
  const prompt: string = await all.applyChatTemplate([{ role: "user", content: "Hello" }], { addGenerationPrompt: false });
  // @ts-expect-error: the name of another interface
  await all.encode("Hello", { add_special_tokens: false });
  return prompt + (await all.decode(Int32Array.from(ids), { skipSpecialTokens: false }));
}

export async function images(model: Model, file: File, signal: AbortSignal): Promise<number> {
  const sources: ImageSource[] = [file, "cat.png", new URL("https://example.org/cat.png"), new ImageData(2, 2), { data: new Uint8Array(4), width: 1, height: 1 }];
  const scores: ClassScore[] = await model.classify(sources[0] ?? new Image(), { signal });
  const moods: ClassScore[] = await model.classify({ text: "What a day" });
  const found: Detection[] = await model.detect(await createImageBitmap(file), { threshold: 0.7 });
  const [fit]: Similarity[] = await model.compare(sources, ["a cat", "a dog"]);
  const video: VideoSource = { frames: ["1.png", "2.png"] };
  const inFile: VideoSource = { video: new Blob() };
  await model.compare([video, inFile, { samples: new Float32Array(9), rate: 48000 }], ["a cat"], { signal });
  const [left, top, right, bottom] = found[0]?.box ?? [0, 0, 0, 0];
  const task: TaskInfo | null | undefined = model.info().entries[0]?.task;
  // @ts-expect-error: a number is no image
  await model.classify(5);
  console.log(scores[0]?.label, moods[0]?.class, task?.kind, task?.inputs.includes("image"));
  return (right - left) * (bottom - top) + (fit?.probability[0] ?? 0) + (fit?.similarity[0] ?? 0);
}

export async function facts(model: Model): Promise<number> {
  const info: ModelInfo = model.info();
  const tasks: Task[] = info.tasks;
  const adapter: AdapterInfo | null = info.adapter;
  const cpu: CpuInfo | null = info.cpu;
  const offloaded: string[] = info.offloaded;
  const choice: BackendChoice = info.choice;
  const expected: number | undefined = choice.estimates?.wasmMs;
  const entries: EntryInfo[] = info.entries;
  const input: TensorInfo | undefined = entries[0]?.inputs[0];
  const memory: MemoryInfo = await model.memory();
  const limit: number | undefined = adapter?.limits["maxBufferSize"];
  await model.dispose();
  console.log(choice.asked, choice.backend, choice.reason, expected);
  console.log(cpu?.threads, cpu?.simd, cpu?.single, offloaded.join("\n"));
  console.log(tasks, adapter?.features, adapter?.fallback, input?.optional, limit, info.parameters, info.weightBytes);
  return memory.weights + memory.states + memory.scratch + memory.total + memory.peak + memory.wasm;
}

export function failure(thrown: unknown): string {
  if (!(thrown instanceof GristmillError)) return "not ours";
  const code: ErrorCode = thrown.code;
  const details: ErrorDetails = thrown.details;
  const kinds = [NoWebGPUError, OutOfMemoryError, DeviceLostError, NetworkError, AbortedError];
  if (kinds.some((kind) => thrown instanceof kind)) return `${code}${details.status ?? ""}`;
  if (thrown instanceof LimitError) return `${thrown.details.limit} ${thrown.details.needed} ${thrown.details.offered}`;
  if (thrown instanceof IntegrityError) return thrown.details.file ?? "";
  // @ts-expect-error: the code cannot be changed
  thrown.code = "internal";
  return thrown.message;
}
