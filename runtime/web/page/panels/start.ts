// What is seen before a large download: what it is, how much of it is there, and the button that begins it.

import type { BundleInfo } from "../../ts/api";
import { announce, bytes, count, h } from "../dom";
import { storageButton } from "./storage_button";
import { weightsName } from "./precision";

/** Downloads of more bytes begin only when the reader says so. */
const LIMIT_BYTES = 20e6;

/** Bytes that are not stored yet. */
export function missing({ downloadBytes, storedBytes }: BundleInfo): number {
  return downloadBytes - storedBytes;
}

/**
 * Whether what is missing is a large download. The address can say what is large: `?ask=1000000`, in bytes.
 */
export function isLarge(bundle: BundleInfo): boolean {
  const said = new URLSearchParams(location.search).get("ask");
  return missing(bundle) > (said !== null && /^\d+$/.test(said) ? Number(said) : LIMIT_BYTES);
}

/** Whether the address says that nobody is asked: `?start`. */
export function startsAtOnce(): boolean {
  return new URLSearchParams(location.search).has("start");
}

/** The panel; `start` is called once. `changed` is called when files were deleted meanwhile. */
export function startPanel(bundle: BundleInfo, start: () => void, changed: () => void): HTMLElement {
  const { parameters, formats, downloadBytes, storedBytes } = bundle;
  const size = bytes(missing(bundle));
  const heading = h("h2", { tabindex: "-1" }, storedBytes > 0 ? "Continue the download?" : "Download the model?");
  const rows = [
    ["Size", `${count(parameters)} parameters`],
    ["Precision", weightsName(formats)],
    ["To download", size],
    ...(storedBytes > 0 ? [["Stored already", `${bytes(storedBytes)} of ${bytes(downloadBytes)}`]] : []),
  ];
  const facts = h("dl", {}, ...rows.map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value))));
  const keeps =
    "The model runs on this device: what you write stays in this browser. Its files are stored here, so that the next " +
    "visit needs no download.";
  const button = h("button", { type: "button", class: "primary", click: start }, `${storedBytes > 0 ? "Continue" : "Start"}, ${size}`);
  announce(`${bundle.name}: ${size} to download`);
  const actions = h("div", { class: "actions" }, button, storageButton(changed));
  return h("section", { class: "start" }, heading, facts, h("p", {}, keeps), actions);
}
