// From navigator.gpu to a device, or to an error that says what is missing and what to do.

import type { AdapterInfo } from "../api";
import { makeError } from "../errors";

/** WebGPU features that variants of kernels may require. */
const FEATURES = ["shader-f16", "subgroups"];

/** Limits of which more than the default is of use. */
const LIMITS = [
  "maxBufferSize",
  "maxStorageBufferBindingSize",
  "maxStorageBuffersPerShaderStage",
  "maxComputeWorkgroupStorageSize",
  "maxComputeInvocationsPerWorkgroup",
  "maxComputeWorkgroupSizeX",
  "maxComputeWorkgroupSizeY",
  "maxComputeWorkgroupSizeZ",
  "maxComputeWorkgroupsPerDimension",
] as const;

const WHERE =
  "Chrome and Edge have it since 113, Firefox since 141 (Windows) or 145 (macOS), Safari since 26; " +
  "chrome://gpu or about:support shows why it is off.";

/** By which kernels are timed. */
export const TIMER = "timestamp-query";

/** An opened device and what it is. */
export interface Opened {
  device: GPUDevice;
  info: AdapterInfo;
  /** Whether the adapter has a clock for kernels. */
  hasTimer: boolean;
}

/** What is wanted of an adapter. */
export interface AdapterWishes {
  /** WebGPU features that are not to be used. */
  without: string[];
  /** Limits that count as lower than they are. */
  limits: Record<string, number>;
  /** Whether kernels will be timed. */
  timing?: boolean;
}

/** Opens the best adapter, with the most that it offers, apart from what is not to be used. */
export async function openAdapter({ without, limits: lowered, timing = false }: AdapterWishes): Promise<Opened> {
  known("without", without, [...FEATURES, TIMER]);
  known("limits", Object.keys(lowered), LIMITS);
  const gpu = (globalThis.navigator as Navigator | undefined)?.gpu;
  if (!gpu && !globalThis.isSecureContext) {
    throw makeError("no-webgpu", "browsers offer WebGPU on https and localhost only; serve this page from there");
  }
  if (!gpu) throw makeError("no-webgpu", `this browser has no WebGPU. ${WHERE}`);
  const adapter = await gpu.requestAdapter({ powerPreference: "high-performance" });
  if (!adapter) {
    throw makeError("no-webgpu", `this browser supports WebGPU, but has no graphics adapter. ${WHERE}`);
  }
  const offered = (name: string): boolean => adapter.features.has(name) && !without.includes(name);
  const hasTimer = offered(TIMER);
  // Only for those who time kernels: browsers may make the clock coarse for it, or kernels slower.
  const features = [...FEATURES.filter(offered), ...(timing && hasTimer ? [TIMER] : [])];
  const limits = Object.fromEntries(LIMITS.map((name) => [name, adapter.limits[name]]));
  let device: GPUDevice;
  try {
    device = await adapter.requestDevice({
      label: "gristmill",
      requiredFeatures: features as GPUFeatureName[],
      requiredLimits: limits,
    });
  } catch (e) {
    throw makeError("no-webgpu", `the graphics adapter failed to create a device: ${(e as Error).message}`, {}, e);
  }
  const { vendor = "", architecture = "", description = "", isFallbackAdapter = false } = adapter.info ?? {};
  const lower = Object.entries(limits).map(([name, most]) => [name, Math.min(most, lowered[name] ?? most)]);
  const used = { features, limits: Object.fromEntries(lower) as Record<string, number> };
  return { device, hasTimer, info: { vendor, architecture, description, fallback: isFallbackAdapter, ...used } };
}

/** Rejects names that would change nothing. */
function known(option: string, names: string[], all: readonly string[]): void {
  const other = names.find((name) => !all.includes(name));
  if (other !== undefined) throw makeError("input", `${option}: expected ${all.join(", ")}, found ${other}`);
}
