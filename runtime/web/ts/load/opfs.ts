// Contents as files of the origin's private file system.
//
// A content is written under a name of its own and moved into place, so that two tabs that write the same one do not
// meet, and a tab that is closed on the way leaves no half content under the real name. Where files cannot be moved
// they are written in place; a half content is then found out by its size and hash.

import { isMissing, type Backend, type Kept } from "./backend";

const FOLDER = "gristmill";
const PART = ".part";
/** Parts as old as this belong to nobody any more. */
const PART_AGE_MS = 3_600_000;
/** Written at once by the blocking call, so that a worker stays responsive. */
const CHUNK_BYTES = 4 << 20;

/** A blocking handle, which the DOM types of pages do not have. */
interface SyncHandle {
  truncate(bytes: number): void;
  write(content: Uint8Array, options: { at: number }): number;
  flush(): void;
  close(): void;
}

/** A file with what not every browser has. */
interface FileHandle {
  getFile(): Promise<File>;
  createSyncAccessHandle?(): Promise<SyncHandle>;
  createWritable?(): Promise<FileSystemWritableFileStream>;
  move?(name: string): Promise<void>;
}

/** The folder with what not every browser has. */
interface Folder {
  getFileHandle(name: string, options?: { create: boolean }): Promise<FileHandle>;
  removeEntry(name: string): Promise<void>;
  entries(): AsyncIterable<[string, { kind: string }]>;
}

/** Opens the folder; rejects if the browser has none or refuses it, as in private windows. */
export async function openOpfs(): Promise<Backend> {
  const root = await navigator.storage.getDirectory();
  const folder = (await root.getDirectoryHandle(FOLDER, { create: true })) as unknown as Folder;
  return opfsBackend(folder);
}

/** A backend over a folder. */
export function opfsBackend(folder: Folder): Backend {
  const writeFile = fileWriter();
  const remove = async (name: string): Promise<void> => {
    try {
      await folder.removeEntry(name);
    } catch (e) {
      if (!isMissing(e)) throw e;
    }
  };
  const open = async (name: string): Promise<File | null> => {
    try {
      return await (await folder.getFileHandle(name)).getFile();
    } catch (e) {
      if (isMissing(e)) return null;
      throw e;
    }
  };
  return {
    kind: "opfs",
    async read(key) {
      const file = await open(key);
      return file && new Uint8Array(await file.arrayBuffer());
    },
    size: async (key) => (await open(key))?.size ?? null,
    async write(key, content) {
      const part = `${key}.${crypto.randomUUID()}${PART}`;
      const handle = await folder.getFileHandle(part, { create: true });
      try {
        if (!handle.move) return await writeFile(await folder.getFileHandle(key, { create: true }), content);
        await writeFile(handle, content);
        // Some browsers do not move over a file that is there.
        await handle.move(key).catch(() => remove(key).then(() => handle.move?.(key)));
      } finally {
        // Gone if it was moved. A part that stays for another reason is removed when it is old.
        await remove(part).catch(() => {});
      }
    },
    remove,
    list: () => list(folder, remove),
  };
}

type Writer = (handle: FileHandle, content: Uint8Array) => Promise<void>;

/** Writes files by the blocking handle, which only dedicated workers have and some browsers offer but cannot open. */
function fileWriter(): Writer {
  let blocking = true;
  return async (handle, content) => {
    let sync: SyncHandle | null = null;
    if (blocking && handle.createSyncAccessHandle) {
      try {
        sync = await handle.createSyncAccessHandle();
      } catch (e) {
        if (!handle.createWritable) throw e;
        blocking = false;
      }
    }
    if (sync) return writeBlocking(sync, content);
    if (!handle.createWritable) throw new DOMException("files cannot be written here", "NotSupportedError");
    const stream = await handle.createWritable();
    try {
      await stream.write(content as Uint8Array<ArrayBuffer>);
      await stream.close();
    } catch (e) {
      await stream.abort().catch(() => {});
      throw e;
    }
  };
}

async function writeBlocking(handle: SyncHandle, content: Uint8Array): Promise<void> {
  try {
    handle.truncate(0);
    for (let at = 0; at < content.length; ) {
      const written = handle.write(content.subarray(at, at + CHUNK_BYTES), { at });
      if (!(written > 0)) throw new DOMException("the file system took no more bytes", "QuotaExceededError");
      at += written;
      if (at < content.length) await new Promise((resolve) => setTimeout(resolve));
    }
    handle.flush();
  } finally {
    handle.close();
  }
}

/** The contents; what crashed tabs left is removed on the way. */
async function list(folder: Folder, remove: (name: string) => Promise<void>): Promise<Kept[]> {
  const kept: Kept[] = [];
  const names: string[] = [];
  for await (const [name, entry] of folder.entries()) if (entry.kind === "file") names.push(name);
  for (const name of names) {
    try {
      const file = await (await folder.getFileHandle(name)).getFile();
      const entry = { key: name, bytes: file.size, written: file.lastModified };
      if (!name.endsWith(PART)) kept.push(entry);
      else if (Date.now() - entry.written > PART_AGE_MS) await remove(name);
    } catch {
      // Removed by another tab meanwhile, or in use by it: not ours to count.
    }
  }
  return kept;
}
