// From tokens back to a text.

import { decodeLossy, decodeStrict, tokenBytes } from "./bytes";
import { asConfig, count, fault, flag, kind, list, text, type Config } from "./json";
import { bounded } from "./normalize";
import { prependScheme } from "./pretokenize";
import { patternOf } from "./split";

/** Changes tokens until, joined together, they are the text. */
export type Decoder = (tokens: string[]) => string[];

/** The decoder of a part of the file; without one there are spaces between tokens. */
export function makeDecoder(config: Config | null): Decoder {
  if (config === null) return (tokens) => [tokens.join(" ")];
  switch (kind(config)) {
    case "Sequence": {
      const all = list(config, "decoders").map((c) => makeDecoder(asConfig(c, "decoders")));
      return (tokens) => all.reduce((changed, decoder) => decoder(changed), tokens);
    }
    case "ByteLevel":
      return (tokens) => [decodeLossy(Uint8Array.from(tokens.flatMap((token) => Array.from(tokenBytes(token)))))];
    case "ByteFallback":
      return byteFallback;
    case "Fuse":
      return (tokens) => [tokens.join("")];
    case "Replace": {
      const [pattern, content] = [patternOf(config.pattern), text(config, "content")];
      return (tokens) => tokens.map((token) => bounded(token.replace(pattern, () => content)));
    }
    case "Strip": {
      const [content, start, stop] = [text(config, "content"), count(config, "start", 0), count(config, "stop", 0)];
      return (tokens) => tokens.map((token) => strip(token, content, start, stop));
    }
    case "WordPiece":
      return wordPiece(text(config, "prefix", "##"), flag(config, "cleanup", true));
    case "Metaspace": {
      const space = text(config, "replacement", "▁");
      const drop = prependScheme(config) !== "never";
      return (tokens) => tokens.map((token, i) => token.replaceAll(space, i === 0 && drop ? "" : " "));
    }
    case "CTC": {
      const [pad, delimiter] = [text(config, "pad_token", "<pad>"), text(config, "word_delimiter_token", "|")];
      const cleanup = flag(config, "cleanup", true);
      const change = (token: string): string => {
        const kept = token.replaceAll(pad, "");
        return cleanup ? cleaned(kept).replaceAll(delimiter, " ") : kept;
      };
      return (tokens) => tokens.filter((t, i) => t !== tokens[i - 1]).map(change).filter((t) => t !== "");
    }
    case "BPEDecoder": {
      const suffix = text(config, "suffix", "</w>");
      return (tokens) => tokens.map((token, i) => token.replaceAll(suffix, i === tokens.length - 1 ? "" : " "));
    }
    default:
      throw fault(`the decoder ${kind(config)} is not supported in the browser`);
  }
}

/** Tokens such as `<0x0A>` are bytes; those that are no text become one replacement character each. */
function byteFallback(tokens: string[]): string[] {
  const out: string[] = [];
  let bytes: number[] = [];
  const flush = (): void => {
    const decoded = decodeStrict(Uint8Array.from(bytes));
    if (decoded === null) for (const _ of bytes) out.push("\ufffd");
    else if (decoded !== "") out.push(decoded);
    bytes = [];
  };
  for (const token of tokens) {
    const [, hex] = /^<0x([0-9A-Fa-f]{2})>$/.exec(token) ?? [];
    if (hex !== undefined) {
      bytes.push(parseInt(hex, 16));
      continue;
    }
    flush();
    out.push(token);
  }
  flush();
  return out;
}

/** Without as many of a character at both ends as there are, up to a number. */
function strip(token: string, content: string, start: number, stop: number): string {
  const chars = Array.from(token);
  let from = 0;
  while (from < start && from < chars.length && chars[from] === content) from += 1;
  let to = chars.length;
  while (chars.length - to < stop && to > from && chars[to - 1] === content) to -= 1;
  return chars.slice(from, to).join("");
}

const CLEANUPS: [string, string][] = [
  [" .", "."],
  [" ?", "?"],
  [" !", "!"],
  [" ,", ","],
  [" ' ", "'"],
  [" n't", "n't"],
  [" 'm", "'m"],
  [" do not", " don't"],
  [" 's", "'s"],
  [" 've", "'ve"],
  [" 're", "'re"],
];

function wordPiece(prefix: string, cleanup: boolean): Decoder {
  return (tokens) =>
    tokens.map((token, i) => {
      let t = token;
      if (i > 0) t = t.startsWith(prefix) ? t.slice(prefix.length) : ` ${t}`;
      return cleanup ? cleaned(t) : t;
    });
}

function cleaned(t: string): string {
  return CLEANUPS.reduce((changed, [from, to]) => changed.replaceAll(from, to), t);
}
