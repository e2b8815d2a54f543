// Conversations that are kept in the browser, those of each bundle apart.

import { titleOf, type ConversationData, type Turn } from "./conversation";

/** A kept conversation in a list. */
export interface Entry {
  id: string;
  title: string;
  /** When it was last changed, in milliseconds. */
  changed: number;
  turns: number;
}

/** The conversations of a bundle. */
export interface History {
  /** All of them, the newest first. */
  list(): Promise<Entry[]>;
  read(id: string): Promise<ConversationData | null>;
  write(data: ConversationData): Promise<void>;
  /** Forgets one. Gives what brings it back as it was. */
  remove(id: string): Promise<() => Promise<void>>;
}

/** A conversation as the database has it: images are apart, so that a longer text does not write them again. */
interface Row extends Omit<ConversationData, "turns"> {
  bundle: string;
  changed: number;
  /** Whether only its images are left, until nobody can bring it back any more: WebKit ends what is deleted at once. */
  removed?: boolean;
  turns: (Omit<Turn, "images"> & { images: string[] })[];
}

/** What the database has of a conversation. */
interface Found {
  row: Row | undefined;
  /** Images by their names. */
  blobs: Map<string, Blob>;
}

const DATABASE = "gristmill-conversations";
const TEXTS = "conversations";
const IMAGES = "images";

/** The conversations of the bundle at this address. Rejects where the browser keeps nothing. */
export async function openHistory(bundle: string): Promise<History> {
  const database = await openDatabase();
  // So that whoever deletes the site's data, or has a newer page, need not wait for this one.
  database.addEventListener("versionchange", () => database.close());
  const names = new WeakMap<Blob, string>();
  /** The names of the images that the database has of a conversation, as far as this page knows. */
  const stored = new Map<string, Set<string>>();

  /** All images that belong to a conversation. */
  const imagesOf = (id: string): IDBKeyRange => IDBKeyRange.bound([id], [id, []]);

  function nameOf(image: Blob): string {
    const name = names.get(image) ?? newId();
    names.set(image, name);
    return name;
  }

  async function rows(): Promise<Row[]> {
    const index = database.transaction(TEXTS).objectStore(TEXTS).index("bundle");
    return (await done(index.getAll(bundle))) as Row[];
  }

  const both = (mode: IDBTransactionMode): IDBTransaction => database.transaction([TEXTS, IMAGES], mode);

  /** A conversation with its images by name. */
  async function rowOf(transaction: IDBTransaction, id: string): Promise<Found> {
    const images = transaction.objectStore(IMAGES);
    const [row, keys, blobs] = await Promise.all([
      done(transaction.objectStore(TEXTS).get(id)) as Promise<Row | undefined>,
      done(images.getAllKeys(imagesOf(id))) as Promise<[string, string][]>,
      done(images.getAll(imagesOf(id))) as Promise<Blob[]>,
    ]);
    return { row, blobs: new Map(keys.map(([, name], at) => [name, blobs[at] as Blob])) };
  }

  function put(transaction: IDBTransaction, row: Row): void {
    transaction.objectStore(TEXTS).put(row);
  }

  /** Deletes what is left of conversations that were removed. */
  async function purge(): Promise<void> {
    const removed = (await rows()).filter((row) => row.removed);
    const transaction = both("readwrite");
    for (const { id } of removed) {
      transaction.objectStore(TEXTS).delete(id);
      transaction.objectStore(IMAGES).delete(imagesOf(id));
      stored.delete(id);
    }
    await finished(transaction);
  }

  await purge();
  return {
    async list() {
      const all = (await rows()).filter(({ removed }) => !removed).sort((a, b) => b.changed - a.changed);
      return all.map(({ id, changed, turns }) => ({ id, title: titleOf(turns), changed, turns: turns.length }));
    },

    async read(id) {
      const transaction = both("readwrite");
      const { row, blobs } = await rowOf(transaction, id);
      if (!row || row.removed) return null;
      const used = new Set(row.turns.flatMap((turn) => turn.images));
      for (const name of blobs.keys()) if (!used.has(name)) transaction.objectStore(IMAGES).delete([id, name]);
      for (const [name, blob] of blobs) names.set(blob, name);
      stored.set(id, used);
      const { bundle: _, changed: __, turns, ...rest } = row;
      const images = (turn: Row["turns"][number]): Blob[] => turn.images.flatMap((name) => blobs.get(name) ?? []);
      return { ...rest, turns: turns.map((turn) => ({ ...turn, images: images(turn) })) };
    },

    async write({ turns, ...rest }) {
      const transaction = both("readwrite");
      const images = transaction.objectStore(IMAGES);
      const blobs = new Map(turns.flatMap((turn) => turn.images.map((image) => [nameOf(image), image] as const)));
      const row: Row = {
        ...rest,
        bundle,
        changed: Date.now(),
        turns: turns.map((turn) => ({ ...turn, images: turn.images.map(nameOf) })),
      };
      transaction.objectStore(TEXTS).put(row);
      // Those of turns that were deleted stay until the conversation is read: they may come back.
      const known = stored.get(rest.id) ?? new Set();
      for (const [name, blob] of blobs) if (!known.has(name)) images.put(blob, [rest.id, name]);
      // A page that ends now takes nothing back any more.
      transaction.commit();
      await finished(transaction);
      stored.set(rest.id, new Set([...known, ...blobs.keys()]));
    },

    async remove(id) {
      await purge();
      const transaction = both("readwrite");
      const { row } = await rowOf(transaction, id);
      if (!row) return async () => undefined;
      const { bundle, changed } = row;
      put(transaction, { id, bundle, changed, removed: true, system: "", turns: [], current: null, draft: "" });
      await finished(transaction);
      return async () => {
        const back = both("readwrite");
        put(back, row);
        await finished(back);
      };
    },
  };
}

/** A name that nothing else has. Pages from plain http have no `randomUUID`. */
export function newId(): string {
  return [...crypto.getRandomValues(new Uint32Array(4))].map((part) => part.toString(36)).join("-");
}

function openDatabase(): Promise<IDBDatabase> {
  const request = indexedDB.open(DATABASE, 1);
  request.addEventListener("upgradeneeded", () => {
    request.result.createObjectStore(TEXTS, { keyPath: "id" }).createIndex("bundle", "bundle");
    request.result.createObjectStore(IMAGES);
  });
  return done(request);
}

function done<T>(request: IDBRequest<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    request.addEventListener("success", () => resolve(request.result));
    request.addEventListener("error", () => reject(request.error ?? new Error("the browser keeps nothing")));
  });
}

function finished(transaction: IDBTransaction): Promise<void> {
  return new Promise((resolve, reject) => {
    transaction.addEventListener("complete", () => resolve());
    const fail = (): void => reject(transaction.error ?? new Error("the browser keeps nothing"));
    transaction.addEventListener("error", fail);
    transaction.addEventListener("abort", fail);
  });
}
