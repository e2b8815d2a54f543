// WebKitGTK, driven by WebKitWebDriver over plain HTTP, on a screen that nobody sees. Its pages have the part of
// puppeteer's interface that the cases use.

import { existsSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { endGroup, start, within } from "./processes.mjs";

const APP = path.join(path.dirname(fileURLToPath(import.meta.url)), "webkit/browser.py");
const SCREEN = "/usr/bin/Xvfb";
/** Safari has these by default, WebKitGTK only behind switches: the private file system and figures about storage. */
const FEATURES = "FileSystem,AccessHandle,FileSystemWritableStream,StorageAPI,StorageAPIEstimate";
/** The name under which WebDriver hides references to elements. */
const ELEMENT = "element-6066-11e4-a52e-4f735466cecf";
const KEYS = { Enter: "\uE007", Tab: "\uE004", Escape: "\uE00C", Backspace: "\uE003" };
const SCRIPT_MS = 240_000;
const POLL_MS = 30;

/** Starts it: `program` is WebKitWebDriver. `env` may change how the engine behaves. */
export async function launchWebKit({ program, profile, env = {} }) {
  if (!existsSync(SCREEN)) throw new Error(`webkit needs ${SCREEN}; tests/setup.sh installs what the tests need`);
  const screen = start(SCREEN, ["-displayfd", "3", "-screen", "0", "1400x1000x24", "-nolisten", "tcp"], {}, [
    "ignore",
    "ignore",
    "ignore",
    "pipe",
  ]);
  const told = new Promise((done) => screen.stdio[3].once("data", (text) => done(`:${String(text).trim()}`)));
  const display = await within(10_000, told);
  if (!display) {
    endGroup(screen.pid);
    throw new Error(`${SCREEN} did not start within 10 s`);
  }
  const port = await freePort();
  const driver = start(program, [`--port=${port}`], {
    DISPLAY: display,
    GDK_BACKEND: "x11",
    LIBGL_ALWAYS_SOFTWARE: "1",
    NO_AT_BRIDGE: "1",
    GSETTINGS_BACKEND: "memory",
    PROFILE: profile,
    FEATURES,
    // Files that are being written lie there for a while.
    TMPDIR: profile,
    XDG_DATA_HOME: `${profile}/data`,
    XDG_CACHE_HOME: `${profile}/cache`,
    XDG_CONFIG_HOME: `${profile}/config`,
    // Off by default in WebKitGTK, on in Safari.
    JSC_useSharedArrayBuffer: "1",
    ...env,
  });
  const stop = () => [driver, screen].forEach((child) => child.pid && endGroup(child.pid));
  try {
    return await openSession(`http://127.0.0.1:${port}`, stop);
  } catch (error) {
    stop();
    throw error;
  }
}

async function freePort() {
  const server = createServer();
  await new Promise((done) => server.listen(0, "127.0.0.1", done));
  const { port } = server.address();
  await new Promise((done) => server.close(done));
  return port;
}

async function send(method, address, body, milliseconds) {
  const signal = AbortSignal.timeout(milliseconds);
  const response = await fetch(address, { method, body: body && JSON.stringify(body), signal });
  const { value } = await response.json();
  if (value?.error) throw new Error(`WebKitWebDriver: ${value.error}: ${value.message}`);
  return value;
}

async function openSession(driver, stop) {
  for (let attempt = 0; ; attempt++) {
    try {
      await send("GET", `${driver}/status`, undefined, 1000);
      break;
    } catch (error) {
      if (attempt === 50) throw error;
      await sleep(100);
    }
  }
  const wanted = { alwaysMatch: { "webkitgtk:browserOptions": { binary: APP, args: [] } } };
  const opened = await send("POST", `${driver}/session`, { capabilities: wanted }, 30_000);
  const session = `${driver}/session/${opened.sessionId}`;
  await send("POST", `${session}/timeouts`, { script: SCRIPT_MS, pageLoad: 60_000 }, 5000);

  // The driver has one window in focus, so whoever wants another waits.
  let turn = Promise.resolve();
  let focus = null;
  const inTurn = (handle, commands) => {
    const mine = turn.then(async () => {
      if (handle && focus !== handle) {
        await send("POST", `${session}/window`, { handle }, 10_000);
        focus = handle;
      }
      return commands((method, where, body) => send(method, `${session}${where}`, body, SCRIPT_MS + 10_000));
    });
    turn = mine.catch(() => undefined);
    return mine;
  };
  const first = await inTurn(null, (ask) => ask("GET", "/window"));
  const newPage = async () => {
    const { handle } = await inTurn(first, (ask) => ask("POST", "/window/new", { type: "tab" }));
    return pageOf((commands) => inTurn(handle, commands), () => (focus = null));
  };
  const close = async () => {
    // Ended by its last tab, it writes to disk what pages have stored.
    const farewell = async () => {
      for (const handle of await send("GET", `${session}/window/handles`, undefined, 3000)) {
        await send("POST", `${session}/window`, { handle }, 3000);
        await send("DELETE", `${session}/window`, undefined, 3000);
      }
      await sleep(300);
    };
    await within(8000, farewell().catch(() => undefined));
    stop();
  };
  const { browserName, browserVersion } = opened.capabilities;
  return { version: `${browserName}/${browserVersion}`, newPage, close };
}

/** A tab. `use` makes it the one in focus and sends commands. */
function pageOf(use, left) {
  let address = "about:blank";
  let closed = false;
  let usual = 30_000;

  const evaluate = async (code, ...args) => {
    const source = typeof code === "function" ? `(${code})(...arguments[0])` : `(${code})`;
    const script = `const done = arguments[1];
      Promise.resolve().then(() => ${source}).then(
        (value) => done({ value: value === undefined ? null : JSON.stringify(value) }),
        (error) => done({ error: String(error && error.stack ? error + "\\n" + error.stack : error) }));`;
    const { value, error } = await use((ask) => ask("POST", "/execute/async", { script, args: [args] }));
    if (error !== undefined) throw new Error(`in the page: ${error}`);
    return value === null || value === undefined ? undefined : JSON.parse(value);
  };
  const waitForFunction = async (code, { timeout = usual, polling = POLL_MS } = {}, ...args) => {
    const end = performance.now() + timeout;
    for (;;) {
      const found = await evaluate(code, ...args).catch((error) => {
        // A page that is just being replaced cannot answer.
        if (!/navigat|unload|window/i.test(error.message)) throw error;
      });
      if (found) return found;
      if (performance.now() > end) throw new Error(`waited ${timeout} ms for ${String(code).slice(0, 200)}`);
      await sleep(Math.max(POLL_MS, Number(polling) || 0));
    }
  };
  const one = (selector, code, ...args) =>
    evaluate(`((found, args) => {
      if (!found) throw new Error("nothing matches " + ${JSON.stringify(selector)});
      return (${code})(found, ...args);
    })(document.querySelector(${JSON.stringify(selector)}), ${JSON.stringify(args)})`);
  const typeInto = (text) => (ask) =>
    ask("GET", "/element/active").then((element) => ask("POST", `/element/${element[ELEMENT]}/value`, { text }));

  return {
    evaluate,
    waitForFunction,
    setDefaultTimeout: (milliseconds) => (usual = milliseconds),
    waitForSelector: (selector, options) =>
      waitForFunction((text) => document.querySelector(text) !== null, options, selector),
    async goto(url) {
      address = url;
      await use((ask) => ask("POST", "/url", { url }));
    },
    reload: () => use((ask) => ask("POST", "/refresh", {})),
    url: () => address,
    title: () => evaluate(() => document.title),
    $: (selector) => evaluate((text) => document.querySelector(text) !== null || null, selector),
    $eval: one,
    $$eval: (selector, code, ...args) =>
      evaluate(`(${code})([...document.querySelectorAll(${JSON.stringify(selector)})], ...${JSON.stringify(args)})`),
    async type(selector, text) {
      await one(selector, (element) => element.focus());
      await use(typeInto(text));
    },
    keyboard: { press: (key) => use(typeInto(KEYS[key] ?? key)) },
    setViewport: ({ width, height }) => use((ask) => ask("POST", "/window/rect", { width, height })),
    async screenshot({ path: file }) {
      writeFileSync(file, Buffer.from(await use((ask) => ask("GET", "/screenshot")), "base64"));
    },
    /** The driver tells nothing of what a page writes to its console. */
    on: () => undefined,
    isClosed: () => closed,
    async close() {
      if (closed) return;
      closed = true;
      await use((ask) => ask("DELETE", "/window"));
      left();
    },
  };
}
