// The normalisation that SentencePiece compiles into a file: a double-array trie of replacements.

import { decodeLossy, utf8 } from "./bytes";
import { fault } from "./json";

/** Longer clusters of characters are looked up one by one. */
const MAX_CLUSTER_BYTES = 6;

/** The normalisation of a map in base64. */
export function charsmap(base64: string): (text: string) => string {
  const { trie, texts } = parse(base64);
  const known = new Map<string, string | null>();
  const lookUp = (chunk: string): string | null => {
    let found = known.get(chunk);
    if (found === undefined) {
      found = replacement(trie, texts, utf8(chunk));
      known.set(chunk, found);
    }
    return found;
  };
  return (text) => {
    let out = "";
    for (const cluster of clusters(text)) {
      const whole = utf8(cluster).length < MAX_CLUSTER_BYTES ? lookUp(cluster) : null;
      if (whole !== null) out += whole;
      else for (const char of cluster) out += lookUp(char) ?? char;
    }
    return out;
  };
}

function parse(base64: string): { trie: Uint32Array; texts: Uint8Array } {
  const bytes = Uint8Array.from(atob(base64), (c) => c.charCodeAt(0));
  const view = new DataView(bytes.buffer);
  const size = bytes.length >= 4 ? view.getUint32(0, true) : 0;
  if (size === 0 || size % 4 !== 0 || size + 4 > bytes.length) throw fault("the map of characters is damaged");
  const trie = Uint32Array.from({ length: size / 4 }, (_, i) => view.getUint32(4 + 4 * i, true));
  return { trie, texts: bytes.subarray(4 + size) };
}

/** The replacement of the shortest prefix that has one, as the native tokenizer takes it. */
function replacement(trie: Uint32Array, texts: Uint8Array, key: Uint8Array): string | null {
  const unit = (at: number): number => trie[at] ?? 0;
  const offset = (u: number): number => ((u >>> 10) << ((u & 0x200) >>> 6)) >>> 0;
  let node = offset(unit(0));
  for (const byte of key) {
    if (byte === 0) break;
    node = (node ^ byte) >>> 0;
    const here = unit(node);
    if (((here & 0x800000ff) >>> 0) !== byte) return null;
    node = (node ^ offset(here)) >>> 0;
    if (((here >>> 8) & 1) === 1) {
      const from = unit(node) & 0x7fffffff;
      const to = texts.indexOf(0, from);
      return decodeLossy(texts.subarray(from, to < 0 ? texts.length : to));
    }
  }
  return null;
}

/** What a reader takes for one character; browsers without this take code points. */
function clusters(text: string): Iterable<string> {
  if (typeof Intl === "undefined" || !("Segmenter" in Intl)) return text;
  return Array.from(new Intl.Segmenter("en", { granularity: "grapheme" }).segment(text), (s) => s.segment);
}
