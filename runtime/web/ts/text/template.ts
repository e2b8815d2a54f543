// Chat templates: from the messages of a conversation to what the engine takes, and its errors as ours.

import { makeError } from "../errors";
import type { TemplateOptions } from "../api";
import type { SentMessage } from "../protocol";

/** The script with the engine, as a module. */
export type TemplateEngine = Pick<typeof import("./template_engine"), "render">;

/** What a prompt holds for an image: the text that stands for it, and the text of the token in it that counts. */
export interface ImageText {
  placeholder: string;
  token: string;
}

/** The template of a model, ready to render. */
export interface ChatTemplate {
  /**
   * The prompt for a conversation. With `addGenerationPrompt` it ends where the assistant begins. `unixSeconds` is the
   * time, for templates that mention the date. With `image`, the prompt has a placeholder for each image of the
   * messages, whatever the template makes of these.
   */
  render(
    messages: readonly SentMessage[],
    addGenerationPrompt: boolean,
    unixSeconds: number,
    options?: TemplateOptions,
    image?: ImageText | null,
  ): string;
}

/** A template as model directories have it. */
export interface TemplateFiles {
  /** The text of `chat_template.jinja`, or null if there is none. */
  template: string | null;
  /** The content of `chat_template.json`, which goes before that of the tokenizer, or null if there is none. */
  processor?: unknown;
  /** The content of `tokenizer_config.json`, or null if there is none. */
  config: unknown;
}

/** The chat templates of a bundle, from its file `chat_template.json`. */
export function bundledTemplate(chat: string, engine: TemplateEngine): ChatTemplate {
  return {
    render(messages, addGenerationPrompt, unixSeconds, options = {}, image = null) {
      const request = {
        messages,
        add_generation_prompt: addGenerationPrompt && options.continueFinalMessage !== true,
        continue_final_message: options.continueFinalMessage ?? false,
        tools: options.tools ?? null,
        documents: options.documents ?? null,
        chat_template: options.chatTemplate ?? null,
        variables: options.templateVariables ?? {},
        image,
        now: unixSeconds,
      };
      return run(engine, chat, JSON.stringify(request));
    },
  };
}

/** The chat template of files that are in no bundle; null if there is none. */
export function makeTemplate(files: TemplateFiles, engine: TemplateEngine): ChatTemplate | null {
  const { template, processor, config } = files;
  const entry = (of: unknown): unknown => (of as Record<string, unknown> | null | undefined)?.["chat_template"];
  const found = ([["chat_template.jinja", template], ["chat_template.json", entry(processor)]] as const).find(
    ([, source]) => typeof source === "string",
  ) ?? (["tokenizer_config.json", entry(config)] as const);
  const [file, source] = found;
  const named = typeof source === "string" ? [{ name: "default", template: source }] : source;
  if (!Array.isArray(named)) return null;
  const templates = (named as { name: string; template: string }[]).map((t) => ({ name: t.name, file, source: t.template }));
  const text = (value: unknown): unknown =>
    typeof value === "string" ? value : (value as { content?: unknown } | null)?.content;
  const tokens = Object.entries((config ?? {}) as object).map(([key, value]) => [key, text(value)] as const);
  const special = tokens.filter(([key, value]) => key.endsWith("_token") && typeof value === "string");
  const chat = { templates, variables: Object.fromEntries(special), by_tools: true };
  return bundledTemplate(JSON.stringify(chat), engine);
}

/** What ended the engine for good: its memory cannot be trusted afterwards. */
let broken: unknown = null;

function run(engine: TemplateEngine, chat: string, request: string): string {
  if (broken !== null) throw makeError("bundle", "chat template: the engine was ended; reload the page", {}, broken);
  try {
    return engine.render(chat, request);
  } catch (e) {
    if (typeof e !== "string") {
      broken = e;
      throw makeError("bundle", `chat template: ${e instanceof Error ? e.message : String(e)}`, {}, e);
    }
    // The first letter says who is at fault.
    const message = e.slice(1);
    if (e.startsWith("i")) throw makeError("input", message);
    throw makeError("bundle", message, { file: message.split(":")[0] ?? "" });
  }
}
