// The tokens around a text.

import { asConfig, count, fault, kind, list, part, text, type Config } from "./json";

/** Puts tokens around those of a text, if they are wanted. */
export type PostProcessor = (ids: number[], special: boolean) => number[];

/** The post-processor of a part of the file; null adds nothing. */
export function makePostProcessor(config: Config | null): PostProcessor {
  if (config === null) return (ids) => ids;
  switch (kind(config)) {
    case "Sequence": {
      const all = list(config, "processors").map((c) => makePostProcessor(asConfig(c, "processors")));
      return (ids, special) => all.reduce((changed, processor) => processor(changed, special), ids);
    }
    case "ByteLevel":
      return (ids) => ids;
    case "BertProcessing":
    case "RobertaProcessing": {
      const [begin, end] = [pairId(config, "cls"), pairId(config, "sep")];
      return (ids, special) => (special ? [begin, ...ids, end] : ids);
    }
    case "TemplateProcessing":
      return template(config);
    default:
      throw fault(`the post-processor ${kind(config)} is not supported in the browser`);
  }
}

function pairId(config: Config, key: string): number {
  const [, id] = list(config, key);
  return count({ id }, "id");
}

function template(config: Config): PostProcessor {
  const tokens = part(config, "special_tokens") ?? {};
  // Ids to add; null stands for the text.
  const items = list(config, "single").map((entry): number[] | null => {
    const item = asConfig(entry, "single");
    const special = part(item, "SpecialToken");
    if (!special) return null;
    const name = text(special, "id");
    const { ids } = asConfig(tokens[name], `the special token ${name}`);
    return list({ ids }, "ids").map((id) => count({ id }, "id"));
  });
  return (ids, special) => items.flatMap((item) => (item === null ? ids : special ? item : []));
}
