// What a manifest says of its bundle, as far as it is shown, or decides what is kept. The runtime checks manifests before
// it runs one; this reads a few facts of one that need not be of this version.

import type { ModelInfo } from "./api";
import { makeError } from "./errors";
import type { FileRef } from "./load/contract";

/** The files that turn text into token ids and back, where a bundle has them. */
export const TOKENIZER_FILE = "tokenizer.json";
export const CHAT_FILE = "chat_template.json";
/** How the model wants to be sampled. */
export const GENERATION_FILE = "generation_config.json";

const TEXT_FILES = [TOKENIZER_FILE, CHAT_FILE, GENERATION_FILE];

/** Facts of a manifest. */
export interface ManifestFacts
  extends Pick<ModelInfo, "name" | "architecture" | "precision" | "formats" | "parameters" | "weightBytes"> {
  /** Weights and text files, which every device needs; each content once. */
  needed: FileRef[];
  /** All files that the manifest vouches for; each content once. */
  files: FileRef[];
}

/** The part of a manifest that is read here. */
interface ManifestJson {
  model: { name: string; architecture: string; precision: string; parameters: number };
  tensors: { precision: string; bytes: number }[];
  shards: { sha256: string; bytes: number }[];
  files: Record<string, { sha256: string; bytes: number }>;
}

/** Reads a manifest. */
export function readManifest(content: Uint8Array): ManifestFacts {
  try {
    const { model, tensors, shards, files } = JSON.parse(new TextDecoder().decode(content)) as ManifestJson;
    const { name, architecture, precision, parameters } = model;
    const formats: Record<string, number> = {};
    for (const { precision: format, bytes } of tensors) formats[format] = (formats[format] ?? 0) + bytes;
    const weights = shards.map(({ sha256, bytes }) => ({ path: `weights/${sha256}.bin`, bytes, sha256 }));
    const others = Object.entries(files).map(([path, { sha256, bytes }]) => ({ path, bytes, sha256 }));
    const text = others.filter(({ path }) => TEXT_FILES.includes(path));
    return {
      name,
      architecture,
      precision,
      formats,
      parameters,
      weightBytes: shards.reduce((sum, { bytes }) => sum + bytes, 0),
      needed: unique([...weights, ...text]),
      files: unique([...weights, ...others]),
    };
  } catch (e) {
    const message = `manifest.json: not the manifest of a bundle: ${(e as Error).message}`;
    throw makeError("bundle", message, { file: "manifest.json" }, e);
  }
}

/** The first file of each content. */
function unique(files: FileRef[]): FileRef[] {
  const seen = new Set<string>();
  return files.filter(({ sha256 }) => !seen.has(sha256) && seen.add(sha256));
}
