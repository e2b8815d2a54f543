// The kernels of the programs in use: what they are for, where they are, and what they take.

import type { KernelInfo, KernelTime, KernelTimes } from "./api";
import type { Bundle } from "./bundle";
import { makeError } from "./errors";
import type { Target } from "./target";
import type { TimedKernel } from "./timing";

/** What is read of a programs file, see docs/bundle.md. */
interface ProgramsJson {
  kernels: KernelJson[];
  fallbacks?: KernelJson[];
  programs: Record<string, { steps: StepJson[] }>;
}
interface KernelJson {
  name: string;
  variants: { requires: string[]; file: string }[];
}
interface StepJson {
  nodes: string;
  dispatches: DispatchJson[];
  fallback?: DispatchJson[];
}
interface DispatchJson {
  kernel: number;
}

/** The kernels that a target runs. */
export interface KernelSet {
  all(): KernelInfo[];
  /** What was measured, with names, the longest first. */
  named(timed: TimedKernel[]): KernelTimes;
  /** The text of a kernel; null if it has none. */
  shader(name: string): Promise<string | null>;
}

/** Reads the programs that a target runs. */
export async function openKernelSet(bundle: Bundle, target: Target, profile: string): Promise<KernelSet> {
  const json = await bundle.text(bundle.runtime.programsPath(profile), undefined);
  const { webgpu, wasm } = kernelsOf(JSON.parse(json) as ProgramsJson, target);
  return {
    all: () => [...webgpu, ...wasm],
    named(timed) {
      const byName = new Map(webgpu.map((kernel) => [kernel.name, kernel]));
      const kernels = timed.map(({ backend, kernel, steps, ms }): KernelTime => {
        const known = typeof kernel === "number" ? wasm[kernel] : byName.get(kernel);
        const info = known ?? { name: String(kernel), nodes: "", backend, file: "" };
        return { ...info, steps, ms };
      });
      kernels.sort((a, b) => b.ms - a.ms);
      return { ms: kernels.reduce((sum, { ms }) => sum + ms, 0), kernels };
    },
    async shader(name) {
      const found = webgpu.find((kernel) => kernel.name === name);
      if (found) return bundle.text(found.file, undefined);
      if (wasm.some((kernel) => kernel.name === name)) return null;
      throw makeError("input", `no kernel is called ${name}; model.kernels() lists them`);
    },
  };
}

/** Kernels by what runs them, in the order of their numbers. */
function kernelsOf({ kernels, fallbacks = [], programs }: ProgramsJson, target: Target): Record<"webgpu" | "wasm", KernelInfo[]> {
  const steps = Object.values(programs).flatMap((program) => program.steps);
  const inModule = (list: KernelJson[], nodes: string[]): KernelInfo[] =>
    list.map(({ name }, at) => ({ name, nodes: nodes[at] ?? "", backend: "wasm", file: target.module ?? "" }));
  const own = firstNodes(steps, ({ dispatches }) => dispatches);
  if (target.kind === "wasm") return { webgpu: [], wasm: inModule(kernels, own) };
  const features = target.adapter?.features ?? [];
  const webgpu = kernels.map(({ name, variants }, at): KernelInfo => {
    // As the runtime chooses.
    const variant = variants.find(({ requires }) => requires.every((feature) => features.includes(feature)));
    return { name, nodes: own[at] ?? "", backend: "webgpu", file: variant?.file ?? "" };
  });
  const beside = firstNodes(steps, ({ fallback }) => fallback ?? []);
  return { webgpu, wasm: target.module === null ? [] : inModule(fallbacks, beside) };
}

/** The nodes of the first step of each kernel. */
function firstNodes(steps: StepJson[], dispatches: (step: StepJson) => DispatchJson[]): string[] {
  const found: string[] = [];
  for (const step of steps) for (const { kernel } of dispatches(step)) found[kernel] ??= step.nodes;
  return found;
}
