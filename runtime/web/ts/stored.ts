// What the browser's storage has of bundles.

import type { BundleInfo, StoredBundle } from "./api";
import type { Store, StoredContent } from "./load/contract";
import { keptManifest } from "./load/source";
import { readManifest, type ManifestFacts } from "./manifest";

/** What a bundle is, and how much of it the store has. `id` is the key of its manifest. */
export async function describe(manifest: Uint8Array, id: string, store: Store | null): Promise<BundleInfo> {
  const { name, architecture, precision, formats, parameters, weightBytes, needed } = readManifest(manifest);
  const stored = new Map<string | null, number>();
  for (const { file, bytes } of (await store?.list()) ?? []) stored.set(file, (stored.get(file) ?? 0) + bytes);
  const downloadBytes = needed.reduce((sum, { bytes }) => sum + bytes, 0);
  const storedBytes = needed.reduce((sum, { sha256, bytes }) => sum + Math.min(stored.get(sha256) ?? 0, bytes), 0);
  return { id, name, architecture, precision, formats, parameters, weightBytes, downloadBytes, storedBytes };
}

/** The bundles that a store has files of, the last used first. */
export async function storedBundles(store: Store): Promise<StoredBundle[]> {
  const { bundles, others } = await survey(store);
  const all = bundles.map(({ id, name, own, shared }) => ({
    id,
    name,
    bytes: total(own) + total(shared),
    sharedBytes: total(shared),
    // Whoever lists bundles reads their manifests, which is no use of the model.
    lastUsed: latest([...own, ...shared].filter(({ key }) => key !== id)),
  }));
  if (others.length > 0) {
    all.push({ id: "", name: "", bytes: total(others), sharedBytes: 0, lastUsed: latest(others) });
  }
  return all.sort((a, b) => (b.lastUsed ?? 0) - (a.lastUsed ?? 0));
}

/** Removes what only this bundle needs; all there is without an id. Gives the bytes that this freed. */
export async function deleteStored(store: Store, id: string | null): Promise<number> {
  const chosen = id === null ? await store.list() : await ofBundle(store, id);
  for (const { key } of chosen) await store.remove(key);
  return total(chosen);
}

async function ofBundle(store: Store, id: string): Promise<StoredContent[]> {
  const { bundles, others } = await survey(store);
  return id === "" ? others : (bundles.find((bundle) => bundle.id === id)?.own ?? []);
}

/** A bundle with its contents: the manifest and files of its own, and files that other bundles have as well. */
interface Surveyed {
  id: string;
  name: string;
  own: StoredContent[];
  shared: StoredContent[];
}

/** Which contents belong to which bundle. `others` are files of bundles that changed since. */
async function survey(store: Store): Promise<{ bundles: Surveyed[]; others: StoredContent[] }> {
  const contents = await store.list();
  const manifests: { content: StoredContent; facts: ManifestFacts }[] = [];
  for (const content of contents) {
    const found = content.file === null ? await factsOf(content.key, store) : null;
    if (found) manifests.push({ content, facts: found });
  }
  const owners = new Map<string, number>();
  for (const { facts } of manifests) {
    for (const { sha256 } of facts.files) owners.set(sha256, (owners.get(sha256) ?? 0) + 1);
  }
  const files = contents.filter(({ file }) => file !== null);
  const ownersOf = ({ file }: StoredContent): number => owners.get(file ?? "") ?? 0;
  const bundles = manifests.map(({ content, facts }) => {
    const hashes = new Set(facts.files.map(({ sha256 }) => sha256));
    const found = files.filter(({ file }) => file !== null && hashes.has(file));
    const own = [content, ...found.filter((one) => ownersOf(one) === 1)];
    return { id: content.key, name: facts.name, own, shared: found.filter((one) => ownersOf(one) > 1) };
  });
  // A manifest that was only looked at is no model that is stored.
  const stored = bundles.filter(({ own, shared }) => own.length + shared.length > 1);
  return { bundles: stored, others: files.filter((one) => ownersOf(one) === 0) };
}

/** The manifest under a key; null if there is none that can be read. */
async function factsOf(key: string, store: Store): Promise<ManifestFacts | null> {
  const manifest = await keptManifest(key, store);
  try {
    return manifest && readManifest(manifest);
  } catch {
    // Of another version, or damaged: its files belong to no bundle that is known.
    return null;
  }
}

function total(contents: StoredContent[]): number {
  return contents.reduce((sum, { bytes }) => sum + bytes, 0);
}

function latest(contents: StoredContent[]): number | null {
  return contents.reduce((last, { used }) => Math.max(last, used), 0) || null;
}
