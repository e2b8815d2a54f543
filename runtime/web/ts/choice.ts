// Whether a model computes on the GPU or on the CPU.

import type { BackendChoice } from "./api";
import type { AdapterSpeed } from "./gpu/measure";
import type { Store } from "./load/contract";
import { sha256 } from "./load/digest";
import type { Cost } from "./runtime";
import { TEXT_TOKENS } from "./wasm/features";
import type { CpuSpeed } from "./wasm/measure";

/** Submissions that may be under way at once, which hides that results come late. */
const DEPTH = 16;
/** What threads take to meet after each kernel. */
const MEETING_MS = 0.004;
/** The GPU is preferred unless it is slower by this factor, because it leaves the CPU to the page. */
const TOLERANCE = 1.25;
/** Integer dot products do more than the floating-point ones that are measured. */
const INTEGER_GAIN = { baseline: 1, relaxed: 2 } as const;
/** Verdicts of other versions of this file are not looked at. */
const VERSION = 1;

/** The CPU as it will be used. */
export interface Cpu {
  threads: number;
  simd: "baseline" | "relaxed";
}

/** Milliseconds that a call is expected to take on either side. */
export function estimate(
  cost: Cost,
  adapter: AdapterSpeed,
  speed: CpuSpeed,
  { threads, simd }: Cpu,
): { webgpuMs: number; wasmMs: number } {
  const flop = 2 * cost.weights * (cost.tokens ?? TEXT_TOKENS);
  const ms = (amount: number, perSecond: number): number => amount / perSecond / 1e6;
  // What cannot be seen counts as nothing, in favour of the GPU.
  const known = (value: number): number => (Number.isFinite(value) ? value : 0);
  const busy =
    cost.steps * known(adapter.dispatchMs) +
    Math.max(known(ms(cost.bytes, adapter.gbps)), known(ms(flop, adapter.gflops)));
  // Tokens of a text follow one another without waiting for the host; a text that is taken at once waits.
  const webgpuMs = cost.tokens === null ? busy + adapter.latencyMs : Math.max(busy, adapter.latencyMs / DEPTH);
  const gflops = speed.gflops * INTEGER_GAIN[simd] * (1 + 0.8 * (threads - 1));
  const gbps = speed.gbps * Math.sqrt(Math.min(threads, 4));
  const meeting = threads > 1 ? MEETING_MS : MEETING_MS / 4;
  const wasmMs = cost.steps * meeting + Math.max(ms(cost.bytes, gbps), ms(flop, gflops));
  return { webgpuMs, wasmMs };
}

/** The better side by these estimates, with the reason. */
export function compare(estimates: { webgpuMs: number; wasmMs: number }): BackendChoice {
  const { webgpuMs, wasmMs } = estimates;
  const [gpu, cpu] = [webgpuMs, wasmMs].map((ms) => `${ms.toPrecision(2)} ms`);
  const faster = webgpuMs <= TOLERANCE * wasmMs ? "webgpu" : "wasm";
  const reason = `a call should take ${gpu} on WebGPU and ${cpu} on WebAssembly`;
  return { backend: faster, asked: "auto", reason, estimates };
}

/** Under what a verdict is kept: it holds for a bundle, an adapter and a way to use the CPU. */
export async function verdictKey(parts: unknown): Promise<string> {
  return `choice-${await sha256(new TextEncoder().encode(JSON.stringify([VERSION, parts])))}`;
}

/** The verdict of an earlier visit. */
export async function recall(store: Store | null, key: string): Promise<BackendChoice | null> {
  const content = await store?.get(key);
  if (!content) return null;
  try {
    const { webgpuMs, wasmMs } = JSON.parse(new TextDecoder().decode(content)) as { webgpuMs: number; wasmMs: number };
    const sound = [webgpuMs, wasmMs].every((ms) => Number.isFinite(ms) && ms >= 0);
    return sound ? compare({ webgpuMs, wasmMs }) : null;
  } catch {
    // Measured again, then.
    return null;
  }
}

/** Keeps a verdict for the next visit. */
export async function remember(store: Store | null, key: string, { estimates }: BackendChoice): Promise<void> {
  if (estimates) await store?.put(key, new TextEncoder().encode(JSON.stringify(estimates)));
}
