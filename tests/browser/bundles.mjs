// The bundles that the tests run, and what the native runtime says about each. README.md describes the files.

import { existsSync, readFileSync, readdirSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";

/** The repository. */
export const ROOT = path.resolve(path.dirname(fileURLToPath(import.meta.url)), "../..");
/** Where bundles are, unless the caller says otherwise. */
export const BUNDLES = path.join(ROOT, "target/browser/bundles");
/** The format of expectations that these tests read. */
const VERSION = 1;

/** All bundles of a folder: `{ name, folder, expected }`. Throws if there are none, or one is not complete. */
export function readBundles(folder) {
  const names = existsSync(folder) ? readdirSync(folder, { withFileTypes: true }) : [];
  const found = names.filter((entry) => entry.isDirectory()).map((entry) => readBundle(folder, entry.name));
  if (found.length === 0) {
    throw new Error(`expected bundles in ${folder}, found none; tests/browser/README.md says how they are made`);
  }
  return found.sort((a, b) => a.name.localeCompare(b.name));
}

function readBundle(folder, name) {
  const file = path.join(folder, `${name}.json`);
  for (const needed of [
    file,
    path.join(folder, name, "manifest.json"),
    path.join(folder, name, "runtime/gristmill.js"),
  ]) {
    if (!existsSync(needed)) throw new Error(`${needed} is missing; make the bundles again (tests/browser/README.md)`);
  }
  const expected = JSON.parse(readFileSync(file, "utf8"));
  if (expected.version !== VERSION) throw new Error(`${file}: expected version ${VERSION}, found ${expected.version}`);
  const manifest = JSON.parse(readFileSync(path.join(folder, name, "manifest.json"), "utf8"));
  return {
    name,
    folder: path.join(folder, name),
    manifest,
    shards: manifest.shards.map((shard) => ({ path: `weights/${shard.sha256}.bin`, bytes: shard.bytes })),
    generate: expected.generate ?? [],
    embed: expected.embed ?? [],
    classify: expected.classify ?? [],
    label: expected.label ?? [],
    detect: expected.detect ?? [],
    transcribe: expected.transcribe ?? [],
    imagePrompts: expected.imagePrompts ?? [],
    compare: expected.compare ?? [],
    run: expected.run ?? [],
    /** Limits below which some steps move; null if the bundle was not made for that. */
    limits: expected.limits ?? null,
    /** What differs by WebAssembly, which rounds activations where quantized weights meet them. */
    wasm: { generate: expected.wasm?.generate ?? [], embed: expected.wasm?.embed ?? [] },
  };
}

/** The elements of a tensor in base64. */
export function elements({ elem, data }) {
  const bytes = Buffer.from(data, "base64");
  const buffer = bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length);
  return elem === "i32" ? new Int32Array(buffer) : new Float32Array(buffer);
}

/** Vectors, as `embed` in the page gives them. */
export const vector = (data) => elements({ elem: "f32", data });

/**
 * The largest error of an f32 tensor, in standard deviations of the expected one. `mask`: elements of an input
 * `[B, T]`; what stands where it is zero does not count.
 */
export function worstError(expected, found, mask) {
  const want = elements(expected);
  const got = elements(found);
  if (String(expected.shape) !== String(found.shape) || want.length !== got.length) {
    throw new Error(`expected the shape [${expected.shape}], found [${found.shape}]`);
  }
  const inner = mask ? want.length / mask.length : 1;
  let worst = 0;
  for (let at = 0; at < want.length; at++) {
    if (mask && mask[Math.floor(at / inner)] === 0) continue;
    // Not a number must not pass as no error.
    const error = Math.abs(want[at] - got[at]);
    if (!(error <= worst)) worst = Number.isNaN(error) ? Infinity : error;
  }
  return worst / (expected.std || deviation(want));
}

function deviation(values) {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  return Math.sqrt(values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length) || 1;
}
