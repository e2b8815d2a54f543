// Before a large download the page says what it is, and begins when it is told to.

const WEIGHTS = /^weights\//;
/** More than any model of the tests is stored at once at this limit, so all of them are large downloads. */
const LARGE = 1000;

/** Bytes that every device fetches: weights, and what turns text into tokens and back. */
function needed({ shards, manifest: { files } }) {
  const text = ["tokenizer.json", "chat_template.json", "generation_config.json"];
  const bytes = [...shards, ...text.flatMap((name) => files[name] ?? [])];
  return bytes.reduce((sum, file) => sum + file.bytes, 0);
}
const text = (page, selector) => page.$eval(selector, (element) => element.textContent);
const press = (page, label) =>
  page.evaluate((wanted) => {
    const found = [...document.querySelectorAll("button")].find((button) => button.textContent.startsWith(wanted));
    found.click();
  }, label);

async function open(t, server, query = "") {
  return t.page(`${server.url}?backend=${t.backend}${query}`);
}

/** Until all that the page has fetched of the model is in storage. */
async function stored(page) {
  await page.evaluate(async () => {
    const { Model } = await import("./runtime/gristmill.js");
    // One at a time, however slow the device is.
    for (;;) {
      const { downloadBytes, storedBytes } = await Model.inspect(".");
      if (downloadBytes === storedBytes) return;
    }
  });
}

export default [
  {
    name: "a large download waits for its button",
    wasm: true,
    async run(t) {
      const bundle = t.bundles.find(({ name }) => name === "stories260K");
      const server = await t.serve(bundle.folder);
      const page = await open(t, server, `&ask=${LARGE}`);
      await t.state(page, "asking");
      t.assert.deepEqual(server.requests(WEIGHTS), [], "nothing is fetched before it is wanted");
      t.assert.equal(await text(page, "h1"), bundle.manifest.model.name);
      t.assert.match(await text(page, "#subtitle"), /^260 k parameters · 4-bit weights · 157 kB$/);
      const panel = await text(page, ".start");
      t.assert.match(panel, /4-bit weights/);
      t.assert.match(panel, new RegExp(`To download${(needed(bundle) / 1e3).toFixed(0)} kB`), "weights and tokenizer");
      t.assert.ok(!panel.includes("Stored already"), "nothing is stored yet");
      await t.shot(page, "start");
      await press(page, "Start");
      await t.state(page, "ready");
      t.assert.match(await text(page, "#subtitle"), /4-bit weights · 157 kB · runs on /);
      await page.evaluate(() => document.querySelector(".machine").setAttribute("open", ""));
      t.assert.match(await text(page, ".machine"), /Precision4-bit weightsq4\.g32152 kB.*Policyq4/);
      await stored(page);
      await page.close();
      server.reset();
      // What is there is not asked for.
      const again = await open(t, server, `&ask=${LARGE}`);
      await t.state(again, "ready");
      t.assert.deepEqual(server.requests(WEIGHTS), []);
    },
  },
  {
    name: "the address can begin a large download, and a small one begins by itself",
    wasm: true,
    async run(t) {
      const bundle = t.bundle("generate");
      const server = await t.serve(bundle.folder);
      const page = await open(t, server, `&ask=${LARGE}&start`);
      await t.state(page, "ready");
      await page.close();
      const other = await t.serve(bundle.folder);
      await t.state(await open(t, other), "ready");
    },
  },
  {
    name: "a download tells its rate and what is left of it, and what came from storage",
    wasm: true,
    async run(t) {
      const bundle = t.bundles.find(({ name }) => name === "stories260K");
      const server = await t.serve(bundle.folder);
      const rate = 12_000;
      server.faults.push({ path: WEIGHTS, rate });
      const page = await open(t, server, `&ask=${LARGE}&start`);
      // What is small comes at full speed; then there is the rate of the weights, and the rest takes seconds.
      const told = (most) => {
        const [, perSecond, seconds] = document.querySelector(".pace")?.textContent.match(/^(\d+) kB\/s, about (\d+) s left$/) ?? [];
        return Number(perSecond) <= most && Number(seconds) <= 20;
      };
      await page.waitForFunction(told, { polling: 50 }, (1.5 * rate) / 1e3);
      t.note("told", await text(page, ".pace"));
      // Whatever the browser answers is said.
      if (t.engine === "chrome") {
        await page.waitForFunction(() => /^The browser (keeps|may remove) the files/.test(document.querySelector(".kept")?.textContent));
      }
      await t.shot(page, "start-loading");
      await press(page, "Cancel");
      await t.state(page, "error");
      t.assert.equal(await page.$eval(".notice", (notice) => notice.dataset.code), "aborted");
      // The tokenizer was complete, and stays.
      server.reset();
      const next = await open(t, server, `&ask=${LARGE}`);
      await t.state(next, "asking");
      t.assert.match(await text(next, ".start"), /Continue the download\?.*Stored already\d+ kB of \d+ kB/);
      await t.shot(next, "start-continue");
    },
  },
  {
    name: "a bundle can be inspected without being loaded",
    wasm: true,
    async run(t) {
      const bundle = t.bundles.find(({ name }) => name === "stories260K");
      const server = await t.serve(bundle.folder);
      const page = await t.blank(server);
      const inspect = (options) =>
        page.evaluate(async (given) => {
          const { Model } = await import("./runtime/gristmill.js");
          return Model.inspect(".", given);
        }, options);
      const { model } = bundle.manifest;
      const weightBytes = bundle.shards.reduce((sum, { bytes }) => sum + bytes, 0);
      for (const worker of [true, false]) {
        const info = await inspect({ worker });
        t.assert.match(info.id, /^manifest-[0-9a-f]{64}$/);
        t.assert.equal(info.name, model.name);
        t.assert.equal(info.parameters, model.parameters);
        t.assert.equal(info.precision, "q4");
        t.assert.equal(info.weightBytes, weightBytes);
        t.assert.equal(info.downloadBytes, needed(bundle));
        t.assert.equal(info.storedBytes, 0);
        t.assert.equal(Object.values(info.formats).reduce((a, b) => a + b), bundle.manifest.tensors.reduce((a, b) => a + b.bytes, 0));
      }
      t.assert.ok(server.log.every(({ path }) => !/^(weights|programs|shaders|wasm)\//.test(path)), "only the manifest");
      t.ok(await t.call(page, "load"));
      t.ok(await t.call(page, "dispose"));
      const after = await inspect({});
      t.assert.equal(after.storedBytes, after.downloadBytes, "all of it is stored");
      t.assert.equal((await inspect({ cache: false })).storedBytes, 0, "without storage nothing is");
      // What is no bundle is an error.
      server.faults.push({ path: /^manifest\.json$/, status: 404 });
      const refused = await page.evaluate(async () => {
        const { Model } = await import("./runtime/gristmill.js");
        return Model.inspect(".").catch(({ code, details }) => ({ code, details }));
      });
      t.assert.equal(refused.code, "network");
      t.assert.equal(refused.details.status, 404);
    },
  },
];
