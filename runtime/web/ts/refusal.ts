// Why a model cannot run here at all.

import { makeError, type GristmillError } from "./errors";

/** A module of nothing. */
const EMPTY = [0, 97, 115, 109, 1, 0, 0, 0];

/** Why the runtime, which is WebAssembly itself, cannot run here at all; null if it can. */
export function refusal(): GristmillError | null {
  if (typeof WebAssembly === "undefined") {
    const message = "this browser has no WebAssembly, or it is switched off (lockdown mode, hardened settings)";
    return makeError("no-wasm", message, { what: "WebAssembly" });
  }
  try {
    new WebAssembly.Module(Uint8Array.from(EMPTY));
    return null;
  } catch (e) {
    return blocked(e);
  }
}

/** The error of a page whose policy forbids WebAssembly. */
export function blocked(cause: unknown): GristmillError {
  const message =
    "the page's Content-Security-Policy forbids WebAssembly: add 'wasm-unsafe-eval' to its script-src, in the " +
    "headers of the page and of the runtime's scripts";
  return makeError("blocked", message, { what: "script-src 'wasm-unsafe-eval'" }, cause);
}

/** The error of a browser whose WebAssembly has no vectors. */
export function noSimd(): GristmillError {
  const message = "this browser's WebAssembly has no SIMD, which the kernels need; Chrome has it since 91, Firefox since 89, " +
    "Safari since 16.4";
  return makeError("no-wasm", message, { what: "SIMD" });
}
