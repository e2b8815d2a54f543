// Real browsers without windows, and what has to be told to each so that it computes on the CPU.

import { existsSync } from "node:fs";
import path from "node:path";
import { ROOT } from "./bundles.mjs";
import { endGroup, newFolder, removeFolder, watchGroup, within } from "./processes.mjs";
import { launchWebKit } from "./webkit.mjs";

const CHROMIUM_FLAGS = [
  "--no-first-run",
  "--no-default-browser-check",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
  "--disable-quic",
  "--disable-default-apps",
  "--mute-audio",
  "--password-store=basic",
  "--disable-background-timer-throttling",
  "--disable-renderer-backgrounding",
  "--disable-backgrounding-occluded-windows",
  "--disable-features=Translate,OptimizationHints,MediaRouter",
];
// The adapter that Chromium ships; without the first flag there is none on machines like these.
const SWIFTSHADER = ["--enable-unsafe-webgpu", "--use-webgpu-adapter=swiftshader"];
const FIREFOX_PREFS = {
  "dom.webgpu.enabled": true,
  // Software drivers are on the list.
  "gfx.webgpu.ignore-blocklist": true,
  // A question that nobody answers would wait for ever.
  "dom.storageManager.prompt.testing": true,
  "dom.storageManager.prompt.testing.allow": true,
  "dom.max_script_run_time": 0,
  "app.update.enabled": false,
  "app.normandy.enabled": false,
  "browser.safebrowsing.update.enabled": false,
  "browser.shell.checkDefaultBrowser": false,
  "datareporting.policy.dataSubmissionEnabled": false,
  "extensions.update.enabled": false,
  "network.captive-portal-service.enabled": false,
  "network.connectivity-service.enabled": false,
  "services.settings.server": "http://127.0.0.1:9/",
  "toolkit.telemetry.enabled": false,
  // Screenshots are taken of pages at rest.
  "ui.prefersReducedMotion": 1,
};

/**
 * Kinds of browsers, by name. `program`: where it may be; `install`: what to do if it is nowhere; `wasm`: models run by
 * WebAssembly there, because there is no WebGPU.
 */
export const KINDS = {
  chromium: {
    engine: "chrome",
    program: [process.env.CHROMIUM, "/usr/bin/chromium", "/usr/bin/google-chrome", "/usr/bin/chromium-browser"],
    args: SWIFTSHADER,
    install: "Debian's package chromium, or set CHROMIUM to the program",
  },
  // A copy of Chromium whose only adapter is a newer driver with 16-bit floats. Cannot be made on every machine.
  "chromium-lavapipe": {
    engine: "chrome",
    program: [process.env.CHROMIUM_LAVAPIPE, path.join(ROOT, "target/browser/lavapipe/chromium/chromium")],
    args: SWIFTSHADER,
    install: "a copy of Chromium on lavapipe: tests/browser/lavapipe.sh makes it",
  },
  "chromium-no-adapter": {
    engine: "chrome",
    program: [process.env.CHROMIUM, "/usr/bin/chromium", "/usr/bin/google-chrome", "/usr/bin/chromium-browser"],
    args: ["--disable-gpu"],
    wasm: true,
    install: "Debian's package chromium, or set CHROMIUM to the program",
  },
  firefox: {
    engine: "firefox",
    program: [process.env.FIREFOX, "/usr/bin/firefox-esr", "/usr/bin/firefox"],
    args: [],
    install: "Debian's package firefox-esr, or set FIREFOX to the program",
  },
  "firefox-no-webgpu": {
    engine: "firefox",
    program: [process.env.FIREFOX, "/usr/bin/firefox-esr", "/usr/bin/firefox"],
    args: [],
    prefs: { "dom.webgpu.enabled": false },
    wasm: true,
    install: "Debian's package firefox-esr, or set FIREFOX to the program",
  },
  // The engine of Safari, which has no WebGPU on Linux.
  webkit: {
    engine: "webkit",
    program: [process.env.WEBKIT_DRIVER, "/usr/bin/WebKitWebDriver"],
    wasm: true,
    install: "Debian's packages webkit2gtk-driver, xvfb, python3-gi and gir1.2-webkit2-4.1",
  },
};

/** What executes models in a kind of browser. */
export function backendOf(kind) {
  return KINDS[kind].wasm ? "wasm" : "webgpu";
}

/** The program of a kind, if it is there. */
export function findProgram(kind) {
  return KINDS[kind]?.program.find((candidate) => candidate && existsSync(candidate));
}

/** The program of a kind; throws with what to install. */
export function programOf(kind) {
  const found = findProgram(kind);
  if (found) return found;
  if (!KINDS[kind]) throw new Error(`no browser "${kind}"; there are ${Object.keys(KINDS).join(", ")}`);
  throw new Error(`${kind} is not installed; the tests need ${KINDS[kind].install}`);
}

/**
 * Starts a browser.
 *
 * @param {string} kind one of {@link KINDS}
 * @param {{ flags?: string[], profile?: string, env?: Record<string, string>, extensions?: string[] }} options `profile`:
 *   a folder that is kept over several starts; `env`: for WebKit, whose switches are variables; `extensions`: folders of
 *   Chromium's
 * @returns `newPage()`, `version`, `engine`, `browser` (puppeteer's own, where it drives) and `close()`
 */
export async function launch(kind, { flags = [], profile, env, extensions = [] } = {}) {
  const program = programOf(kind);
  const { engine } = KINDS[kind];
  const folder = profile ?? newFolder(kind);
  const forget = () => profile || removeFolder(folder);
  try {
    const open = engine === "webkit" ? launchWebKit : launchPuppet;
    const { close, ...browser } = await open({ kind, program, profile: folder, flags, env, extensions });
    return { kind, engine, ...browser, close: () => close().then(forget) };
  } catch (error) {
    forget();
    throw new Error(`${kind} (${program}) does not start: ${error.message}`);
  }
}

/** Chromium and Firefox. */
async function launchPuppet({ kind, program, profile, flags, extensions }) {
  const { engine, args, prefs } = KINDS[kind];
  const { default: puppeteer } = await import("puppeteer-core");
  const root = process.getuid?.() === 0;
  const common = {
    executablePath: program,
    userDataDir: profile,
    headless: true,
    handleSIGINT: false,
    handleSIGTERM: false,
    handleSIGHUP: false,
    protocolTimeout: 600_000,
  };
  const own =
    engine === "chrome"
      ? // Chromium's sandbox refuses to run as root.
        { pipe: true, enableExtensions: extensions.length > 0 && extensions, args: [...CHROMIUM_FLAGS, ...(root ? ["--no-sandbox"] : []), ...args, ...flags] }
      : { browser: "firefox", extraPrefsFirefox: { ...FIREFOX_PREFS, ...prefs }, args: [...args, ...flags] };
  const browser = await puppeteer.launch({ ...common, ...own });
  const group = browser.process()?.pid;
  watchGroup(group);
  async function close() {
    await within(8000, browser.close().catch(() => undefined));
    if (group) endGroup(group);
  }
  return { browser, version: await browser.version(), newPage: () => browser.newPage(), close };
}
