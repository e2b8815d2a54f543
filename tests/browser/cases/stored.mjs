// What an origin has stored is listed by model, and can be deleted.

import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";

/** Calls the package in a page. */
const stored = (page) =>
  page.evaluate(async () => (await import("/one/runtime/gristmill.js")).storedBundles());
const remove = (page, bundle) =>
  page.evaluate(async (which) => (await import("/one/runtime/gristmill.js")).deleteStored(which), bundle);

/** Two bundles at one origin which share their weights, under different names. */
async function twins(t) {
  const bundle = t.bundles.find(({ name }) => name === "stories260K");
  const folder = mkdtempSync(path.join(tmpdir(), "gristmill-twins-"));
  for (const name of ["one", "two"]) cpSync(bundle.folder, path.join(folder, name), { recursive: true });
  const manifest = JSON.parse(readFileSync(path.join(folder, "two/manifest.json"), "utf8"));
  manifest.model.name = "Other";
  // A tokenizer of its own, with the same meaning.
  const tokenizer = `${readFileSync(path.join(folder, "two/tokenizer.json"), "utf8")}\n`;
  writeFileSync(path.join(folder, "two/tokenizer.json"), tokenizer);
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(tokenizer));
  manifest.files["tokenizer.json"] = {
    sha256: Buffer.from(digest).toString("hex"),
    bytes: Buffer.byteLength(tokenizer),
  };
  writeFileSync(path.join(folder, "two/manifest.json"), JSON.stringify(manifest));
  const server = await t.serve(folder);
  return { server, shards: bundle.shards, tokenizer, end: () => rmSync(folder, { recursive: true, force: true }) };
}

/** Loads a bundle in a page and waits until all of it is stored. */
async function load(page, name) {
  await page.evaluate(async (at, backend) => {
    const { Model } = await import(`/${at}/runtime/gristmill.js`);
    const model = await Model.load(`/${at}/`, { backend });
    await model.dispose();
  }, name, "wasm");
}

const button = (page, label) =>
  page.evaluate((wanted) => {
    const found = [...document.querySelectorAll("button")].find(
      (one) => (one.getAttribute("aria-label") ?? one.textContent) === wanted && !one.closest("[hidden]"),
    );
    if (!found) throw new Error(`no button ${wanted}`);
    found.click();
  }, label);
const names = (page) => page.$$eval(".stored strong", (all) => all.map((one) => one.textContent));
const listed = (page, count) =>
  page.waitForFunction((n) => document.querySelectorAll(".stored li").length === n, {}, count);

export default [
  {
    name: "stored bundles are listed, and deleting one keeps what others share",
    wasm: true,
    async run(t) {
      const { server, shards, tokenizer, end } = await twins(t);
      try {
        const page = await t.page(`${server.url}one/manifest.json`);
        t.assert.deepEqual(await stored(page), []);
        const begun = Date.now();
        await load(page, "one");
        await load(page, "two");
        const both = await stored(page);
        t.assert.deepEqual(both.map(({ name }) => name), ["Other", "stories260K"], "the last used first");
        const weights = shards.reduce((sum, { bytes }) => sum + bytes, 0);
        for (const { bytes, sharedBytes, lastUsed } of both) {
          t.assert.ok(sharedBytes >= weights && bytes > sharedBytes, `${bytes} bytes, ${sharedBytes} of them shared`);
          t.assert.ok(lastUsed >= begun - 2000 && lastUsed <= Date.now() + 2000, "used just now");
        }
        const [other, first] = both;
        const freed = await remove(page, other);
        t.assert.equal(freed, other.bytes - other.sharedBytes);
        t.assert.ok(freed >= tokenizer.length, "its tokenizer is its own");
        const [left, ...more] = await stored(page);
        t.assert.deepEqual(more, []);
        t.assert.equal(left.id, first.id);
        t.assert.equal(left.bytes, first.bytes);
        t.assert.equal(left.sharedBytes, 0, "nobody shares it any more");
        // The one that is left loads from storage.
        server.reset();
        await load(page, "one");
        t.assert.deepEqual(server.requests(/weights\/|tokenizer/), []);
        await remove(page, undefined);
        t.assert.deepEqual(await stored(page), []);
        const keys = await page.evaluate(async () => {
          const folder = await (await navigator.storage.getDirectory()).getDirectoryHandle("gristmill").catch(() => null);
          const found = [];
          if (folder) for await (const name of folder.keys()) found.push(name);
          return found.filter((name) => name !== "used");
        });
        t.assert.deepEqual(keys, [], "nothing is left");
        server.reset();
        await load(page, "one");
        t.assert.equal(server.requests(/weights\//).length, shards.length, "it is fetched again");
      } finally {
        end();
      }
    },
  },
  {
    name: "the page lists what is stored, and asks before it deletes",
    wasm: true,
    async run(t) {
      const { server, end } = await twins(t);
      try {
        const page = await t.page(`${server.url}one/?backend=${t.backend}`);
        await t.state(page, "ready");
        await load(page, "two");
        await load(page, "one");
        await button(page, "Stored models");
        await listed(page, 2);
        t.assert.deepEqual((await names(page)).sort(), ["Other", "stories260K"]);
        const dialog = await page.$eval("dialog", (one) => one.textContent);
        t.assert.match(dialog, /last used today/);
        t.assert.match(dialog, /shared with others/);
        t.assert.match(dialog, /The browser (keeps the files until|may remove the files when)/);
        t.assert.match(dialog, /This site uses [\d.]+ [kMG]?B of the [\d.]+ [kMG]?B that the browser allows/);
        await t.shot(page, "stored");
        await button(page, "Delete Other");
        await page.waitForFunction(() => /Delete Other, \d+ kB\?/.test(document.querySelector(".confirm p")?.textContent));
        t.assert.equal(await page.evaluate(() => document.activeElement.textContent), "Keep", "the safe answer is first");
        await t.shot(page, "stored-confirm");
        await button(page, "Keep");
        t.assert.equal((await names(page)).length, 2);
        await button(page, "Delete Other");
        await button(page, "Delete");
        await listed(page, 1);
        t.assert.deepEqual(await names(page), ["stories260K"]);
        await page.waitForFunction(() => /^Other was deleted/.test(document.querySelector("dialog [role=status]").textContent));
        await button(page, "Close");
        await page.waitForFunction(() => document.querySelector("dialog") === null);
        t.assert.equal(await page.evaluate(() => document.activeElement.textContent), "Stored models", "focus comes back");
        t.assert.equal((await stored(page)).length, 1);
      } finally {
        end();
      }
    },
  },
];
