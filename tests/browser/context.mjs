// What a case is given: a browser, servers, pages, checks, and a place for what it measures.

import assert from "node:assert/strict";
import { mkdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { backendOf, launch } from "./browsers.mjs";
import { serve } from "./server.mjs";

const HERE = path.dirname(fileURLToPath(import.meta.url));
/** Milliseconds for each thing that a case waits for: less than for all of a case, so that it is told which it was. */
const WAIT_MS = 120_000;
const blank = (backend) => `<!doctype html>
<meta charset="utf-8" /><title>test</title><link rel="icon" href="data:," />
<script type="module" src="test/client.js?backend=${backend}"></script>`;

/** The context of one case in one browser. `end()` closes whatever the case opened. */
export function createContext({ kind, browser, bundles: every, out, name, thorough = true, all = false }) {
  const closers = [];
  const pages = [];
  const log = [];
  const notes = {};
  const bundles = backendOf(kind) === "wasm" ? every.map((bundle) => ({ ...bundle, ...bundle.wasm })) : every;

  const context = {
    kind,
    engine: browser.engine,
    /** What executes models in this browser, unless a case says otherwise. */
    backend: backendOf(kind),
    bundles,
    /** Whether there is time for more of the same. */
    thorough,
    /** Whether everything was asked for, however long it takes. */
    all,
    assert,
    /** Facts for the report. */
    note: (key, value) => (notes[key] = value),
    notes,
    log,
    /** The smallest bundle for which there are expectations of a sort. */
    bundle(sort) {
      const size = (bundle) => bundle.shards.reduce((sum, shard) => sum + shard.bytes, 0);
      const [best] = bundles.filter((bundle) => bundle[sort].length > 0).sort((a, b) => size(a) - size(b));
      if (!best) throw new Error(`no bundle has expectations for "${sort}"; make the bundles again`);
      return best;
    },
    /** A server for a folder, with a blank page that has the tests' client; `backend` is what that asks for. */
    async serve(folder, { extra = {}, backend = context.backend, ...options } = {}) {
      const client = { "blank.html": blank(backend), "test/client.js": readFileSync(path.join(HERE, "client.js")) };
      const server = await serve(folder, { extra: { ...client, ...extra }, ...options });
      closers.push(() => server.close());
      return server;
    },
    /** Another browser, for cases that break it. */
    async launch(otherKind = kind, options = {}) {
      const other = await launch(otherKind, options);
      closers.push(() => other.close());
      return other;
    },
    /** A new tab; `url` is opened in it. */
    async page(url, { from = browser, viewport, scheme } = {}) {
      const page = await from.newPage();
      page.setDefaultTimeout(WAIT_MS);
      pages.push(page);
      closers.push(() => page.close().catch(() => undefined));
      page.on("console", (message) => log.push(`${message.type()}: ${message.text()}`));
      page.on("pageerror", (error) => log.push(`uncaught: ${error.message}`));
      if (viewport) await page.setViewport(viewport);
      if (browser.engine === "chrome") {
        // Screenshots are taken of pages at rest; Firefox has a preference for that.
        await page.emulateMediaFeatures([
          { name: "prefers-reduced-motion", value: "reduce" },
          { name: "prefers-color-scheme", value: scheme ?? "light" },
        ]);
      }
      if (url) await page.goto(url, { waitUntil: "load" });
      return page;
    },
    /** A blank page beside a bundle, with the client ready. */
    async blank(server, options = {}) {
      const page = await context.page(`${server.url}blank.html`, options);
      await page.waitForFunction(() => window.test !== undefined);
      return page;
    },
    /** A blank page with the model loaded: `{ server, page, loaded }`. */
    async loaded(bundle, options = {}, hosting = {}) {
      const server = await context.serve(bundle.folder, hosting);
      const page = await context.blank(server);
      const loaded = await context.call(page, "load", options);
      return { server, page, loaded: context.ok(loaded) };
    },
    /** Calls a function of the client. */
    call: (page, method, ...args) => page.evaluate((name, list) => window.test[name](...list), method, args),
    /** The value of an attempt that must have succeeded. */
    ok(outcome) {
      if (!outcome.ok) throw new Error(`expected success, found ${describe(outcome.error)}`);
      return outcome.value;
    },
    /** The error of an attempt that must have failed with this code. */
    failed(outcome, code) {
      if (outcome.ok) throw new Error(`expected an error "${code}", found success`);
      assert.equal(outcome.error.code, code, `expected an error "${code}", found ${describe(outcome.error)}`);
      assert.ok(outcome.error.typed, "the error is no GristmillError");
      return outcome.error;
    },
    /** Waits until the page of a bundle is in a state. */
    async state(page, state) {
      const reached = (want) => [want, "error"].includes(document.documentElement.dataset.state);
      await page.waitForFunction(reached, {}, state);
      const found = await page.evaluate(() => document.documentElement.dataset.state);
      if (found === state) return;
      const notice = await page.evaluate(() => document.querySelector(".notice")?.textContent ?? "no notice");
      throw new Error(`expected the page to become ${state}, found ${found}: ${notice}`);
    },
    /** Drops the file at an address, which is relative to the page, on an element. */
    drop: (page, selector, address, name, type) =>
      page.evaluate(
        async (where, from, name, type) => {
          const data = new DataTransfer();
          data.items.add(new File([await (await fetch(from)).blob()], name, { type }));
          document.querySelector(where).dispatchEvent(new DragEvent("drop", { dataTransfer: data }));
        },
        selector,
        address,
        name,
        type,
      ),
    /** Keeps an image of a page. */
    async shot(page, label) {
      const file = path.join(out, "screenshots", `${kind}-${label}.png`);
      mkdirSync(path.dirname(file), { recursive: true });
      await page.screenshot({ path: file });
      return file;
    },
    /** What can be told about a failure. */
    async autopsy() {
      for (const [index, page] of pages.entries()) {
        if (page.isClosed()) continue;
        // Nothing is drawn of a tab behind another one, and Chromium waits for it.
        await page.bringToFront?.().catch(() => undefined);
        await context.shot(page, `failed-${name}-${index}`).catch(() => undefined);
      }
    },
    async end() {
      for (const close of closers.reverse()) await close();
    },
  };
  return context;
}

function describe(error) {
  return `${error.name} (${error.code ?? "no code"}): ${error.message}${error.code ? "" : `\n${error.stack}`}`;
}
