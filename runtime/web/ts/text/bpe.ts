// Byte-pair encoding: neighbours are merged, best pair first.

import { utf8 } from "./bytes";
import { fault, flag, list, maybeText, type Config } from "./json";
import { MAX_IDS, type TokenModel } from "./vocabulary";

/** Words whose tokens are kept, and the longest one that is. */
const CACHE_WORDS = 10_000;
const CACHE_LENGTH = 256;

interface Merge {
  rank: number;
  id: number;
}

/** A neighbourhood that may be merged. */
interface Candidate extends Merge {
  at: number;
}

/** The model of a part of the file. */
export function makeBpe(config: Config, vocabulary: Map<string, number>): TokenModel {
  const prefix = maybeText(config, "continuing_subword_prefix") ?? "";
  const merges = readMerges(config, vocabulary, prefix);
  const cache = new Map<string, number[]>();
  const ignoreMerges = flag(config, "ignore_merges");
  const start = starter(config, vocabulary, prefix);
  return (word) => {
    const known = ignoreMerges ? vocabulary.get(word) : undefined;
    if (known !== undefined) return [known];
    let ids = cache.get(word);
    if (!ids) {
      ids = mergeAll(start(word), merges);
      if (cache.size >= CACHE_WORDS) cache.clear();
      if (word.length <= CACHE_LENGTH) cache.set(word, ids);
    }
    return ids;
  };
}

function readMerges(config: Config, vocabulary: Map<string, number>, prefix: string): Map<number, Merge> {
  const merges = new Map<number, Merge>();
  for (const [rank, entry] of list(config, "merges").entries()) {
    const [a, b] = (typeof entry === "string" ? entry.split(" ") : entry) as [unknown, unknown];
    if (typeof a !== "string" || typeof b !== "string") throw fault(`merge ${rank} is not a pair`);
    const ids = [a, b, a + b.slice(prefix.length)].map((token) => vocabulary.get(token));
    const [left, right, id] = ids;
    if (left === undefined || right === undefined || id === undefined) {
      throw fault(`merge ${rank} has tokens that are not in the vocabulary`);
    }
    merges.set(pairKey(left, right), { rank, id });
  }
  return merges;
}

function pairKey(left: number, right: number): number {
  return left * MAX_IDS + right;
}

/** The ids of the characters of a word; unknown ones become bytes or the unknown token. */
function starter(config: Config, vocabulary: Map<string, number>, prefix: string): (word: string) => number[] {
  const suffix = maybeText(config, "end_of_word_suffix") ?? "";
  const fallback = flag(config, "byte_fallback");
  const fuse = flag(config, "fuse_unk");
  const unknownToken = maybeText(config, "unk_token");
  const unknown = unknownToken === null ? undefined : vocabulary.get(unknownToken);
  return (word) => {
    const ids: number[] = [];
    const chars = Array.from(word);
    // An unknown token is added when the next known one comes, so that several can become one.
    let pending = false;
    for (const [i, char] of chars.entries()) {
      const token = (i > 0 ? prefix : "") + char + (i === chars.length - 1 ? suffix : "");
      const id = vocabulary.get(token);
      if (id !== undefined) {
        if (pending && unknown !== undefined) ids.push(unknown);
        pending = false;
        ids.push(id);
        continue;
      }
      const bytes = fallback ? byteIds(token, vocabulary) : null;
      if (bytes) {
        for (const byte of bytes) ids.push(byte);
      } else if (unknownToken !== null) {
        if (unknown === undefined) throw fault(`the unknown token ${unknownToken} is not in the vocabulary`);
        if (pending && !fuse) ids.push(unknown);
        pending = true;
      }
    }
    if (pending && unknown !== undefined) ids.push(unknown);
    return ids;
  };
}

/** The ids of the tokens of a text's bytes, if all of them exist. */
export function byteIds(text: string, vocabulary: Map<string, number>): number[] | null {
  const ids: number[] = [];
  for (const byte of utf8(text)) {
    const id = vocabulary.get(`<0x${byte.toString(16).toUpperCase().padStart(2, "0")}>`);
    if (id === undefined) return null;
    ids.push(id);
  }
  return ids;
}

/** Merges pairs, those of the lowest rank first, from left to right. */
function mergeAll(ids: number[], merges: Map<number, Merge>): number[] {
  const next = ids.map((_, i) => i + 1);
  const before = ids.map((_, i) => i - 1);
  const gone = ids.map(() => false);
  const heap: Candidate[] = [];
  const mergeAt = (at: number): Merge | undefined => {
    const [left, right] = [ids[at], ids[next[at] ?? ids.length]];
    return left === undefined || right === undefined ? undefined : merges.get(pairKey(left, right));
  };
  const consider = (at: number): void => {
    const merge = mergeAt(at);
    if (merge) push(heap, { ...merge, at });
  };
  for (let at = 0; at + 1 < ids.length; at++) consider(at);
  for (let best = pop(heap); best; best = pop(heap)) {
    const { at } = best;
    // Neighbours may have been merged otherwise meanwhile.
    if (gone[at] || mergeAt(at)?.id !== best.id) continue;
    const right = next[at] ?? ids.length;
    const after = next[right] ?? ids.length;
    ids[at] = best.id;
    gone[right] = true;
    next[at] = after;
    if (after < ids.length) before[after] = at;
    const left = before[at] ?? -1;
    if (left >= 0) consider(left);
    consider(at);
  }
  return ids.filter((_, i) => !gone[i]);
}

function less(a: Candidate | undefined, b: Candidate | undefined): boolean {
  if (!a || !b) return false;
  return a.rank < b.rank || (a.rank === b.rank && a.at < b.at);
}

/** Adds to a binary heap. */
function push(heap: Candidate[], added: Candidate): void {
  let at = heap.push(added) - 1;
  while (at > 0) {
    const parent = (at - 1) >> 1;
    if (!less(added, heap[parent])) break;
    heap[at] = heap[parent] as Candidate;
    at = parent;
  }
  heap[at] = added;
}

/** Takes the least from a binary heap. */
function pop(heap: Candidate[]): Candidate | undefined {
  const top = heap[0];
  const moved = heap.pop();
  if (!moved || heap.length === 0) return top;
  let at = 0;
  for (;;) {
    let child = 2 * at + 1;
    if (less(heap[child + 1], heap[child])) child += 1;
    if (!less(heap[child], moved)) break;
    heap[at] = heap[child] as Candidate;
    at = child;
  }
  heap[at] = moved;
  return top;
}
