// From a GPU to a target that only lacks weights.

import { guard, type Bundle } from "../bundle";
import { loadWeights } from "../load/weights";
import { familiesOf } from "../profile";
import type { Prepared, Target } from "../target";
import { abilities, featuresOf, type Wishes } from "../wasm/features";
import { openKernels, type OpenKernels } from "../wasm/prepare";
import type { Device } from "./device";

/**
 * Fetches programs for the device and checks that the bundle fits it. Kernels for steps that exceed its limits come
 * along.
 */
export async function prepareGpu(
  bundle: Bundle,
  device: Device,
  wishes: Wishes & { profile: string | null },
  signal: AbortSignal,
): Promise<Prepared> {
  const settled = device.calibrate();
  settled.catch(() => {});
  const { runtime, source, plan } = bundle;
  const profile = guard(() => runtime.profile(wishes.profile ?? undefined, familiesOf(navigator)));
  await bundle.setPrograms(profile, signal);
  const offloaded = guard(() => runtime.admit(device as never));
  const fallbacks = offloaded.length > 0 ? await openFallbacks(bundle, wishes, signal) : null;
  device.alternates = fallbacks !== null;
  const [instance, setup] = fallbacks ? [fallbacks.instance, JSON.stringify(fallbacks.setup)] : [];
  return {
    target: fallbacks ? together(device, fallbacks, offloaded, bundle) : device,
    profile,
    settled,
    open: () => runtime.open(device as never, bundle.files as never, instance as never, setup) as Promise<void>,
    weights: (stop) => loadWeights({ source, ...plan, device: device.forWeights(), signal: stop }),
  };
}

/** Kernels beside the device; null where WebAssembly lacks what they are made of, and then only short texts will do. */
async function openFallbacks(bundle: Bundle, wishes: Wishes, signal: AbortSignal): Promise<OpenKernels | null> {
  const found = abilities(wishes);
  if (!found.simd) return null;
  const file = guard(() => bundle.runtime.fallbackModule(featuresOf(found)));
  return openKernels(bundle, file, found, signal);
}

/** A device with kernels beside it. */
function together(device: Device, { instance }: OpenKernels, offloaded: string[], { runtime }: Bundle): Target {
  let beside: [number, number, number] = [0, 0, 0];
  return {
    kind: "webgpu",
    adapter: device.adapter,
    cpu: instance.cpu,
    offloaded,
    module: instance.file,
    startTiming() {
      if (!device.startTiming()) return false;
      instance.startTiming();
      return true;
    },
    stopTiming: async () => [...(await device.stopTiming()), ...instance.stopTiming()],
    memory: () => {
      // While a call is under way nobody can be asked.
      const told = runtime.instanceMemory();
      if (told) beside = [told[0] ?? 0, told[1] ?? 0, told[2] ?? 0];
      const [, states, scratch] = beside;
      const own = device.memory();
      return {
        weights: own.weights,
        states: own.states + states,
        scratch: own.scratch + scratch,
        total: own.total + instance.size,
        peak: own.peak + instance.size,
      };
    },
    lossBehindError: async () => instance.loss ?? (await device.lossBehindError()),
    lose: () => device.lose(),
    close: () => {
      instance.close();
      device.close();
    },
  };
}
