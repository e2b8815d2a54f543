// What was fetched once is not fetched again, and works without a network.

const WEIGHTS = /^weights\//;
/** What the service worker keeps, and what nothing keeps. */
const PAGE = /^(runtime\/|index\.html$|sw\.js$)/;
const prompt = ({ prompt, messages }) => prompt ?? messages;

async function sameText(t, page, bundle) {
  const [expected] = bundle.generate;
  const { result } = t.ok(await t.call(page, "generate", prompt(expected), { maxNewTokens: expected.tokens.length }));
  t.assert.deepEqual(result.tokens, expected.tokens);
}

export default [
  {
    name: "a second visit fetches no weights",
    wasm: true,
    async run(t) {
      const bundle = t.bundle("generate");
      const { server, page, loaded } = await t.loaded(bundle);
      t.assert.ok(server.requests(WEIGHTS).length > 0);
      t.ok(await t.call(page, "dispose"));
      await page.close();
      server.reset();
      const again = await t.blank(server);
      const { last, ms } = t.ok(await t.call(again, "load"));
      t.assert.deepEqual(server.requests(WEIGHTS), [], "no request for weights");
      t.assert.ok(last.cachedBytes > 0 && last.cachedBytes >= loaded.info.weightBytes, "weights came from storage");
      t.note("cold ms", Math.round(loaded.ms));
      t.note("warm ms", Math.round(ms));
      await sameText(t, again, bundle);
    },
  },
  {
    name: "loads what is stored without a network",
    wasm: true,
    async run(t) {
      const bundle = t.bundle("generate");
      const { server, page } = await t.loaded(bundle);
      t.ok(await t.call(page, "dispose"));
      // Scripts are kept by the service worker of the bundle's page, which the blank page does not have.
      server.faults.push({ path: /^(?!runtime\/)/, refuse: true });
      t.ok(await t.call(page, "load"));
      await sameText(t, page, bundle);
    },
  },
  {
    name: "the page reloads without a network",
    async run(t) {
      const bundle = t.bundle("generate");
      const server = await t.serve(bundle.folder);
      const page = await t.page(server.url);
      await t.state(page, "ready");
      await page.evaluate(() => navigator.serviceWorker.ready.then(() => undefined));
      await allStored(t, page, server, bundle);
      server.setOff(true);
      await page.reload({ waitUntil: "load" });
      await t.state(page, "ready");
      await t.shot(page, "page-offline");
      const isolated = await page.evaluate(() => window.crossOriginIsolated);
      t.assert.ok(isolated, "the page is isolated as with a network");
    },
  },
  {
    name: "without the cache everything is fetched again",
    wasm: true,
    async run(t) {
      const bundle = t.bundle("generate");
      const { server, page } = await t.loaded(bundle, { cache: false });
      const first = server.requests(WEIGHTS).length;
      t.ok(await t.call(page, "dispose"));
      server.reset();
      const { last } = t.ok(await t.call(page, "load", { cache: false }));
      t.assert.equal(last.cachedBytes, 0);
      t.assert.equal(server.requests(WEIGHTS).length, first);
    },
  },
  {
    name: "damaged storage is fetched again",
    wasm: true,
    async run(t) {
      const bundle = t.bundle("generate");
      const { server, page } = await t.loaded(bundle);
      t.ok(await t.call(page, "dispose"));
      const spoiled = await page.evaluate(spoilStorage);
      t.assert.ok(spoiled > 0, "there were stored files to damage");
      server.reset();
      t.ok(await t.call(page, "load"));
      t.assert.ok(server.requests(WEIGHTS).length > 0, "weights were fetched again");
      t.note("damaged files", spoiled);
      await sameText(t, page, bundle);
    },
  },
];

/** Waits until every file of the bundle that was fetched is in storage: that goes on after the model is there. */
async function allStored(t, page, server, { manifest }) {
  const fetched = server.log.map((entry) => entry.path).filter((name) => !PAGE.test(name));
  const hashes = fetched.map((name) => manifest.files[name]?.sha256 ?? /^weights\/([0-9a-f]+)\.bin$/.exec(name)?.[1]);
  const wanted = [...new Set(hashes.filter(Boolean))];
  t.assert.ok(wanted.length > 0, "files of the bundle were fetched");
  const complete = async (names) => {
    const folder = await (await navigator.storage.getDirectory()).getDirectoryHandle("gristmill");
    const found = new Set();
    for await (const name of folder.keys()) found.add(name);
    return names.every((name) => found.has(name));
  };
  await page.waitForFunction(complete, { polling: 50 }, wanted);
}

/** Runs in the page: changes a byte in every file that the origin has in storage; gives their number. */
async function spoilStorage() {
  let changed = 0;
  async function spoil(folder) {
    for await (const handle of folder.values()) {
      if (handle.kind === "directory") {
        await spoil(handle);
        continue;
      }
      const content = new Uint8Array(await (await handle.getFile()).arrayBuffer());
      if (content.length === 0) continue;
      content[content.length >> 1] ^= 1;
      const writable = await handle.createWritable();
      await writable.write(content);
      await writable.close();
      changed += 1;
    }
  }
  await spoil(await navigator.storage.getDirectory());
  for (const name of await caches.keys()) {
    const cache = await caches.open(name);
    for (const request of await cache.keys()) {
      const response = await cache.match(request);
      const content = new Uint8Array(await response.arrayBuffer());
      if (content.length === 0 || /\.(js|css|html)$/.test(request.url)) continue;
      content[content.length >> 1] ^= 1;
      await cache.put(request, new Response(content, { headers: response.headers }));
      changed += 1;
    }
  }
  return changed;
}
