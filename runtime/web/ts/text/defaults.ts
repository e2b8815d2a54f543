// What `generation_config.json` says about sampling, read as natively.

import type { GenerationDefaults } from "../api";

const NAMES = {
  maxNewTokens: "max_new_tokens",
  temperature: "temperature",
  topK: "top_k",
  topP: "top_p",
  minP: "min_p",
  repetitionPenalty: "repetition_penalty",
} as const;
/** What transformers leaves out of the file. */
const SAMPLES = { temperature: 1, topP: 1 };

/** The options of a file, or none if there is no file. */
export function generationDefaults(file: unknown): GenerationDefaults {
  const config = (file ?? {}) as Record<string, unknown>;
  const numbers = Object.entries(NAMES).map(([option, name]) => [option, config[name]] as const);
  const given: GenerationDefaults = Object.fromEntries(numbers.filter(([, value]) => typeof value === "number"));
  const { do_sample: samples } = config;
  if (samples === true) return { ...SAMPLES, ...given };
  // Without sampling the best token is taken, whatever else is said.
  const { temperature: _, ...others } = given;
  return samples === false ? { ...others, temperature: 0 } : others;
}
