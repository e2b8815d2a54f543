// The files of this package: what is wrong where they are not what they should be.

import { makeError, type ErrorDetails, type GristmillError } from "./errors";
import { fetchAny } from "./platform";

/** Fetches a file of this package. */
export async function fetchOwn(address: string): Promise<Response> {
  let response: Response;
  try {
    response = await fetchAny(address);
  } catch (e) {
    const message = `${address}: the server cannot be reached, or does not let this page read its files`;
    throw makeError("network", message, { file: address }, e);
  }
  if (response.ok) return response;
  throw ownFile(address, `is missing: the server answered ${response.status}`, { status: response.status });
}

/** The error of a file that is not what it should be. */
export function ownFile(address: string, wrong: string, details: ErrorDetails = {}, cause?: unknown): GristmillError {
  const remedy =
    "upload the folder runtime/ as a whole; with a bundler, let it copy the files of the package, or pass baseUrl, the " +
    "address of a folder with copies of them";
  return makeError("runtime", `${address} ${wrong}; ${remedy}`, { file: address, ...details }, cause);
}
