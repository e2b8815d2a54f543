// The tokenizer of a model, as users have it. What it does is done where the engine is.

import type { Tokenizer } from "./api";
import { makeError } from "./errors";
import type { Link } from "./link";
import { withoutImages } from "./prompt";
import type { Calls } from "./protocol";

/** The tokenizer of the model behind a link. */
export function tokenizerBehind(link: Link<Calls>): Tokenizer {
  return {
    encode: (text, { addSpecialTokens = true } = {}) => link.call("encode", { text, special: addSpecialTokens }),
    decode: (ids, { skipSpecialTokens = true } = {}) =>
      link.call("decode", { ids: Array.from(ids, Number), special: !skipSpecialTokens }),
    async applyChatTemplate(messages, options = {}) {
      if (!Array.isArray(messages)) throw makeError("input", "messages: expected a list of messages");
      const { prompt } = withoutImages(messages, []);
      return link.call("applyChatTemplate", { messages: prompt, options });
    },
  };
}
