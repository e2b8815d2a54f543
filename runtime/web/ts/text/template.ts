// Chat templates: Jinja as Hugging Face uses it.

import { Environment, Interpreter, parse, tokenize } from "@huggingface/jinja";

import type { SentMessage } from "../engine";
import { makeError } from "../errors";
import { strftime } from "./strftime";

/** Where a template may be in a bundle; the first one counts. The second one is that of models of more than text. */
export const TEMPLATE_FILE = "chat_template.jinja";
export const PROCESSOR_FILE = "chat_template.json";
export const CONFIG_FILE = "tokenizer_config.json";

/** The files of a bundle that a template comes from. */
export interface TemplateFiles {
  /** The text of `chat_template.jinja`, or null if the bundle has none. */
  template: string | null;
  /** The content of `chat_template.json`, parsed, or null if the bundle has none. */
  processor?: unknown;
  /** The content of `tokenizer_config.json`, parsed, or null if the bundle has none. */
  config: unknown;
}

/** The template of a model, ready to render. */
export interface ChatTemplate {
  /**
   * The prompt for a conversation. With `addGenerationPrompt` it ends where the assistant begins. `unixSeconds` is the
   * time, for templates that mention the date.
   */
  render(messages: readonly SentMessage[], addGenerationPrompt: boolean, unixSeconds: number): string;
}

/** The chat template of a bundle; null if the model is no chat model. */
export function makeTemplate({ template, processor, config }: TemplateFiles): ChatTemplate | null {
  const special = specialTokens(config);
  if (template !== null) return compile(TEMPLATE_FILE, template, special);
  const own = templateOf(processor);
  if (own !== null) return compile(PROCESSOR_FILE, own, special);
  const source = templateOf(config);
  return source === null ? null : compile(CONFIG_FILE, source, special);
}

/** What a template says of the messages it was given. */
class Raised extends Error {}

function compile(file: string, source: string, special: Record<string, string>): ChatTemplate {
  const fault = (e: unknown): Error => {
    const message = `${file}: chat template: ${e instanceof Error ? e.message : String(e)}`;
    return e instanceof Raised ? makeError("input", message) : makeError("bundle", message, { file }, e);
  };
  let program: ReturnType<typeof parse>;
  try {
    // As in Hugging Face's `_compile_jinja_template`.
    program = parse(tokenize(source, { trim_blocks: true, lstrip_blocks: true }));
  } catch (e) {
    throw fault(e);
  }
  printBooleansAsPython();
  return {
    render(messages, addGenerationPrompt, unixSeconds) {
      const environment = new Environment();
      const variables: Record<string, unknown> = {
        ...special,
        ...CONSTANTS,
        range,
        raise_exception: (text: unknown) => {
          throw new Raised(String(text));
        },
        strftime_now: (format: unknown) => strftime(String(format), unixSeconds),
        // Templates may print messages, so there is nothing else in them.
        messages: messages.map(({ role, content }) => ({ role, content })),
        add_generation_prompt: addGenerationPrompt,
      };
      for (const [name, value] of Object.entries(variables)) environment.set(name, value);
      try {
        return (new Interpreter(environment).run(program) as { value: string }).value;
      } catch (e) {
        throw fault(e);
      }
    },
  };
}

/** The package writes `true` where Python, and with it what models were trained on, has `True`. */
function printBooleansAsPython(): void {
  const value = new Environment().set("x", true) as { toString(): string };
  if (value.toString() === "True") return;
  const prototype = Object.getPrototypeOf(value) as object;
  const toString = function (this: { value: unknown }): string {
    return this.value === true ? "True" : "False";
  };
  Object.defineProperty(prototype, "toString", { value: toString, configurable: true });
}

const CONSTANTS = { true: true, false: false, none: null, True: true, False: false, None: null };

/** A template is code from elsewhere and must not fill the memory. */
const MAX_RANGE = 100_000;

function range(...args: unknown[]): number[] {
  const numbers = args.filter((a): a is number => typeof a === "number");
  const [first = 0, second = 0, step = 1] = numbers;
  const [start, stop] = numbers.length === 1 ? [0, first] : [first, second];
  const length = step === 0 ? NaN : Math.max(Math.ceil((stop - start) / step), 0);
  if (!(length <= MAX_RANGE)) throw new Error(`range of ${length} numbers`);
  return Array.from({ length }, (_, i) => start + i * step);
}

function field(value: unknown, key: string): unknown {
  return typeof value === "object" && value !== null ? (value as Record<string, unknown>)[key] : undefined;
}

/** `chat_template` is a text, or a list of named ones of which `default` is meant. */
function templateOf(config: unknown): string | null {
  const entry = field(config, "chat_template");
  if (typeof entry === "string") return entry;
  if (!Array.isArray(entry)) return null;
  const named: unknown[] = entry;
  const source = field(named.find((t) => field(t, "name") === "default") ?? named[0], "template");
  return typeof source === "string" ? source : null;
}

/** Texts under keys such as `bos_token`; each is a text or an object with `content`. */
function specialTokens(config: unknown): Record<string, string> {
  const special: Record<string, string> = {};
  if (typeof config !== "object" || config === null) return special;
  for (const [key, value] of Object.entries(config)) {
    const text = typeof value === "string" ? value : field(value, "content");
    if (key.endsWith("_token") && typeof text === "string") special[key] = text;
  }
  return special;
}
