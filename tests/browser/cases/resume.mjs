// A download that was ended goes on where it was, whatever ended it.

import { rmSync, mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";

const prompt = ({ prompt, messages }) => prompt ?? messages;

/** Runs in the page: bytes of the shard that are kept as parts, and whether the whole is. */
async function kept(sha256) {
  const found = { bytes: 0, whole: false };
  const folder = await navigator.storage.getDirectory().then(
    (root) => root.getDirectoryHandle("gristmill", { create: true }),
    () => null,
  );
  const note = (key, size) => {
    if (new RegExp(`^${sha256}-\\d+$`).test(key)) found.bytes += size;
    if (key === sha256) found.whole = true;
  };
  try {
    for await (const [name, handle] of folder?.entries() ?? []) note(name, (await handle.getFile()).size);
  } catch (error) {
    // A file is moved into place at this moment.
    if (error.name !== "NotFoundError") throw error;
  }
  const cache = await caches.open("gristmill");
  for (const request of await cache.keys()) {
    const response = await cache.match(request);
    if (response) note(request.url.split("/").at(-1), Number(response.headers.get("content-length")));
  }
  return found;
}

/** A server that sends the shard so slowly that there is time to end it in the middle. */
async function slow(t) {
  const bundle = t.bundle("generate");
  const server = await t.serve(bundle.folder);
  t.assert.equal(bundle.shards.length, 1, "the bundle has one shard");
  const [shard] = bundle.shards;
  const sha256 = /([0-9a-f]{64})/.exec(shard.path)[1];
  server.faults.push({ path: /^weights\//, rate: shard.bytes / 8 });
  return { bundle, server, shard, sha256 };
}

/** Loads the rest, and counts what comes for that. */
async function finish(t, page, { bundle, server, shard, sha256 }) {
  const { bytes, whole } = await page.evaluate(kept, sha256);
  t.assert.ok(bytes > 0 && bytes < shard.bytes && !whole, `expected a part of the shard, found ${bytes} bytes of it`);
  server.reset();
  const { last } = t.ok(await t.call(page, "load"));
  const asked = server.requests(/^weights\//);
  t.assert.deepEqual(
    asked.map(({ range, status, sent }) => ({ range, status, sent })),
    [{ range: `bytes=${bytes}-`, status: 206, sent: shard.bytes - bytes }],
    "what was missing was fetched, and nothing else",
  );
  t.assert.ok(last.cachedBytes >= bytes, "the rest is told to be stored");
  t.note("fetched again", `${shard.bytes - bytes} of ${shard.bytes}`);
  const [expected] = bundle.generate;
  const { result } = t.ok(await t.call(page, "generate", prompt(expected), { maxNewTokens: expected.tokens.length }));
  t.assert.deepEqual(result.tokens, expected.tokens);
  t.ok(await t.call(page, "dispose"));
  t.assert.deepEqual(await page.evaluate(kept, sha256), { bytes: 0, whole: true }, "the parts became the file");
}

/** Begins to load, and resolves when a part of the shard is kept. */
async function begin(page, { sha256, shard }) {
  await page.evaluate(() => void window.test.load());
  const partly = async (source, name, least) => (await new Function(`return (${source})`)()(name)).bytes >= least;
  await page.waitForFunction(partly, { polling: 100 }, kept.toString(), sha256, shard.bytes / 5);
}

export default [
  {
    name: "a download that was called off",
    wasm: true,
    async run(t) {
      const found = await slow(t);
      const page = await t.blank(found.server);
      const abortWithin = 0.7 * found.shard.bytes;
      t.failed(await t.call(page, "load", { abortWithin }), "aborted");
      // The worker of that model ends when all is stored.
      const stored = async (source, name) => (await new Function(`return (${source})`)()(name)).bytes > 0;
      await page.waitForFunction(stored, { polling: 100 }, kept.toString(), found.sha256);
      await finish(t, page, found);
    },
  },
  {
    name: "a tab that was closed",
    wasm: true,
    async run(t) {
      const found = await slow(t);
      const page = await t.blank(found.server);
      await begin(page, found);
      await page.close();
      await finish(t, await t.blank(found.server), found);
    },
  },
  {
    name: "a browser that was killed",
    browsers: ["chromium-no-adapter", "firefox-no-webgpu"],
    async run(t) {
      const found = await slow(t);
      const profile = mkdtempSync(path.join(tmpdir(), "gristmill-profile-"));
      try {
        const browser = await t.launch(t.kind, { profile });
        const page = await t.blank(found.server, { from: browser });
        await begin(page, found);
        browser.browser.process().kill("SIGKILL");
        const again = await t.launch(t.kind, { profile });
        await finish(t, await t.blank(found.server, { from: again }), found);
        await again.close();
      } finally {
        rmSync(profile, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
      }
    },
  },
];
