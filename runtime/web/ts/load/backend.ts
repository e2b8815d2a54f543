// What a store needs of a place that keeps bytes. Unlike a store, its methods reject.

/** A content that is kept. */
export interface Kept {
  key: string;
  bytes: number;
  /** When it was written, in milliseconds since 1970. */
  written: number;
}

/** A place that keeps contents under keys of lower-case letters, digits and dashes. */
export interface Backend {
  readonly kind: "opfs" | "cache";
  /** The content, or null if there is none. */
  read(key: string): Promise<Uint8Array<ArrayBuffer> | null>;
  /** Bytes of a content, or null if there is none. */
  size(key: string): Promise<number | null>;
  /** Keeps a content in place of an earlier one. Readers see the old or the new one, or one of a wrong size. */
  write(key: string, content: Uint8Array): Promise<void>;
  /** Forgets a content; one that is not there is no error. */
  remove(key: string): Promise<void>;
  /** What is there. */
  list(): Promise<Kept[]>;
}

/** Whether something thrown says that there is no space left. */
export function isQuota(thrown: unknown): boolean {
  return thrown instanceof Error && thrown.name === "QuotaExceededError";
}

/** Whether something thrown says that there is no such file. */
export function isMissing(thrown: unknown): boolean {
  return thrown instanceof Error && thrown.name === "NotFoundError";
}
