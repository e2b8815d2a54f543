// Why a worker did not start. Browsers do not tell, so its script is looked at.

import { asError, makeError, type GristmillError } from "./errors";
import { fetchOwn, ownFile } from "./own";

/** What is wrong with the script at an address; null if it is as it should be. */
export async function whyNoWorker(address: string): Promise<GristmillError | null> {
  try {
    const type = (await fetchOwn(address)).headers.get("content-type") ?? "";
    if (/javascript|ecmascript/i.test(type)) return null;
    return ownFile(address, `is no script: the server says that it is ${type || "of no type"}`);
  } catch (e) {
    return asError(e);
  }
}

/** The error of a page whose policy allows no workers. */
export function noWorkers(directive: string): GristmillError {
  const message =
    `the page's Content-Security-Policy forbids the model's worker: add the origin of the runtime to its ` +
    `worker-src, or load the model with worker: false`;
  return makeError("blocked", message, { what: directive });
}
