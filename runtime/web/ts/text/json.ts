// Values out of a tokenizer file, whose shape nobody vouches for.

import { makeError, type GristmillError } from "../errors";

/** Where the tokenizer is in a bundle. */
export const TOKENIZER_FILE = "tokenizer.json";

/** A part of the file. */
export type Config = Readonly<Record<string, unknown>>;

/** An error about the file. */
export function fault(message: string): GristmillError {
  return makeError("bundle", `${TOKENIZER_FILE}: ${message}`, { file: TOKENIZER_FILE });
}

/** A value as an object. */
export function asConfig(value: unknown, what: string): Config {
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as Config;
  throw fault(`expected an object for ${what}, found ${JSON.stringify(value)?.slice(0, 40)}`);
}

/** A part that may be missing or null. */
export function part(config: Config, key: string): Config | null {
  const value = config[key];
  return value === undefined || value === null ? null : asConfig(value, key);
}

/** The kind of a part. */
export function kind(config: Config): string {
  return text(config, "type");
}

/** A text, which must be there unless there is a default. */
export function text(config: Config, key: string, missing?: string): string {
  const value = config[key] ?? missing;
  if (typeof value === "string") return value;
  throw fault(`expected a text for ${key}, found ${JSON.stringify(value)}`);
}

/** A text, or null if there is none. */
export function maybeText(config: Config, key: string): string | null {
  return (config[key] ?? null) === null ? null : text(config, key);
}

/** A whole number, which must be there unless there is a default. */
export function count(config: Config, key: string, missing?: number): number {
  const value = config[key] ?? missing;
  if (typeof value === "number" && Number.isSafeInteger(value) && value >= 0) return value;
  throw fault(`expected a whole number for ${key}, found ${JSON.stringify(value)}`);
}

/** A truth value; one that is not there is the default. */
export function flag(config: Config, key: string, missing = false): boolean {
  const value = config[key] ?? missing;
  if (typeof value === "boolean") return value;
  throw fault(`expected true or false for ${key}, found ${JSON.stringify(value)}`);
}

/** A list; one that is not there is empty. */
export function list(config: Config, key: string): unknown[] {
  const value = config[key] ?? [];
  if (Array.isArray(value)) return value;
  throw fault(`expected a list for ${key}, found ${JSON.stringify(value)?.slice(0, 40)}`);
}
