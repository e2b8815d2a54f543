// Browsers in which the model cannot run as it was asked to say so: by a typed error to programs, in plain words to
// people. Where nothing was asked for, it runs by WebAssembly.

async function refused(t, server, page, words) {
  await page.waitForFunction(() => window.test !== undefined);
  t.failed(await t.call(page, "load", { backend: "webgpu" }), "no-webgpu");
  const weights = server.requests(/^weights\//).length;
  t.assert.equal(weights, 0, "nothing is downloaded for nothing");
  await page.goto(new URL("./?backend=webgpu", page.url()).href);
  await t.state(page, "error");
  const notice = await page.$eval(".notice", (panel) => ({ code: panel.dataset.code, text: panel.textContent }));
  t.assert.equal(notice.code, "no-webgpu");
  t.assert.match(notice.text, words);
}

/** The page of a bundle runs nevertheless, and says by what and why. */
async function runs(t, page, words) {
  await page.goto(new URL(".", page.url()).href);
  await t.state(page, "ready");
  t.assert.match(await page.$eval("#subtitle", (line) => line.textContent), /runs on WebAssembly on \d/);
  t.assert.match(await page.$eval(".machine", (panel) => panel.textContent), words);
}

export default [
  {
    name: "no adapter",
    browsers: ["chromium"],
    async run(t) {
      const browser = await t.launch("chromium-no-adapter");
      const server = await t.serve(t.bundle("generate").folder);
      const page = await t.page(`${server.url}blank.html`, { from: browser });
      await refused(t, server, page, /no GPU/);
      await t.shot(page, "page-no-adapter");
      await runs(t, page, /has no graphics adapter/);
      await t.shot(page, "page-by-wasm");
    },
  },
  {
    name: "no WebGPU",
    browsers: ["firefox"],
    async run(t) {
      const browser = await t.launch("firefox-no-webgpu");
      const server = await t.serve(t.bundle("generate").folder);
      const page = await t.page(`${server.url}blank.html`, { from: browser });
      await refused(t, server, page, /no WebGPU/);
      await t.shot(page, "page-no-webgpu-real");
      await runs(t, page, /has no WebGPU/);
    },
  },
  {
    name: "no secure address",
    browsers: ["chromium"],
    async run(t) {
      const browser = await t.launch("chromium", { flags: ["--host-resolver-rules=MAP bundle.test 127.0.0.1"] });
      const server = await t.serve(t.bundle("generate").folder);
      const page = await t.page(`http://bundle.test:${server.port}/blank.html`, { from: browser });
      t.assert.equal(await page.evaluate(() => window.isSecureContext), false);
      await refused(t, server, page, /secure address/);
      await t.shot(page, "page-insecure");
    },
  },
  {
    name: "runs on hosts that do not isolate pages",
    wasm: true,
    async run(t) {
      const bundle = t.bundle("generate");
      const server = await t.serve(bundle.folder, { isolate: false });
      const page = await t.page(`${server.url}?backend=${t.backend}`);
      await t.state(page, "ready");
      t.assert.equal(await page.evaluate(() => window.crossOriginIsolated), false);
    },
  },
];
