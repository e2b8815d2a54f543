// Errors, and what the reader can do about each.

import type { ErrorCode, ErrorDetails } from "../ts/errors";
import { bytes, h } from "./dom";

/** An error of the runtime, or any other one made to look like it. */
export interface Trouble {
  name: string;
  code: ErrorCode;
  message: string;
  details: ErrorDetails;
}

/** What was thrown, as trouble. Known by its code, not its class: the classes live in another script. */
export function troubleOf(thrown: unknown): Trouble {
  const { name, message, code, details } = (thrown instanceof Error ? thrown : new Error(String(thrown))) as Error &
    Partial<Trouble>;
  return typeof code === "string"
    ? { name, message, code, details: details ?? {} }
    : { name, message, code: "internal", details: {} };
}

interface Advice {
  title: string;
  steps: string[];
  /** Whether trying again may help. */
  retry: boolean;
}

/** The panel for an error. `retry` is what its button does, which is there only where it may help. */
export function troublePanel(error: Trouble, retry: () => void): HTMLElement {
  const advice = adviceFor(error);
  const heading = h("h2", { tabindex: "-1" }, advice.title);
  const steps = h("ul", {}, ...advice.steps.map((step) => h("li", {}, step)));
  const details = h(
    "details",
    {},
    h("summary", {}, "What exactly happened"),
    h("pre", {}, [`${error.name} (${error.code})`, error.message, ...facts(error)].join("\n")),
  );
  const button = advice.retry ? h("button", { type: "button", class: "primary", click: retry }, "Try again") : null;
  return h("section", { class: "notice", role: "alert", "data-code": error.code }, heading, steps, button, details);
}

/** One line for an error that leaves the model usable. */
export function troubleLine(error: Trouble): string {
  return `${adviceFor(error).title}: ${error.message}`;
}

function facts(error: Trouble): string[] {
  return Object.entries(error.details)
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => `${name}: ${String(value)}`);
}

const ADVICE: Record<ErrorCode, (trouble: Trouble) => Advice> = {
  "no-webgpu": noWebGPU,
  limit: ({ details: { what, limit, needed, offered }, message }) => ({
    title: "This device is too small for the model",
    steps: [
      limit && needed !== undefined && offered !== undefined
        ? `${what ?? "The model"} needs ${amount(limit, needed)} for ${limit}; there is ${amount(limit, offered)}.`
        : message,
      "A bundle compiled with a lower precision or a shorter context may fit; so may another device or browser.",
    ],
    retry: false,
  }),
  "out-of-memory": () => ({
    title: "There is not enough memory for the model",
    steps: [
      "Close other tabs and programs, above all those that use the GPU, then try again.",
      "Or use a bundle of lower precision.",
    ],
    retry: true,
  }),
  "device-lost": () => ({
    title: "The GPU went away",
    steps: [
      "The driver was reset, the device was unplugged, or the browser ended its graphics process. " +
        "Trying again usually works.",
      "If it keeps happening, restart the browser: some give up on a device that failed several times.",
    ],
    retry: true,
  }),
  integrity: ({ details: { file } }) => ({
    title: "A file is damaged",
    steps: [
      `What the server sent${named(file)} is not what the bundle was made of, so it is not used.`,
      "Try again. If it stays so, the bundle was changed or uploaded incompletely: upload it again.",
    ],
    retry: true,
  }),
  network: ({ details: { status, file } }) => ({
    title: status ? `The server answered ${status}` : "The server cannot be reached",
    steps: [
      status
        ? `A file of the bundle could not be fetched${named(file)}. Has all of the bundle been uploaded?`
        : "Check the connection, then try again. What arrived already is kept and not fetched again.",
    ],
    retry: true,
  }),
  bundle: ({ message }) => ({
    title: "This bundle cannot be used",
    steps: [message, "Compile it again with the version of gristmill that this page belongs to."],
    retry: false,
  }),
  aborted: () => ({
    title: "Loading was stopped",
    steps: ["What arrived already is kept and not fetched again."],
    retry: true,
  }),
  input: ({ message }) => ({ title: "The model cannot take this", steps: [message], retry: false }),
  unsupported: ({ message }) => ({ title: "The model cannot do this here", steps: [message], retry: false }),
  internal: ({ message }) => ({ title: "Something went wrong", steps: [message], retry: true }),
};

function adviceFor(trouble: Trouble): Advice {
  return (ADVICE[trouble.code] ?? ADVICE.internal)(trouble);
}

function named(file: string | undefined): string {
  return file ? ` (${file})` : "";
}

/** Limits that count bytes read better as such. */
function amount(limit: string, value: number): string {
  return /size/i.test(limit) && !/workgroupsize[xyz]/i.test(limit) ? bytes(value) : String(value);
}

const WITHOUT =
  "A bundle that was compiled with --target all also runs without WebGPU, unless this address ends in ?backend=webgpu.";

function noWebGPU(): Advice {
  if (!window.isSecureContext) {
    return {
      title: "This page needs a secure address",
      steps: [
        "Browsers offer WebGPU only to pages from https addresses and from localhost.",
        `Open the page by https instead of ${location.protocol}//${location.host}.`,
      ],
      retry: false,
    };
  }
  if (!("gpu" in navigator)) {
    return {
      title: "This browser has no WebGPU",
      steps: [
        "The model computes on the GPU through WebGPU. It is in Chrome and Edge 113 and newer " +
          "(Android: 121), Safari 26 and newer, and Firefox 141 and newer on Windows, 145 and newer on Macs.",
        "In Firefox elsewhere: open about:config and set dom.webgpu.enabled to true.",
        WITHOUT,
        "In Chrome on Linux: open chrome://flags/#enable-unsafe-webgpu and enable it.",
      ],
      retry: false,
    };
  }
  return {
    title: "No GPU for WebGPU",
    steps: [
      "This browser knows WebGPU, but offers no GPU to pages.",
      "Switch on hardware acceleration in the browser’s settings, update the graphics driver, and restart the browser.",
      "In Chrome, chrome://gpu tells why; chrome://flags/#enable-unsafe-webgpu allows devices that are off by default.",
      "In Firefox: open about:config and set gfx.webgpu.ignore-blocklist to true.",
      WITHOUT,
    ],
    retry: true,
  };
}
