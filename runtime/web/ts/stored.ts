// The bundles that the browser's storage has files of. Loaded when somebody asks; what it needs of manifests is given to
// it, so that it shares no script with the engine.

import type { StoredBundle } from "./api";
import type { Store, StoredContent } from "./load/contract";
import type { ManifestFacts } from "./manifest";

/** A store, and what its manifests say. */
export interface Shelf {
  store: Store;
  /** The manifest under a key; null if there is none that can be read. */
  facts(key: string): Promise<ManifestFacts | null>;
}

/** The bundles that a store has files of, the last used first. */
export async function storedBundles(shelf: Shelf): Promise<StoredBundle[]> {
  const { bundles, others } = await survey(shelf);
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
export async function deleteStored(shelf: Shelf, id: string | null): Promise<number> {
  const { store } = shelf;
  const chosen = id === null ? await store.list() : await ofBundle(shelf, id);
  for (const { key } of chosen) await store.remove(key);
  return total(chosen);
}

async function ofBundle(shelf: Shelf, id: string): Promise<StoredContent[]> {
  const { bundles, others } = await survey(shelf);
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
async function survey({ store, facts }: Shelf): Promise<{ bundles: Surveyed[]; others: StoredContent[] }> {
  const contents = await store.list();
  const manifests: { content: StoredContent; facts: ManifestFacts }[] = [];
  for (const content of contents) {
    const found = content.file === null ? await facts(content.key) : null;
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

function total(contents: StoredContent[]): number {
  return contents.reduce((sum, { bytes }) => sum + bytes, 0);
}

function latest(contents: StoredContent[]): number | null {
  return contents.reduce((last, { used }) => Math.max(last, used), 0) || null;
}
