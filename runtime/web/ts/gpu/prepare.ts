// From a graphics device to a target that only lacks weights.

import { guard, type Bundle } from "../bundle";
import { loadWeights } from "../load/weights";
import { familiesOf } from "../profile";
import type { Prepared } from "../target";
import type { Device } from "./device";

/** Fetches programs for the device and checks that the bundle fits it. */
export async function prepareGpu(
  bundle: Bundle,
  device: Device,
  wish: string | null,
  signal: AbortSignal,
): Promise<Prepared> {
  const settled = device.calibrate();
  settled.catch(() => {});
  const { runtime, source, plan } = bundle;
  const profile = guard(() => runtime.profile(wish ?? undefined, familiesOf(navigator)));
  await bundle.setPrograms(profile, signal);
  guard(() => runtime.admit(device as never));
  return {
    target: device,
    profile,
    settled,
    open: () => runtime.open(device as never, bundle.files as never) as Promise<void>,
    weights: (stop) => loadWeights({ source, ...plan, device: device.forWeights(), signal: stop }),
  };
}
