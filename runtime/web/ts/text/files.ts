// The files of a bundle that turn text into token ids and back.

import { makeError } from "../errors";
import { CONFIG_FILE, makeTemplate, PROCESSOR_FILE, TEMPLATE_FILE, type ChatTemplate } from "./template";
import { makeTokenizer, type Tokenizer } from "./tokenizer";

const TOKENIZER_FILE = "tokenizer.json";
const SENTENCES_FILE = "sentence_bert_config.json";

/** Everything that turns text into token ids and back. */
export interface Text {
  tokenizer: Tokenizer | null;
  template: ChatTemplate | null;
  /** Most tokens that an embedder was made for. */
  longest: number;
}

/** What there is before it is loaded. */
export const NO_TEXT: Text = { tokenizer: null, template: null, longest: Infinity };

/** Reads what the bundle has; `read` gives null for a file that it lacks. */
export async function loadText(
  read: (path: string) => Promise<string | null>,
  maxContext: number,
): Promise<Text> {
  const [tokenizer, config, template, processor, sentences] = await Promise.all(
    [TOKENIZER_FILE, CONFIG_FILE, TEMPLATE_FILE, PROCESSOR_FILE, SENTENCES_FILE].map(read),
  );
  const most = (parse(SENTENCES_FILE, sentences) as { max_seq_length?: unknown } | null)?.max_seq_length;
  const longest = typeof most === "number" ? most : Infinity;
  return {
    tokenizer: tokenizer ? makeTokenizer(parse(TOKENIZER_FILE, tokenizer)) : null,
    template: makeTemplate({
      template: template ?? null,
      processor: parse(PROCESSOR_FILE, processor),
      config: parse(CONFIG_FILE, config),
    }),
    longest: Math.min(longest, maxContext),
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
