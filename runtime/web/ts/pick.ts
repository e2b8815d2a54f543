// From a bundle to what executes it: opens what was asked for, or what is best here.

import type { BackendChoice, LoadOptions } from "./api";
import type { Bundle } from "./bundle";
import { guard } from "./bundle";
import { compare, estimate, recall, remember, verdictKey } from "./choice";
import { asError, type GristmillError } from "./errors";
import type { AdapterWishes } from "./gpu/adapter";
import { Device } from "./gpu/device";
import { prepareGpu } from "./gpu/prepare";
import type { Store } from "./load/contract";
import type { Cost } from "./runtime";
import type { Prepared } from "./target";
import { abilities, featuresOf, fitting, type Wishes } from "./wasm/features";
import { measureCpu } from "./wasm/measure";
import { prepareWasm } from "./wasm/prepare";

/** What the caller wants. */
export interface PickArgs extends Wishes, AdapterWishes {
  backend: NonNullable<LoadOptions["backend"]>;
  profile: string | null;
}

/** A target and why it was taken. */
export interface Picked {
  prepared: Prepared;
  choice: BackendChoice;
}

/** Everything that picking needs. */
interface Task {
  bundle: Bundle;
  args: PickArgs;
  store: Store | null;
  signal: AbortSignal;
}

/**
 * Opens the device that was asked for, or the better one. `opening` is the GPU that is being opened; it is
 * closed if it is not taken.
 */
export async function pick(task: Task, opening: Promise<Device> | null): Promise<Picked> {
  const { bundle, args } = task;
  const asked = args.backend;
  if (asked === "wasm") return onCpu(task, { asked, reason: "it was requested" });
  if (asked === "webgpu") return onAdapter(task, await opened(opening, args), { asked, reason: "it was requested" });
  if (!bundle.hasWasm) {
    const reason = "the bundle has no WebAssembly";
    return onAdapter(task, await opened(opening, args), { asked, reason });
  }
  if (!bundle.hasWebGPU) {
    await close(opening);
    return onCpu(task, { asked, reason: "the bundle has no programs for WebGPU" });
  }
  let device: Device;
  try {
    device = await opened(opening, args);
  } catch (e) {
    const error = asError(e);
    if (error.code !== "no-webgpu") throw error;
    return onCpu(task, { asked, reason: error.message }, error);
  }
  return better(task, device);
}

/** A new device in the place of one that is lost. Where the browser gives none any more, the CPU goes on. */
export async function pickAgain(task: Task, kind: Prepared["target"]["kind"], choice: BackendChoice): Promise<Picked> {
  const { asked, reason } = choice;
  if (kind === "wasm") return onCpu(task, { asked, reason });
  let device: Device;
  try {
    device = await Device.open(task.args);
  } catch (e) {
    const error = asError(e);
    if (asked !== "auto" || !task.bundle.hasWasm || error.code !== "no-webgpu") throw error;
    const instead = "the GPU was lost, and the browser has no other";
    return onCpu(task, { asked, reason: instead }, error);
  }
  const prepared = await prepare(task, device);
  return { prepared, choice };
}

/** With an adapter and programs for both: by what is known of the adapter, by limits, or by an estimate. */
async function better(task: Task, device: Device): Promise<Picked> {
  const { args } = task;
  const asked = args.backend;
  const { simd } = abilities(args);
  if (!simd) return onAdapter(task, device, { asked, reason: "the browser's WebAssembly has no SIMD" });
  if (device.adapter.fallback) {
    return instead(task, device, { asked, reason: "the browser's WebGPU runs on the CPU" });
  }
  let prepared: Prepared;
  try {
    prepared = await prepare(task, device);
  } catch (e) {
    const error = asError(e);
    if (error.code !== "limit") throw error;
    return onCpu(task, { asked, reason: error.message }, error);
  }
  // Measurements that go on at the same time would disturb one another.
  await prepared.settled.catch(() => {});
  const choice = await verdict(task, device);
  return choice.backend === "webgpu" ? { prepared, choice } : instead(task, device, choice);
}

/** The better side by measurement, of now or of an earlier visit. */
async function verdict({ bundle, args, store }: Task, device: Device): Promise<BackendChoice> {
  const { vendor, architecture, description } = device.adapter;
  const cost = JSON.parse(guard(() => bundle.runtime.cost())) as Cost;
  const found = fitting(abilities(args), args, cost);
  const { threads } = found;
  const how = [args.without, args.limits, threads, featuresOf(found)];
  const key = await verdictKey([vendor, architecture, description, bundle.plan.shards.map((s) => s.sha256), how]);
  const known = await recall(store, key);
  if (known) return known;
  try {
    // One after the other: they would share the CPU.
    const adapter = await device.measure();
    const speed = await measureCpu();
    const simd = found.relaxed ? "relaxed" : "baseline";
    const choice = compare(estimate(cost, adapter, speed, { threads, simd }));
    await remember(store, key, choice);
    return choice;
  } catch (e) {
    const lost = await device.lossBehindError();
    if (lost) throw lost;
    const reason = `the GPU could not be measured: ${asError(e).message}`;
    return { backend: "webgpu", asked: "auto", reason, estimates: null };
  }
}

/** The CPU instead of a device that is there; that device if the CPU cannot do it. */
async function instead(task: Task, device: Device, why: Why): Promise<Picked> {
  let picked: Picked;
  try {
    picked = await onCpu(task, why);
  } catch (e) {
    const error = asError(e);
    if (error.code !== "limit" && error.code !== "out-of-memory") {
      device.close();
      throw error;
    }
    return onAdapter(task, device, { asked: why.asked, reason: `WebAssembly cannot hold the model: ${error.message}` });
  }
  device.close();
  return picked;
}

type Why = Pick<BackendChoice, "asked" | "reason"> & Partial<BackendChoice>;

/** The GPU, which is closed again if it cannot be used. */
async function onAdapter(task: Task, device: Device, why: Why): Promise<Picked> {
  return { prepared: await prepare(task, device), choice: { estimates: null, ...why, backend: "webgpu" } };
}

async function prepare({ bundle, args, signal }: Task, device: Device): Promise<Prepared> {
  try {
    return await prepareGpu(bundle, device, args, signal);
  } catch (e) {
    const loss = await device.lossBehindError();
    device.close();
    throw loss ?? e;
  }
}

/** The CPU. `refusal` is what spoke against the GPU: if neither will do, both are told. */
async function onCpu(task: Task, why: Why, refusal?: GristmillError): Promise<Picked> {
  try {
    const prepared = await prepareWasm(task.bundle, task.args, task.signal);
    return { prepared, choice: { estimates: null, ...why, backend: "wasm" } };
  } catch (e) {
    const error = asError(e);
    if (!refusal || !["limit", "unsupported", "no-wasm"].includes(error.code)) throw error;
    // A browser that can do neither is the trouble, whichever it lacks; most have WebAssembly.
    const [first, second, who] = error.code === "no-wasm" ? [error, refusal, "GPU"] : [refusal, error, "CPU"];
    first.message += `; the ${who} cannot run it either: ${second.message}`;
    throw first;
  }
}

function opened(opening: Promise<Device> | null, args: PickArgs): Promise<Device> {
  return opening ?? Device.open(args);
}

async function close(opening: Promise<Device> | null): Promise<void> {
  (await opening?.catch(() => null))?.close();
}
