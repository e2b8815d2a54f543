// Files that callers name by their address.

import { aborted, makeError } from "./errors";
import { addressOf, fetchAny } from "./platform";
import type { Wave } from "./tasks/read";

/** What the side with the runtime does with files. */
export interface Files {
  /** The audio file in a file, or null if the browser has to decode it. */
  readAudio(file: Blob): Promise<Wave | null>;
  /** What a file is, such as `a HEIC image`; null if that is not known. */
  kindOf(file: Blob): Promise<string | null>;
}

/** The file at an address, which is relative to the page; `what` names it in errors. */
export async function fetchFile(what: string, address: string | URL, signal?: AbortSignal): Promise<Blob> {
  const url = addressOf(address);
  try {
    const response = await fetchAny(url, signal ? { signal } : {});
    if (!response.ok) throw new Error(`the server answered ${response.status}`);
    return await response.blob();
  } catch (e) {
    if (signal?.aborted) throw aborted();
    throw makeError("network", `the ${what} ${url.href} could not be downloaded: ${(e as Error).message}`, {}, e);
  }
}
