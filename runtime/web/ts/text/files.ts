// The files of a bundle that turn text into token ids and back.

import type { GenerationDefaults } from "../api";
import { makeError } from "../errors";
import { CHAT_FILE, GENERATION_FILE, TOKENIZER_FILE } from "../manifest";
import { generationDefaults } from "./defaults";
import { bundledTemplate, type ChatTemplate, type TemplateEngine } from "./template";
import { makeTokenizer, type Tokenizer } from "./tokenizer";

/** Everything that turns text into token ids and back, and how the model wants to be sampled. */
export interface Text {
  tokenizer: Tokenizer | null;
  template: ChatTemplate | null;
  generation: GenerationDefaults;
}

/** What there is before it is loaded. */
export const NO_TEXT: Text = { tokenizer: null, template: null, generation: {} };

/**
 * Reads what the bundle has; `read` gives null for a file that it lacks. The engine of chat templates is the script at
 * `engine`.
 */
export async function loadText(read: (path: string) => Promise<string | null>, engine: string): Promise<Text> {
  const [tokenizer, chat, generation] = await Promise.all([TOKENIZER_FILE, CHAT_FILE, GENERATION_FILE].map(read));
  return {
    tokenizer: tokenizer ? makeTokenizer(parse(TOKENIZER_FILE, tokenizer)) : null,
    // The engine is only loaded for models that chat.
    template: chat ? bundledTemplate(chat, await loadEngine(engine)) : null,
    generation: generationDefaults(parse(GENERATION_FILE, generation)),
  };
}

async function loadEngine(address: string): Promise<TemplateEngine> {
  try {
    return (await import(address)) as TemplateEngine;
  } catch (e) {
    throw makeError("network", `${address} could not be loaded: ${(e as Error).message}`, {}, e);
  }
}

function parse(file: string, text: string | null | undefined): unknown {
  if (text === null || text === undefined) return null;
  try {
    return JSON.parse(text);
  } catch (e) {
    throw makeError("bundle", `${file}: not JSON: ${(e as Error).message}`, { file }, e);
  }
}
