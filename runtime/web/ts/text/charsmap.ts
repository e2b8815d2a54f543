// The normalisation that SentencePiece compiles into a file: a double-array trie of replacements.

import { decodeLossy, utf8 } from "./bytes";
import { fault } from "./json";

/** Longer clusters of characters are looked up one by one. */
const MAX_CLUSTER_BYTES = 6;

/** A map whose table was checked. */
export class Charsmap {
  readonly trie: Uint32Array;
  readonly texts: Uint8Array;

  /** From base64. */
  constructor(base64: string) {
    const bytes = Uint8Array.from(decoded(base64), (c) => c.charCodeAt(0));
    const view = new DataView(bytes.buffer);
    const size = bytes.length >= 4 ? view.getUint32(0, true) : 0;
    if (size === 0 || size % 4 !== 0 || size + 4 > bytes.length) throw damaged();
    this.trie = Uint32Array.from({ length: size / 4 }, (_, i) => view.getUint32(4 + 4 * i, true));
    this.texts = bytes.subarray(4 + size);
  }

  /** How many times as long the map makes a text at worst, in bytes. */
  growth(): number {
    let most = 1;
    const seen = new Uint8Array(this.trie.length);
    const todo: [number, number][] = [[offset(this.trie[0] ?? 0), 1]];
    for (let next = todo.pop(); next; next = todo.pop()) {
      const [base, depth] = next;
      for (let byte = 1; byte < 256; byte++) {
        const at = (base ^ byte) >>> 0;
        const unit = this.trie[at];
        // Steps that leave the table are those of a damaged one.
        if (unit === undefined) throw damaged();
        if (((unit & 0x800000ff) >>> 0) !== byte || seen[at]) continue;
        seen[at] = 1;
        const to = (at ^ offset(unit)) >>> 0;
        if (((unit >>> 8) & 1) === 1) {
          const value = this.trie[to];
          if (value === undefined) throw damaged();
          most = Math.max(most, this.text(value).length / depth);
        }
        todo.push([to, depth + 1]);
      }
    }
    return most;
  }

  /** The bytes that a value stands for. */
  text(value: number): Uint8Array {
    const from = value & 0x7fffffff;
    const to = this.texts.indexOf(0, from);
    return this.texts.subarray(from, to < 0 ? this.texts.length : to);
  }
}

function damaged(): Error {
  return fault("precompiled_charsmap is damaged");
}

function decoded(base64: string): string {
  try {
    return atob(base64);
  } catch {
    throw damaged();
  }
}

/** Where the steps from a node begin, from that node on. */
function offset(unit: number): number {
  return ((unit >>> 10) << ((unit & 0x200) >>> 6)) >>> 0;
}

/** The normalisation of a map in base64. */
export function charsmap(base64: string): (text: string) => string {
  const map = new Charsmap(base64);
  const known = new Map<string, string | null>();
  const lookUp = (chunk: string): string | null => {
    let found = known.get(chunk);
    if (found === undefined) {
      found = replacement(map, utf8(chunk));
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

/** The replacement of the shortest prefix that has one, as the native tokenizer takes it. */
function replacement(map: Charsmap, key: Uint8Array): string | null {
  const unit = (at: number): number => map.trie[at] ?? 0;
  let node = offset(unit(0));
  for (const byte of key) {
    if (byte === 0) break;
    node = (node ^ byte) >>> 0;
    const here = unit(node);
    if (((here & 0x800000ff) >>> 0) !== byte) return null;
    node = (node ^ offset(here)) >>> 0;
    if (((here >>> 8) & 1) === 1) {
      return decodeLossy(map.text(unit(node)));
    }
  }
  return null;
}

/** What a reader takes for one character; browsers without this take code points. */
function clusters(text: string): Iterable<string> {
  if (typeof Intl === "undefined" || !("Segmenter" in Intl)) return text;
  return Array.from(new Intl.Segmenter("en", { granularity: "grapheme" }).segment(text), (s) => s.segment);
}
