// From a piece of text to token ids.

import { byteIds, makeBpe } from "./bpe";
import { count, fault, flag, list, text, type Config } from "./json";
import { readVocabulary, type TokenModel, type Vocabulary } from "./vocabulary";

/** The model of a part of the file. */
export function makeModel(config: Config): Vocabulary {
  switch (modelKind(config)) {
    case "BPE": {
      const ids = readVocabulary(config);
      return { ids, encode: makeBpe(config, ids) };
    }
    case "WordPiece": {
      const ids = readVocabulary(config);
      return { ids, encode: wordPiece(config, ids) };
    }
    case "WordLevel": {
      const ids = readVocabulary(config);
      const unknown = ids.get(text(config, "unk_token", "<unk>"));
      return { ids, encode: (word) => [ids.get(word) ?? known(unknown)] };
    }
    case "Unigram":
      return unigram(config);
    default:
      throw fault(`the model ${modelKind(config)} is not supported in the browser`);
  }
}

/** Old files do not name the kind. */
function modelKind(config: Config): string {
  if (typeof config.type === "string") return config.type;
  if (Array.isArray(config.vocab)) return "Unigram";
  if (config.merges !== undefined) return "BPE";
  return config.continuing_subword_prefix === undefined ? "WordLevel" : "WordPiece";
}

function known(id: number | undefined): number {
  if (id === undefined) throw fault("the unknown token is not in the vocabulary");
  return id;
}

/** The longest known beginning, again and again; a word with an unknown part is unknown as a whole. */
function wordPiece(config: Config, ids: Map<string, number>): TokenModel {
  const unknown = ids.get(text(config, "unk_token", "[UNK]"));
  const prefix = text(config, "continuing_subword_prefix", "##");
  const most = count(config, "max_input_chars_per_word", 100);
  return (word) => {
    const chars = Array.from(word);
    if (chars.length > most) return [known(unknown)];
    const found: number[] = [];
    for (let from = 0; from < chars.length; ) {
      let to = chars.length;
      let id: number | undefined;
      for (; to > from; to--) {
        id = ids.get((from > 0 ? prefix : "") + chars.slice(from, to).join(""));
        if (id !== undefined) break;
      }
      if (id === undefined) return [known(unknown)];
      found.push(id);
      from = to;
    }
    return found;
  };
}

/** How much worse than the worst token an unknown character is. */
const UNKNOWN_PENALTY = 10;

/** The best way to end at a place. */
interface Node {
  score: number;
  from: number;
  unknown: boolean;
}

/** The tokens with the highest sum of scores. */
function unigram(config: Config): Vocabulary {
  const ids = new Map<string, number>();
  const scores: number[] = [];
  // By the first letter, how long tokens are: most texts have no long ones.
  const lengths = new Map<string, Set<number>>();
  for (const entry of list(config, "vocab")) {
    const [token, score] = entry as [unknown, unknown];
    if (typeof token !== "string" || typeof score !== "number") throw fault(`token ${scores.length} has no score`);
    ids.set(token, scores.length);
    scores.push(score);
    const [first] = token;
    if (first !== undefined) lengths.set(first, (lengths.get(first) ?? new Set()).add(token.length));
  }
  const unknown = typeof config.unk_id === "number" ? count(config, "unk_id") : undefined;
  if (unknown !== undefined && unknown >= scores.length) throw fault(`unk_id is ${unknown}, beyond the vocabulary`);
  const unknownScore = scores.reduce((a, b) => Math.min(a, b), Infinity) - UNKNOWN_PENALTY;
  const fallback = flag(config, "byte_fallback");

  const best = (word: string): (Node | undefined)[] => {
    const nodes: (Node | undefined)[] = new Array<Node | undefined>(word.length + 1);
    for (let from = 0; from < word.length; ) {
      const letter = String.fromCodePoint(word.codePointAt(from) ?? 0);
      const char = letter.length;
      const score = nodes[from]?.score ?? 0;
      const offer = (to: number, added: number, isUnknown: boolean): void => {
        const there = nodes[to];
        if (!there || score + added > there.score) nodes[to] = { score: score + added, from, unknown: isUnknown };
      };
      let single = false;
      for (const length of lengths.get(letter) ?? []) {
        const to = from + length;
        const id = to <= word.length ? ids.get(word.slice(from, to)) : undefined;
        if (id === undefined) continue;
        offer(to, scores[id] ?? 0, id === unknown);
        single ||= to === from + char;
      }
      if (!single) {
        known(unknown);
        offer(from + char, unknownScore, true);
      }
      from += char;
    }
    return nodes;
  };
  const encode: TokenModel = (word) => {
    const nodes = best(word);
    const tokens: { text: string; unknown: boolean }[] = [];
    for (let to = word.length; to > 0; ) {
      const node = nodes[to];
      if (!node) throw fault("the model of tokens has a gap");
      const after = tokens.at(-1);
      const text = word.slice(node.from, to);
      // Unknown characters in a row are one.
      if (after?.unknown && node.unknown) after.text = text + after.text;
      else tokens.push({ text, unknown: node.unknown });
      to = node.from;
    }
    return tokens.reverse().flatMap(({ text }) => {
      const id = ids.get(text);
      return id !== undefined ? [id] : ((fallback ? byteIds(text, ids) : null) ?? [known(unknown)]);
    });
  };
  return { ids, encode };
}
