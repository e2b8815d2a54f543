// From the kernel modules of a bundle to a target that only lacks weights.

import type { CpuInfo } from "../api";
import { guard, WASM_PROFILE, type Bundle } from "../bundle";
import { makeError, type GristmillError } from "../errors";
import { placeWeights } from "../load/weights";
import { noSimd } from "../refusal";
import type { Cost, KernelModule, MachineSetup } from "../runtime";
import type { Prepared, Target } from "../target";
import { abilities, featuresOf, fitting, type Abilities, type Wishes } from "./features";
import { KernelInstance } from "./instance";
import { compileKernels, instantiate, leastPages, makeMemory } from "./module";
import { noPool, openPool, type Pool } from "./pool";
import { LONG_SPIN } from "./spin";

/** Bytes that 32-bit addresses reach. */
const ADDRESS_SPACE = 2 ** 32;

/** What can be used of the CPU; throws if that is not enough, or not what was asked for. */
export function able(wishes: Wishes): Abilities {
  const found = abilities(wishes);
  if (!found.simd) throw noSimd();
  if (wishes.simd === "relaxed" && !found.relaxed) {
    const message = "this browser's WebAssembly has no relaxed SIMD; remove the option simd, or set it to baseline";
    throw makeError("unsupported", message);
  }
  return found;
}

/** Fetches programs and kernels, checks that the bundle fits in linear memory, and starts threads. */
export async function prepareWasm(bundle: Bundle, wishes: Wishes, signal: AbortSignal): Promise<Prepared> {
  const most = able(wishes);
  const { runtime } = bundle;
  if (!bundle.hasWasm) {
    const profiles = bundle.manifest.profiles.join(", ");
    const message = `this bundle has no WebAssembly, only programs for ${profiles}; compile it with --target all`;
    throw makeError("unsupported", message);
  }
  await bundle.setPrograms(WASM_PROFILE, signal);
  const found = fitting(most, wishes, JSON.parse(guard(() => runtime.cost())) as Cost);
  const features = featuresOf(found);
  // More than 32 bits reach is refused before anything else is fetched.
  const chosen = JSON.parse(guard(() => runtime.kernelModule(features, ADDRESS_SPACE))) as KernelModule;
  const { instance, setup } = await openKernels(bundle, chosen.file, found, signal);
  let addresses: Float64Array = new Float64Array();
  return {
    target: targetOf(instance, bundle),
    profile: WASM_PROFILE,
    settled: Promise.resolve(),
    open: async () => {
      const placed = runtime.openInstance(instance as never, JSON.stringify(setup), bundle.files as never);
      addresses = (await placed) as Float64Array;
    },
    weights: async (stop) => {
      const place = (tensor: number, offset: number, content: Uint8Array): void =>
        instance.write((addresses[tensor] ?? 0) + offset, content);
      await placeWeights({ source: bundle.source, ...bundle.plan, signal: stop }, place);
      return [];
    },
  };
}

/** Kernels that are ready to run, and what the runtime is told of them. */
export interface OpenKernels {
  instance: KernelInstance;
  setup: MachineSetup;
}

/** Fetches a module of kernels, instantiates it, and starts its threads. */
export async function openKernels(
  bundle: Bundle,
  file: string,
  found: Abilities,
  signal: AbortSignal,
): Promise<OpenKernels> {
  const bytes = await bundle.file(file, signal);
  const module = await compileKernels(bytes, file);
  const { memory, limit } = makeMemory(leastPages(bytes), found.threads > 1);
  // Where no threads can be had after all, one does the work of all.
  let single = found.single;
  const alone = (error: GristmillError): Pool => ((single = error.message), noPool());
  const opening = openPool(module, memory, found.threads - 1).catch(alone);
  const exports = await instantiate(module, memory, file).catch(async (e: unknown) => {
    (await opening).close();
    throw e;
  });
  const pool = await opening;
  const cpu: CpuInfo = {
    threads: pool.size + 1,
    simd: found.relaxed ? "relaxed" : "baseline",
    ...(single && { single }),
  };
  const instance = new KernelInstance({ memory, exports, file, pool, limit, cpu });
  const { heapBase, scratchBytes } = exports;
  const features = featuresOf(found);
  return { instance, setup: { heapBase, scratchBytes, workers: instance.workers, spin: LONG_SPIN, features, limit } };
}

function targetOf(instance: KernelInstance, { runtime }: Bundle): Target {
  let known: [number, number, number] = [0, 0, 0];
  return {
    kind: "wasm",
    adapter: null,
    cpu: instance.cpu,
    offloaded: [],
    module: instance.file,
    memory: () => {
      // While a call is under way nobody can be asked.
      const told = runtime.instanceMemory();
      if (told) known = [told[0] ?? 0, told[1] ?? 0, told[2] ?? 0];
      const [weights, states, scratch] = known;
      // Linear memory never shrinks.
      return { weights, states, scratch, total: instance.size, peak: instance.size };
    },
    startTiming() {
      instance.startTiming();
      return true;
    },
    stopTiming: async () => instance.stopTiming(),
    lossBehindError: async () => instance.loss,
    lose: () => instance.fail(makeError("device-lost", "the kernels were stopped")),
    close: () => instance.close(),
  };
}
