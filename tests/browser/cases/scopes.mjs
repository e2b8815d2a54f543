// The package where it is not a script of the page's own server: from another origin, by addresses that the caller gives,
// and in threads that are no page's.

import { cpSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { setImmediate } from "node:timers/promises";

const promptOf = ({ prompt, messages }) => prompt ?? messages;
const EMPTY = { "empty.html": "<!doctype html><title>scopes</title>" };

/** Runs in a page or a worker: loads a bundle with the package at an address, and generates. */
async function write({ runtime, bundle, options, prompt, maxNewTokens }) {
  const { Model } = await import(runtime);
  const model = await Model.load(bundle, options);
  const { text } = await model.generate(prompt, { maxNewTokens }).result;
  const { cpu } = model.info();
  await model.dispose();
  return { text, threads: cpu.threads };
}

/** Runs in a page: what a worker of this script answers to a task. */
async function ask(Kind, address, task) {
  const answer = await new Promise((resolve) => {
    if (Kind === "SharedWorker") {
      const { port } = new SharedWorker(address, { type: "module" });
      port.onmessage = ({ data }) => resolve(data);
      port.postMessage(task);
    } else {
      navigator.serviceWorker.onmessage = ({ data }) => resolve(data);
      navigator.serviceWorker.register(address, { type: "module" }).then(async (registration) => {
        const worker = registration.installing ?? registration.waiting ?? registration.active;
        worker.postMessage(task);
      });
    }
  });
  return answer;
}

/** A script for both kinds of workers, which loads what it is told to. */
const WORKER = `
import { Model } from "/runtime/gristmill.js";
const work = async ({ bundle, options, prompt, maxNewTokens }) => {
  try {
    const model = await Model.load(bundle, options);
    const { text } = await model.generate(prompt, { maxNewTokens }).result;
    return { text };
  } catch ({ code, message }) {
    return { code, message };
  }
};
self.onconnect = ({ ports: [port] }) => {
  port.onmessage = async ({ data }) => port.postMessage(await work(data));
};
self.onmessage = ({ data, source }) => work(data).then((answer) => source?.postMessage(answer));
`;

/** A writer, and one that chats, whose template is a further script. */
function tasks(t) {
  const chats = t.bundles.find(({ generate }) => generate.some(({ messages }) => messages));
  return [t.bundle("generate"), chats].map((bundle) => {
    const expected = bundle.generate.find(({ messages }) => bundle !== chats || messages);
    return { bundle, expected, prompt: promptOf(expected), maxNewTokens: expected.tokens.length };
  });
}

function across(isolate) {
  return {
    name: `the package from another origin, ${isolate ? "isolated" : "not isolated"}`,
    browsers: [],
    wasm: true,
    async run(t) {
      for (const { bundle, expected, prompt, maxNewTokens } of tasks(t)) {
        const here = await t.serve(bundle.folder, { isolate, extra: EMPTY });
        const there = await t.serve(bundle.folder, { isolate, cors: true });
        const page = await t.page(`${here.url}empty.html`);
        t.assert.equal(await page.evaluate(() => crossOriginIsolated), isolate);
        for (const [folder, options] of [
          [here.url, { threads: 2 }],
          [there.url, { threads: 2 }],
          [here.url, { worker: false }],
        ]) {
          here.reset();
          const task = { runtime: `${there.url}runtime/gristmill.js`, bundle: folder, options, prompt, maxNewTokens };
          const found = await page.evaluate(write, task);
          t.assert.equal(found.text, expected.text);
          t.assert.equal(found.threads, isolate && options.threads ? 2 : 1);
          t.assert.deepEqual(here.requests(/^runtime\//), [], "all of the package comes from the other origin");
        }
      }
    },
  };
}

export default [
  across(true),
  across(false),
  {
    name: "parts of the package at addresses of the caller's",
    browsers: [],
    wasm: true,
    async run(t) {
      const [, { bundle, expected, prompt, maxNewTokens }] = tasks(t);
      const folder = mkdtempSync(path.join(tmpdir(), "gristmill-parts-"));
      try {
        // A flat output, as of esbuild, beside none of the parts; copies of them; and two under other names.
        const copy = (name, to) => cpSync(path.join(bundle.folder, "runtime", name), path.join(folder, to));
        for (const name of ["engine.js", "template.js", "gristmill_web_bg.wasm"]) copy(name, `copies/${name}`);
        copy("gristmill.js", "app.js");
        copy("engine.js", "odd/worker.mjs");
        copy("gristmill_web_bg.wasm", "odd/runtime.wasm");
        symlinkSync(bundle.folder, path.join(folder, "dist"));
        const server = await t.serve(folder, { extra: EMPTY });
        const page = await t.page(`${server.url}empty.html`);
        const run = (options) =>
          page.evaluate(write, { runtime: "/app.js", bundle: "dist", options, prompt, maxNewTokens });
        const odd = { workerUrl: `${server.url}odd/worker.mjs`, wasmUrl: "odd/runtime.wasm", baseUrl: "/copies" };
        for (const options of [{ baseUrl: "copies/", threads: 2 }, odd, { ...odd, worker: false }]) {
          server.reset();
          t.assert.equal((await run(options)).text, expected.text);
          t.assert.equal(server.requests(/^odd\//).length > 0, options.workerUrl !== undefined);
          t.assert.deepEqual(server.requests(/^dist\/runtime\//), []);
        }
        // Without them, the parts are looked for beside the script, and the error says where.
        const [message] = await page.evaluate(async () => {
          const { Model } = await import("/app.js");
          return Model.load("dist", { worker: false }).then(() => [null], (error) => [error.message, error.code]);
        });
        t.assert.match(message ?? "it loaded", new RegExp(`${server.url}engine\\.js cannot be loaded`));
      } finally {
        rmSync(folder, { recursive: true });
      }
    },
  },
  {
    name: "a SharedWorker has the model itself",
    browsers: [],
    wasm: true,
    async run(t) {
      for (const { bundle, expected, prompt, maxNewTokens } of tasks(t)) {
        const server = await t.serve(bundle.folder, { extra: { ...EMPTY, "shared.js": WORKER } });
        const page = await t.page(`${server.url}empty.html`);
        const task = { bundle: server.url, options: { threads: 2 }, prompt, maxNewTokens };
        const found = await page.evaluate(ask, "SharedWorker", "/shared.js", task);
        t.assert.deepEqual(found, { text: expected.text });
      }
    },
  },
  {
    name: "a service worker is told what to do instead",
    browsers: ["chromium-no-adapter"],
    async run(t) {
      const [{ bundle, prompt, maxNewTokens }] = tasks(t);
      const server = await t.serve(bundle.folder, { extra: { ...EMPTY, "service.js": WORKER } });
      const page = await t.page(`${server.url}empty.html`);
      for (const options of [{}, { worker: true }, { worker: false }]) {
        const task = { bundle: server.url, options, prompt, maxNewTokens };
        const found = await page.evaluate(ask, "ServiceWorker", "/service.js", task);
        t.assert.equal(found.code, "unsupported");
        t.assert.match(found.message, /service workers .* offscreen document/);
      }
    },
  },
  {
    name: "an extension: its service worker is refused, its offscreen document loads",
    browsers: ["chromium-no-adapter"],
    async run(t) {
      const [{ bundle, expected, prompt, maxNewTokens }] = tasks(t);
      const folder = mkdtempSync(path.join(tmpdir(), "gristmill-extension-"));
      try {
        cpSync(path.join(bundle.folder, "runtime"), path.join(folder, "runtime"), { recursive: true });
        cpSync(bundle.folder, path.join(folder, "model"), { recursive: true });
        const manifest = {
          manifest_version: 3,
          name: "gristmill",
          version: "1",
          permissions: ["offscreen"],
          background: { service_worker: "service.js", type: "module" },
          content_security_policy: { extension_pages: "script-src 'self' 'wasm-unsafe-eval'; object-src 'self'" },
        };
        writeFileSync(path.join(folder, "manifest.json"), JSON.stringify(manifest));
        writeFileSync(path.join(folder, "offscreen.html"), '<script type="module" src="offscreen.js"></script>');
        writeFileSync(path.join(folder, "offscreen.js"), OFFSCREEN);
        writeFileSync(path.join(folder, "service.js"), SERVICE);
        const other = await t.launch(t.kind, { extensions: [folder] });
        const target = await other.browser.waitForTarget((one) => one.type() === "service_worker");
        const worker = await target.worker();
        // Its script may be at work still, or not have begun, when there is not even a timer.
        while (!(await worker.evaluate(() => typeof globalThis.tryHere === "function"))) await setImmediate();
        const refused = await worker.evaluate(() => globalThis.tryHere());
        t.assert.equal(refused.code, "unsupported");
        t.assert.match(refused.message, /offscreen document/);
        const task = { prompt, maxNewTokens };
        t.assert.deepEqual(await worker.evaluate((given) => globalThis.askPage(given), task), { text: expected.text });
      } finally {
        rmSync(folder, { recursive: true });
      }
    },
  },
];

const SERVICE = `
import { Model } from "./runtime/gristmill.js";
globalThis.tryHere = () => Model.load("model/").then(() => null, ({ code, message }) => ({ code, message }));
globalThis.askPage = async (task) => {
  const reasons = ["WORKERS"];
  await chrome.offscreen.createDocument({ url: "offscreen.html", reasons, justification: "runs a model" });
  return chrome.runtime.sendMessage(task);
};
`;

const OFFSCREEN = `
import { Model } from "./runtime/gristmill.js";
const loading = Model.load("model/");
chrome.runtime.onMessage.addListener(({ prompt, maxNewTokens }, sender, answer) => {
  loading
    .then((model) => model.generate(prompt, { maxNewTokens }).result)
    .then(({ text }) => answer({ text }), ({ message }) => answer({ message }));
  return true;
});
`;
