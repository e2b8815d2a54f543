// Chat completions in the shapes of OpenAI's interface, so that code written for it runs against a model in the page.

import type { GenerateOptions, GenerateResult, Message, MessagePart } from "./api";
import { aborted, makeError, type GristmillError } from "./errors";
import { leaving } from "./link";

/** What is needed of a model. */
export interface ChatModel {
  generate(messages: Message[], options: GenerateOptions): AsyncIterable<string> & { result: Promise<GenerateResult> };
  info(): { name: string };
}

/** A part of a message: a text, or the address of an image, which may be a `data:` address. */
export type ChatPart = { type: "text"; text: string } | { type: "image_url"; image_url: { url: string } };

/** A message of a request. */
export interface ChatMessage {
  role: string;
  content?: string | ChatPart[] | null;
  /** Further entries, such as `tool_calls`, reach the chat template. */
  [entry: string]: unknown;
}

/** What of the interface would change answers in ways that are not supported: only these values, which change nothing. */
export interface ChatDefaults {
  n?: 1 | null;
  frequency_penalty?: 0 | null;
  presence_penalty?: 0 | null;
  logprobs?: false | null;
  top_logprobs?: 0 | null;
  logit_bias?: Record<string, never> | null;
  response_format?: { type: "text" } | null;
  modalities?: ["text"] | null;
  tools?: [] | null;
  functions?: [] | null;
  tool_choice?: "none" | "auto" | null;
  function_call?: "none" | "auto" | null;
}

/** What of the interface concerns a server and its accounts, never the answer: accepted and not looked at. */
export interface ChatNotes {
  metadata?: object | null;
  store?: boolean | null;
  parallel_tool_calls?: boolean | null;
  prediction?: object | null;
  prompt_cache_key?: string | null;
  prompt_cache_retention?: string | null;
  safety_identifier?: string | null;
  service_tier?: string | null;
  user?: string | null;
}

/** A request. Other parameters of the interface are refused instead of being ignored. */
export interface ChatParams extends ChatDefaults, ChatNotes {
  messages: ChatMessage[];
  /** Accepted and not looked at: there is one model. */
  model?: string;
  stream?: boolean | null;
  stream_options?: { include_usage?: boolean; include_obfuscation?: boolean } | null;
  /** Most tokens to generate. Default: 256. */
  max_completion_tokens?: number | null;
  /** The older name of the same. */
  max_tokens?: number | null;
  /** 0, the default here, takes the best token every time. */
  temperature?: number | null;
  top_p?: number | null;
  seed?: number | null;
  stop?: string | string[] | null;
  /** Beyond OpenAI's interface, under the names that other servers use. */
  top_k?: number | null;
  min_p?: number | null;
  repetition_penalty?: number | null;
}

/** How a request is made. */
export interface ChatRequestOptions {
  /** Ends it: without `stream` the promise rejects with an AbortedError, with it the iteration ends. */
  signal?: AbortSignal;
}

/** Why an answer ended. */
export type FinishReason = "stop" | "length";

/** Numbers of tokens. */
export interface ChatUsage {
  prompt_tokens: number;
  completion_tokens: number;
  total_tokens: number;
}

/** An answer. */
export interface ChatCompletion {
  id: string;
  object: "chat.completion";
  /** Seconds since 1970. */
  created: number;
  model: string;
  choices: { index: 0; message: { role: "assistant"; content: string }; finish_reason: FinishReason; logprobs: null }[];
  usage: ChatUsage;
}

/** A piece of an answer. */
export interface ChatCompletionChunk {
  id: string;
  object: "chat.completion.chunk";
  created: number;
  model: string;
  /** Empty in the last chunk if usage was asked for. */
  choices: {
    index: 0;
    delta: { role?: "assistant"; content?: string };
    finish_reason: FinishReason | null;
    logprobs: null;
  }[];
  /** In the last chunk, if `stream_options.include_usage` asks for it. */
  usage?: ChatUsage | null;
}

/** The interface, as `chat(model).completions.create(..)`. */
export interface Chat {
  completions: {
    create(
      params: ChatParams & { stream: true },
      options?: ChatRequestOptions,
    ): Promise<AsyncIterable<ChatCompletionChunk>>;
    create(params: ChatParams & { stream?: false | null }, options?: ChatRequestOptions): Promise<ChatCompletion>;
    create(
      params: ChatParams,
      options?: ChatRequestOptions,
    ): Promise<ChatCompletion | AsyncIterable<ChatCompletionChunk>>;
  };
}

/** Chat completions by a model. */
export function chat(model: ChatModel): Chat {
  const create = async (
    params: ChatParams,
    options: ChatRequestOptions = {},
  ): Promise<ChatCompletion | AsyncIterable<ChatCompletionChunk>> => {
    check(params);
    const stream = model.generate(params.messages.map(toMessage), generateOptions(params, options.signal));
    // The iteration reports failures; nobody need look at the result as well.
    stream.result.catch(() => {});
    const head = {
      id: `chatcmpl-${crypto.randomUUID()}`,
      created: Math.floor(Date.now() / 1000),
      model: model.info().name,
    };
    if (params.stream) {
      const all = chunks(stream, head, params.stream_options?.include_usage === true);
      const leave = (): void => void stream[Symbol.asyncIterator]().return?.();
      return { [Symbol.asyncIterator]: () => leaving(all, leave) };
    }
    let content = "";
    for await (const piece of stream) content += piece;
    const result = await stream.result;
    const finish_reason = finishReason(result);
    if (finish_reason === null) throw aborted();
    const message = { role: "assistant", content } as const;
    const choices = [{ index: 0, message, finish_reason, logprobs: null } as const];
    return { ...head, object: "chat.completion", choices, usage: usageOf(result) };
  };
  return { completions: { create: create as Chat["completions"]["create"] } };
}

