// What loading is made of, so that its parts can be exchanged and tested alone.

/** A file of the bundle that the manifest vouches for. */
export interface FileRef {
  /** Path relative to the manifest. */
  path: string;
  /** Exact size. */
  bytes: number;
  /** Lower-case hexadecimal SHA-256 of the content. */
  sha256: string;
}

/** Files of a bundle, verified, from the browser's storage or the network. */
export interface Source {
  /** The manifest's bytes: from the network, or as last seen if the network fails and the cache has it. */
  manifest(signal?: AbortSignal): Promise<Uint8Array<ArrayBuffer>>;
  /**
   * The content of a file; rejects with an IntegrityError, a NetworkError or an AbortedError. The bytes may still be
   * on their way to the store, so they must be neither changed nor transferred.
   */
  file(ref: FileRef, signal?: AbortSignal): Promise<Uint8Array<ArrayBuffer>>;
  /**
   * Says which files the model consists of. Their contents are not evicted to make room for others, and calls add up.
   */
  needs(refs: Iterable<FileRef>): void;
  /** Resolves when everything that is to be kept has been written. Never rejects. */
  settled(): Promise<void>;
}

/**
 * Contents by hash, kept by the browser between visits. No method rejects: storage that fails is storage that is empty.
 */
export interface Store {
  /** What keeps the contents. */
  readonly kind: "opfs" | "cache" | "none";
  /** The content, if it is there; not yet verified. */
  get(key: string): Promise<Uint8Array<ArrayBuffer> | null>;
  /**
   * Keeps a content; false if there is no space, or none may be used. A key that is a SHA-256 stands for one content
   * for ever, so it is not written again; other keys are overwritten.
   */
  put(key: string, content: Uint8Array): Promise<boolean>;
  remove(key: string): Promise<void>;
  /** Contents that are not evicted as long as this store is open. Calls add up. */
  protect(keys: Iterable<string>): void;
  /** What is there. */
  list(): Promise<StoredContent[]>;
}

/** A content of a store. */
export interface StoredContent {
  key: string;
  /** The SHA-256 of the file that it is, or is a part of; null if it is none of a bundle's files. */
  file: string | null;
  bytes: number;
  /** When it was last read or written, in milliseconds since 1970. */
  used: number;
}
