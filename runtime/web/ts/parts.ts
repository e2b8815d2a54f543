// Where the parts of this package lie: beside this script, unless the caller says otherwise.

import type { LoadOptions } from "./api";
import { makeError } from "./errors";
import { addressOf } from "./platform";

/** The addresses of the parts. */
export interface Parts {
  /** The script with the engine, which also runs in all workers. */
  engine: string;
  /** The runtime. */
  wasm: string;
  /** The engine of chat templates, which only models that chat load. */
  template: string;
}

/** What callers may say about it. */
type Wishes = Pick<LoadOptions, "workerUrl" | "wasmUrl" | "baseUrl">;

/** The addresses of all parts; relative ones are relative to the page. */
export function findParts({ workerUrl, wasmUrl, baseUrl }: Wishes): Parts {
  const base = baseUrl === undefined ? null : folderOf(baseUrl);
  const find = (given: string | URL | undefined, name: string, beside: () => URL): string => {
    if (given !== undefined) return addressOf(given).href;
    if (base !== null) return new URL(name, base).href;
    try {
      return beside().href;
    } catch (e) {
      // A script that is no module has no address.
      const message = `the address of ${name} is unknown: after bundling, this script is no ES module`;
      const remedy = "pass baseUrl, the address of a folder with copies of the package's files";
      throw makeError("unsupported", `${message}: ${remedy}`, {}, e);
    }
  };
  // Bundlers know these expressions, and copy the files that they name.
  return {
    engine: find(workerUrl, "engine.js", () => new URL("./engine.js", import.meta.url)),
    wasm: find(wasmUrl, "gristmill_web_bg.wasm", () => new URL("./gristmill_web_bg.wasm", import.meta.url)),
    template: find(undefined, "template.js", () => new URL("./template.js", import.meta.url)),
  };
}

/** The address of a folder, with a slash at its end. */
export function folderOf(given: string | URL): string {
  const base = new URL(addressOf(given));
  base.search = base.hash = "";
  if (!base.pathname.endsWith("/")) base.pathname += "/";
  return base.href;
}