async function* chunks(
  stream: AsyncIterable<string> & { result: Promise<GenerateResult> },
  head: Pick<ChatCompletionChunk, "id" | "created" | "model">,
  withUsage: boolean,
): AsyncGenerator<ChatCompletionChunk, void> {
  type Choice = ChatCompletionChunk["choices"][number];
  const chunk = (delta: Choice["delta"], finish_reason: FinishReason | null): ChatCompletionChunk => ({
    ...head,
    object: "chat.completion.chunk",
    choices: [{ index: 0, delta, finish_reason, logprobs: null }],
    ...(withUsage ? { usage: null } : {}),
  });
  yield chunk({ role: "assistant", content: "" }, null);
  for await (const content of stream) yield chunk({ content }, null);
  const result = await stream.result;
  const reason = finishReason(result);
  if (reason === null) return;
  yield chunk({}, reason);
  if (withUsage) yield { ...head, object: "chat.completion.chunk", choices: [], usage: usageOf(result) };
}

/** Null if the caller ended it. */
function finishReason({ reason }: GenerateResult): FinishReason | null {
  if (reason === "aborted") return null;
  return reason === "length" || reason === "context" ? "length" : "stop";
}

function usageOf({ promptTokens, tokens }: GenerateResult): ChatUsage {
  const completion = tokens.length;
  return { prompt_tokens: promptTokens, completion_tokens: completion, total_tokens: promptTokens + completion };
}

function toMessage({ content, ...rest }: ChatMessage, index: number): Message {
  const { role } = rest;
  if (typeof role !== "string") throw refuse(`messages[${index}].role: expected a text, found ${JSON.stringify(role)}`);
  if (typeof content === "string") return { ...rest, content };
  // A message that calls tools may say nothing.
  if ((content === null || content === undefined) && "tool_calls" in rest) return { ...rest, content: null };
  const parts: unknown = content;
  if (!Array.isArray(parts)) {
    throw refuse(`messages[${index}].content: expected a text, found ${JSON.stringify(parts)}`);
  }
  type Loose = { type?: unknown; text?: unknown; image_url?: { url?: unknown } };
  const read = (parts as Loose[]).map((part): MessagePart => {
    if (part.type === "text" && typeof part.text === "string") return { type: "text", text: part.text };
    const url = part.type === "image_url" ? part.image_url?.url : undefined;
    if (typeof url === "string") return { type: "image", image: url };
    const found = JSON.stringify(part.type);
    throw refuse(`messages[${index}].content: expected parts of type text or image_url, found ${found}`);
  });
  const texts = read.map((part) => (part.type === "text" ? part.text : null));
  return { ...rest, content: texts.includes(null) ? read : texts.join("") };
}

function generateOptions(params: ChatParams, signal: AbortSignal | undefined): GenerateOptions {
  const entries: [keyof GenerateOptions, unknown][] = [
    ["maxNewTokens", params.max_completion_tokens ?? params.max_tokens],
    ["temperature", params.temperature],
    ["topP", params.top_p],
    ["topK", params.top_k],
    ["minP", params.min_p],
    ["repetitionPenalty", params.repetition_penalty],
    ["seed", params.seed],
    ["stop", params.stop],
    ["signal", signal],
  ];
  // What is null is not given.
  return Object.fromEntries(entries.filter(([, value]) => value !== undefined && value !== null));
}

/** The parameters that have an effect, or whose effect is that of leaving them out. */
const KNOWN: Record<Exclude<keyof ChatParams, keyof ChatDefaults>, true> = {
  messages: true,
  model: true,
  metadata: true,
  store: true,
  parallel_tool_calls: true,
  prediction: true,
  prompt_cache_key: true,
  prompt_cache_retention: true,
  safety_identifier: true,
  service_tier: true,
  user: true,
  stream: true,
  stream_options: true,
  max_completion_tokens: true,
  max_tokens: true,
  temperature: true,
  top_p: true,
  seed: true,
  stop: true,
  top_k: true,
  min_p: true,
  repetition_penalty: true,
};

/** Values of other parameters that ask for nothing. */
const HARMLESS: Record<keyof ChatDefaults, unknown[]> = {
  n: [1],
  frequency_penalty: [0],
  presence_penalty: [0],
  logprobs: [false],
  top_logprobs: [0],
  logit_bias: [{}],
  response_format: [{ type: "text" }],
  modalities: [["text"]],
  tools: [[]],
  functions: [[]],
  // Without tools, both mean that none is called.
  tool_choice: ["none", "auto"],
  function_call: ["none", "auto"],
};

function check(params: ChatParams): void {
  if (!Array.isArray(params.messages) || params.messages.length === 0) {
    throw refuse("messages: expected at least one message");
  }
  for (const [name, value] of Object.entries(params)) {
    if (Object.hasOwn(KNOWN, name) || value === undefined || value === null) continue;
    const harmless = Object.hasOwn(HARMLESS, name) ? HARMLESS[name as keyof ChatDefaults] : [];
    if (harmless.some((one) => JSON.stringify(one) === JSON.stringify(value))) continue;
    const found = JSON.stringify(value)?.slice(0, 60);
    throw makeError("unsupported", `chat completions: the parameter ${name} (${found}) is not supported; remove it`);
  }
}

function refuse(message: string): GristmillError {
  return makeError("input", `chat completions: ${message}`);
}
