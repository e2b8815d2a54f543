// SHA-256 by the browser.

import { makeError } from "../errors";

/** The lower-case hexadecimal SHA-256 of a content. */
export async function sha256(content: Uint8Array): Promise<string> {
  const digest = new Uint8Array(await subtle().digest("SHA-256", content as Uint8Array<ArrayBuffer>));
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

function subtle(): SubtleCrypto {
  const found = (globalThis.crypto as Crypto | undefined)?.subtle as SubtleCrypto | undefined;
  if (found) return found;
  const message =
    "browsers offer WebGPU and hashes only in secure contexts: " +
    "open the page from https:// or http://localhost";
  throw makeError("no-webgpu", message);
}
