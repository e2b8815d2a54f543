// A kernel module of a bundle: compiled, given memory, instantiated, and held against what docs/bundle.md says of it.

import { makeError } from "../errors";

const PAGE = 65536;
/** Pages that 32-bit addresses reach. */
const MOST_PAGES = 65536;
const IMPORT_SECTION = 2;
const MEMORY = 2;

/** The functions and constants of a module that is instantiated. */
export interface KernelExports {
  heapBase: number;
  scratchBytes: number;
  run(control: number): number;
}

/** Compiles verified bytes. */
export async function compileKernels(bytes: Uint8Array<ArrayBuffer>, file: string): Promise<WebAssembly.Module> {
  try {
    return await WebAssembly.compile(bytes);
  } catch (e) {
    throw makeError("bundle", `${file}: the browser rejected it: ${(e as Error).message}`, { file }, e);
  }
}

/** Pages that a module wants its memory to have at least; 1 if it does not say. */
export function leastPages(bytes: Uint8Array): number {
  let at = 8;
  const byte = (): number => bytes[at++] ?? 0;
  const number = (): number => {
    let value = 0;
    for (let shift = 0; shift < 35; shift += 7) {
      const next = byte();
      value += (next & 127) * 2 ** shift;
      if (next < 128) break;
    }
    return value;
  };
  const text = (): string => {
    const length = number();
    at += length;
    return new TextDecoder().decode(bytes.slice(at - length, at));
  };
  while (at < bytes.length) {
    const section = byte();
    const end = number() + at;
    if (section === IMPORT_SECTION) {
      const count = number();
      // Kernels import their memory and nothing else, so it is the first import.
      const [, name, kind] = [text(), text(), byte()];
      if (count !== 1 || name !== "memory" || kind !== MEMORY) return 1;
      byte();
      return number();
    }
    at = end;
  }
  return 1;
}

/**
 * A memory that can grow as far as the device allows: some cannot set 4 GiB of addresses aside, though they never
 * need them.
 */
export function makeMemory(least: number, shared: boolean): { memory: WebAssembly.Memory; limit: number } {
  for (let maximum = MOST_PAGES; ; maximum /= 2) {
    try {
      return { memory: new WebAssembly.Memory({ initial: least, maximum, shared }), limit: maximum * PAGE };
    } catch (e) {
      if (maximum / 2 >= Math.max(least, 256)) continue;
      const needed = least * PAGE;
      throw makeError("out-of-memory", "the browser has no memory for WebAssembly", { what: "kernels", needed }, e);
    }
  }
}

/** Instantiates a module and checks what it exports. */
export async function instantiate(
  module: WebAssembly.Module,
  memory: WebAssembly.Memory,
  file: string,
): Promise<KernelExports> {
  let exports: WebAssembly.Exports;
  try {
    exports = (await WebAssembly.instantiate(module, { gristmill: { memory } })).exports;
  } catch (e) {
    if (e instanceof RangeError) throw makeError("out-of-memory", `${file}: ${e.message}`, { what: file }, e);
    throw makeError("bundle", `${file}: cannot be instantiated: ${(e as Error).message}`, { file }, e);
  }
  const constant = (name: string): number => {
    const found: unknown = exports[name];
    const value: unknown = found instanceof WebAssembly.Global ? found.value : undefined;
    if (typeof value === "number") return value >>> 0;
    throw makeError("bundle", `${file}: expected a number \`${name}\` among its exports`, { file });
  };
  const { run } = exports;
  if (typeof run !== "function") throw makeError("bundle", `${file}: expected a function \`run\``, { file });
  return {
    heapBase: constant("heap_base"),
    scratchBytes: constant("scratch_bytes"),
    run: run as KernelExports["run"],
  };
}
