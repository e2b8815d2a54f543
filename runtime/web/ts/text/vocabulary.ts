// Vocabularies: an id for each token, and what finds ids.

import { asConfig, fault, type Config } from "./json";

/** Token ids are smaller, so that a pair fits a number. */
export const MAX_IDS = 2 ** 26;

/** The token ids of a piece of text. */
export type TokenModel = (word: string) => number[];

/** A model with its vocabulary. */
export interface Vocabulary {
  encode: TokenModel;
  ids: Map<string, number>;
}

/** The vocabulary of a part of the file: an id for each token. */
export function readVocabulary(config: Config): Map<string, number> {
  const vocabulary = new Map<string, number>();
  for (const [token, id] of Object.entries(asConfig(config.vocab, "vocab"))) {
    const valid = typeof id === "number" && Number.isInteger(id) && id >= 0 && id < MAX_IDS;
    if (!valid) throw fault(`expected an id for the token ${token}, found ${JSON.stringify(id)}`);
    vocabulary.set(token, id);
  }
  return vocabulary;
}
