// Chat templates: the engine is that of native programs, as WebAssembly. This file and the engine are loaded for models
// that have a template only.

import { initSync, renderChat } from "../../pkg/template/gristmill_template_web.js";
import module from "../../pkg/template/module.js";

import type { SentMessage, TemplateOptions } from "../engine";
import { makeError } from "../errors";

/** The template of a model, ready to render. */
export interface ChatTemplate {
  /**
   * The prompt for a conversation. With `addGenerationPrompt` it ends where the assistant begins. `unixSeconds` is the
   * time, for templates that mention the date.
   */
  render(
    messages: readonly SentMessage[],
    addGenerationPrompt: boolean,
    unixSeconds: number,
    options?: TemplateOptions,
  ): string;
}

/** The chat templates of a bundle, from its file `chat_template.json`. */
export function bundledTemplate(chat: string): ChatTemplate {
  return {
    render(messages, addGenerationPrompt, unixSeconds, options = {}) {
      const request = {
        messages,
        add_generation_prompt: addGenerationPrompt && options.continueFinalMessage !== true,
        continue_final_message: options.continueFinalMessage ?? false,
        tools: options.tools ?? null,
        documents: options.documents ?? null,
        chat_template: options.chatTemplate ?? null,
        variables: options.templateVariables ?? {},
        now: unixSeconds,
      };
      return run(chat, JSON.stringify(request));
    },
  };
}

let ready = false;
/** What ended the engine for good: its memory cannot be trusted afterwards. */
let broken: unknown = null;

function run(chat: string, request: string): string {
  if (broken !== null) throw makeError("bundle", "chat template: the engine was ended; load the page anew", {}, broken);
  if (!ready) {
    initSync({ module: decode(module) });
    ready = true;
  }
  try {
    return renderChat(chat, request);
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

/** Bytes are characters from `#` on, so that none of them needs an escape but the backslash. */
function decode(text: string): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i) - 35;
  return bytes;
}
