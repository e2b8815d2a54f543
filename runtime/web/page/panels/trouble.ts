// Errors, and what the reader can do about each.

import type { ErrorCode, ErrorDetails } from "../../ts/errors";
import { bytes, h } from "../dom";

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
  /** What a line says that has no place for steps. Default: the message. */
  line?: string;
}

/** The panel for an error. `retry` is what its button does, which is there only where it may help. */
export function troublePanel(error: Trouble, retry: () => void): HTMLElement {
  const advice = adviceFor(error);
  const heading = h("h2", { tabindex: "-1" }, advice.title);
  const steps = h("ul", {}, ...advice.steps.map((step) => h("li", {}, step)));
  const details = h(
    "details",
    {},
    h("summary", {}, "Details"),
    h("pre", {}, [`${error.name} (${error.code})`, error.message, ...facts(error)].join("\n")),
  );
  const button = advice.retry ? h("button", { type: "button", class: "primary", click: retry }, "Try again") : null;
  return h("section", { class: "notice", role: "alert", "data-code": error.code }, heading, steps, button, details);
}

/** One line for an error that leaves the model usable. */
export function troubleLine(error: Trouble): string {
  const { title, line = error.message } = adviceFor(error);
  return `${title}: ${line}`;
}

/** Whether trying again may help. */
export function helpsToRetry(error: Trouble): boolean {
  return adviceFor(error).retry;
}

function facts(error: Trouble): string[] {
  return Object.entries(error.details)
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => `${name}: ${String(value)}`);
}

const ADVICE: Record<ErrorCode, (trouble: Trouble) => Advice> = {
  "no-webgpu": noWebGPU,
  "no-wasm": ({ details: { what }, message }) => ({
    title: what === "SIMD" ? "This browser’s WebAssembly is too old" : "This browser has no WebAssembly",
    steps: [
      message,
      "Update the browser, or use another one. A WebAssembly that was switched off can be allowed for this page: in " +
        "Safari’s lockdown mode and in Firefox (javascript.options.wasm) by a setting, in Edge by leaving its enhanced security.",
    ],
    retry: false,
  }),
  blocked: ({ details: { what }, message }) => ({
    title: "The page’s security policy blocks the model",
    steps: [
      message,
      `Whoever hosts this page has to allow it${what ? ` (${what})` : ""}. This policy is enough: ` +
        "script-src 'self' 'wasm-unsafe-eval'; worker-src 'self'; connect-src 'self'.",
    ],
    retry: true,
  }),
  runtime: ({ message }) => ({
    title: "A part of the runtime is missing",
    steps: [message],
    retry: true,
  }),
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
    title: "Not enough memory for the model",
    steps: [
      "Close other tabs and programs, especially those that use the GPU, then try again.",
      "Or use a bundle of lower precision.",
    ],
    retry: true,
  }),
  "device-lost": () => ({
    title: "The GPU was lost",
    steps: [
      "The driver was reset, the device was unplugged, or the browser’s GPU process ended. " +
        "Trying again usually works.",
      "If it keeps happening, reload the page: until then some browsers keep a GPU from it that failed several times.",
    ],
    retry: true,
    line: "try again. If that does not help, reload the page.",
  }),
  integrity: ({ details: { file } }) => ({
    title: "A file is damaged",
    steps: [
      `The hash of a downloaded file${named(file)} does not match the bundle.`,
      "Try again. If that does not help, the bundle was changed or uploaded incompletely: upload it again.",
    ],
    retry: true,
  }),
  network: ({ details: { status, file } }) => ({
    title: status ? `The server answered ${status}` : "The server cannot be reached",
    steps: [
      status
        ? `A file of the bundle could not be downloaded${named(file)}. Is the upload complete?`
        : "Check the connection, then try again. The download continues where it stopped.",
    ],
    retry: true,
  }),
  bundle: ({ message }) => ({
    title: "This bundle cannot be used",
    steps: [message, "Compile it again with the gristmill version of this page."],
    retry: false,
  }),
  aborted: () => ({
    title: "Loading was stopped",
    steps: ["The next download continues where it stopped."],
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
        "Browsers offer WebGPU only to pages from https or localhost.",
        `Open the page with https instead of ${location.protocol}//${location.host}.`,
      ],
      retry: false,
    };
  }
  if (!("gpu" in navigator)) {
    return {
      title: "This browser has no WebGPU",
      steps: [
        "The model runs on the GPU through WebGPU, which needs Chrome or Edge 113 or newer " +
          "(Android: 121), Safari 26 or newer, or Firefox 141 or newer on Windows, 145 or newer on Macs.",
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
      "This browser supports WebGPU, but offers no GPU to pages.",
      "Enable hardware acceleration in the browser’s settings, update the graphics driver, and restart the browser.",
      "In Chrome, chrome://gpu shows why; chrome://flags/#enable-unsafe-webgpu allows devices that are off by default.",
      "In Firefox: open about:config and set gfx.webgpu.ignore-blocklist to true.",
      WITHOUT,
    ],
    retry: true,
  };
}
