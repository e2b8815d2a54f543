// Calls kernels of a module one by one, with buffers that hold harmless numbers.

import { time } from "./time.js";
import { measureYardsticks } from "./yardsticks.js";

const PAGE = 65536;
/** What kernels may read behind the last buffer. */
const BEHIND = 64;
const align = (value, to) => Math.ceil(value / to) * to;

/** Numbers that are neither tiny, which is slow, nor without value, read as bytes, as f16 or as f32. */
function fill(bytes) {
  let state = 1;
  for (let i = 0; i < bytes.length; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    bytes[i] = i % 2 ? 0x38 | (state >>> 29) : state >>> 24;
  }
}

/** Instantiates a module with memory for `bytes` of data behind its constants. */
async function instantiate(module, bytes) {
  const memory = new WebAssembly.Memory({ initial: 64, maximum: PAGE });
  const { exports } = await WebAssembly.instantiate(module, { gristmill: { memory } });
  const missing = align(exports.heap_base.value + bytes, PAGE) - memory.buffer.byteLength;
  if (missing > 0) memory.grow(missing / PAGE);
  return { exports, memory, base: exports.heap_base.value };
}

/** Seconds of one call of the list. */
async function measureCall(module, symbols, call, options) {
  const scratch = WebAssembly.Module.exports(module).some(({ name }) => name === "scratch_bytes");
  if (!scratch) throw new Error("expected the module to export scratch_bytes, found that it does not");
  const buffers = call.buffers.map((size) => align(size, 64) + BEHIND);
  const tables = 4 * (symbols.length + 1 + buffers.length) + 256;
  const { exports, memory, base } = await instantiate(module, buffers.reduce((a, b) => a + b, tables + (64 << 20)));
  let free = align(base, 64);
  const take = (size) => {
    const at = free;
    free = align(free + size, 64);
    return at;
  };
  const places = buffers.map(take);
  const symbolsAt = take(4 * symbols.length);
  const args = take(4 * (buffers.length + 1));
  const scratchAt = take(exports.scratch_bytes.value);
  if (free > memory.buffer.byteLength) throw new Error(`${call.label}: the scratch memory is larger than expected`);
  places.forEach((at, i) => fill(new Uint8Array(memory.buffer, at, buffers[i])));
  new Uint32Array(memory.buffer, symbolsAt).set(symbols);
  new Uint32Array(memory.buffer, args).set([symbolsAt, ...places]);
  const kernel = exports[call.kernel];
  if (!kernel) throw new Error(`${call.label}: the module has no kernel ${call.kernel}`);
  return time(() => kernel(args, 0, call.grid, scratchAt), options);
}

/** Measures the calls of `calls.json` in the modules beside it. */
async function measureKernels(only, options) {
  const { symbols, calls } = await (await fetch("/kernels/calls.json")).json();
  const found = [];
  for (const name of ["relaxed", "baseline"]) {
    const bytes = await (await fetch(`/kernels/${name}.wasm`)).arrayBuffer();
    if (!WebAssembly.validate(bytes)) {
      if (name === "baseline") throw new Error("expected baseline.wasm to be valid, found that it is not");
      continue;
    }
    const module = await WebAssembly.compile(bytes);
    for (const call of calls.filter(({ label }) => new RegExp(only).test(label))) {
      const seconds = await measureCall(module, Object.values(symbols), call, options);
      found.push({ label: call.label, module: name, seconds, ops: call.ops, bytes: call.weight_bytes });
    }
  }
  return found;
}

/** Rates of the CPU and, if there are any, of kernels. */
export async function kernels({ folder, only, ...options }) {
  const yardsticks = await measureYardsticks(options);
  return { yardsticks, kernels: folder ? await measureKernels(only, options) : [] };
}
