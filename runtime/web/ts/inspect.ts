// What a bundle is before it is loaded, and the manifests that are stored.

import type { BundleInfo } from "./api";
import type { Store } from "./load/contract";
import { keptManifest } from "./load/source";
import { readManifest } from "./manifest";
import type { Shelf } from "./stored";

/** What a bundle is, and how much of it the store has. `id` is the key of its manifest. */
export async function describe(manifest: Uint8Array, id: string, store: Store | null): Promise<BundleInfo> {
  const { name, architecture, precision, formats, parameters, weightBytes, needed } = readManifest(manifest);
  const stored = new Map<string | null, number>();
  for (const { file, bytes } of (await store?.list()) ?? []) stored.set(file, (stored.get(file) ?? 0) + bytes);
  const downloadBytes = needed.reduce((sum, { bytes }) => sum + bytes, 0);
  const storedBytes = needed.reduce((sum, { sha256, bytes }) => sum + Math.min(stored.get(sha256) ?? 0, bytes), 0);
  return { id, name, architecture, precision, formats, parameters, weightBytes, downloadBytes, storedBytes };
}

/** A store with its manifests. */
export function shelfOf(store: Store): Shelf {
  const facts: Shelf["facts"] = async (key) => {
    const manifest = await keptManifest(key, store);
    try {
      return manifest && readManifest(manifest);
    } catch {
      // Of another version, or damaged: its files belong to no bundle that is known.
      return null;
    }
  };
  return { store, facts };
}
