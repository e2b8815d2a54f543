// Text to token ids and back, as `tokenizer.json` says.
//
// The steps are those of the native runtime's tokenizer, one by one, so that both give the same ids. Which kinds of
// parts there are is a list of the compiler (compiler/src/hf/tokenizer/supported.json), which refuses others. What
// remains different is what browsers know of characters that came to Unicode after the tables of the native tokenizer
// were made.

import { GristmillError } from "../errors";
import { makeFinder, readAdded } from "./added";
import { makeDecoder } from "./decode";
import { check } from "./check";
import { asConfig, fault, flag, part, text } from "./json";
import { makeModel } from "./models";
import { makeNormalizer } from "./normalize";
import { makePostProcessor } from "./postprocess";
import { makePreTokenizer } from "./pretokenize";

/** A tokenizer. */
export interface Tokenizer {
  /**
   * The token ids of a text. With `special`, the tokens around it that the file's post-processor adds. Special tokens
   * written out in the text are recognised either way, unless the file says that they are text.
   */
  encode(text: string, special: boolean): number[];
  /**
   * As `encode`, with as much of the text as fits in `most` token ids together with the special tokens around it,
   * which stay. If not even they fit, the result is longer than `most`. What is cut off is the end of the text, or its
   * beginning if the file says so.
   */
  encodeWithin(text: string, special: boolean, most: number): number[];
  /**
   * How many of the first token ids of a text are those of a prompt in front of it, with what is around them: those of
   * the prompt alone, but for a special token at their end. At most `most`.
   */
  promptTokens(prompt: string, most: number): number;
  /** The text of token ids, without special tokens unless `withSpecial`. Ids that do not exist give nothing. */
  decode(ids: ArrayLike<number>, withSpecial?: boolean): string;
  /** The id of a token. */
  tokenToId(token: string): number | undefined;
  /** The token of an id. */
  idToToken(id: number): string | undefined;
}

/**
 * From the content of a `tokenizer.json`, parsed. The file's own cutting and padding come from training and do not act.
 */
export function makeTokenizer(json: unknown): Tokenizer {
  return reported("not a tokenizer", () => build(json));
}

/** What is left are values of unforeseen types deep in the file, and limits of engines. */
function reported<R>(what: string, work: () => R): R {
  try {
    return work();
  } catch (e) {
    throw e instanceof GristmillError ? e : fault(`${what}: ${String(e)}`);
  }
}

function build(json: unknown): Tokenizer {
  const file = asConfig(json, "the file");
  check(file);
  const model = makeModel(asConfig(file.model, "model"));
  const added = readAdded(file, model.ids);
  const normalize = makeNormalizer(part(file, "normalizer"));
  const find = makeFinder(added, normalize, flag(file, "split_special_tokens"));
  const cut = makePreTokenizer(part(file, "pre_tokenizer"));
  const surround = makePostProcessor(part(file, "post_processor"));
  const decoder = makeDecoder(part(file, "decoder"));
  const special = new Set(added.filter((token) => token.special).map((token) => token.content));
  const tokens = new Map(Array.from(model.ids, ([token, id]) => [id, token]));
  for (const { id, content } of added) tokens.set(id, content);
  // Tokens that the normalizer changes are decoded as they are found in texts, which makes them differ from special ones.
  const written = new Map(tokens);
  for (const { id, content, normalized } of added) if (normalized) written.set(id, normalize(content));
  const ids = new Map([...model.ids, ...added.map(({ content, id }) => [content, id] as const)]);

  const inside = (text: string): number[] => {
    const found: number[] = [];
    // Halves of characters cannot be said in UTF-8.
    for (const part of find(text.replace(/\p{Cs}/gu, "\ufffd"))) {
      if ("id" in part) {
        found.push(part.id);
        continue;
      }
      for (const piece of cut(part)) for (const id of piece.text === "" ? [] : model.encode(piece.text)) found.push(id);
    }
    return found;
  };
  const side = text(file, "truncation_side", "right");
  if (side !== "left" && side !== "right") throw fault(`expected left or right for truncation_side, found ${side}`);
  const encodeWithin = (text: string, wanted: boolean, most: number): number[] =>
    reported("it cannot encode this text", () => {
      const body = inside(text);
      const whole = surround(body, wanted);
      if (whole.length <= most) return whole;
      const room = Math.max(most - Math.max(whole.length - body.length, 0), 0);
      return surround(side === "left" ? body.slice(Math.max(body.length - room, 0)) : body.slice(0, room), wanted);
    });
  return {
    encode: (text, wanted) => encodeWithin(text, wanted, Infinity),
    encodeWithin,
    promptTokens(prompt, most) {
      const list = encodeWithin(prompt, true, most);
      const last = tokens.get(list[list.length - 1] ?? -1);
      return list.length - (last !== undefined && special.has(last) ? 1 : 0);
    },
    decode(list, withSpecial = false) {
      const named: string[] = [];
      for (const id of Array.from(list)) {
        const token = written.get(id);
        if (token !== undefined && (withSpecial || !special.has(token))) named.push(token);
      }
      return reported("it cannot decode these tokens", () => decoder(named).join(""));
    },
    tokenToId: (token) => ids.get(token),
    idToToken: (id) => tokens.get(id),
  };
}
