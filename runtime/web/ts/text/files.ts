// The files of a bundle that turn text into token ids and back.

import { makeError } from "../errors";
import { CONFIG_FILE, makeTemplate, PROCESSOR_FILE, TEMPLATE_FILE, type ChatTemplate } from "./template";
import { makeTokenizer, type Tokenizer } from "./tokenizer";

const TOKENIZER_FILE = "tokenizer.json";

/** Everything that turns text into token ids and back. */
export interface Text {
  tokenizer: Tokenizer | null;
  template: ChatTemplate | null;
}

/** What there is before it is loaded. */
export const NO_TEXT: Text = { tokenizer: null, template: null };

/** Reads what the bundle has; `read` gives null for a file that it lacks. */
export async function loadText(read: (path: string) => Promise<string | null>): Promise<Text> {
  const [tokenizer, config, template, processor] = await Promise.all(
    [TOKENIZER_FILE, CONFIG_FILE, TEMPLATE_FILE, PROCESSOR_FILE].map(read),
  );
  return {
    tokenizer: tokenizer ? makeTokenizer(parse(TOKENIZER_FILE, tokenizer)) : null,
    template: makeTemplate({
      template: template ?? null,
      processor: parse(PROCESSOR_FILE, processor),
      config: parse(CONFIG_FILE, config),
    }),
  };
}

function parse(file: string, text: string | null | undefined): unknown {
  if (text === null || text === undefined) return null;
  try {
    return JSON.parse(text);
  } catch (e) {
    throw makeError("bundle", `${file}: not JSON: ${(e as Error).message}`, { file }, e);
  }
}
