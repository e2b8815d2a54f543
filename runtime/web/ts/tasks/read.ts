// Files of callers that the runtime reads itself, and names for those that it cannot.

import { fileKind, readWave, runtimeError } from "../runtime";

/** Bytes that a kind of file is known by; as in `runtime/core/src/file_kind.rs`. */
const HEAD = 512;

/** An audio file that the runtime has read. */
export interface Wave {
  samples: Float32Array;
  rate: number;
  /** What is wrong with the file but does not hinder reading it. */
  warning: string | null;
}

/** The samples of a WAV file; null if it is another kind of file. Browsers differ on WAV files that are not plain. */
export async function readAudio(file: Blob): Promise<Wave | null> {
  // Anything else need not come into memory here.
  if (fileKind(await bytesOf(file.slice(0, HEAD))) !== "a WAV file") return null;
  try {
    return readWave(await bytesOf(file)) as Wave;
  } catch (e) {
    throw runtimeError(e);
  }
}

/** What a file is, such as `a HEIC image`; null if that is not known. */
export async function kindOf(file: Blob): Promise<string | null> {
  return fileKind(await bytesOf(file.slice(0, HEAD))) ?? null;
}

async function bytesOf(file: Blob): Promise<Uint8Array> {
  return new Uint8Array(await file.arrayBuffer());
}
