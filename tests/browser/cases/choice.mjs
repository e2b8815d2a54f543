// What a model runs on when nobody says it: measured, remembered, and changed when a device goes away for good.


const promptOf = ({ prompt, messages }) => prompt ?? messages;

async function crash(browser) {
  const session = await browser.browser.target().createCDPSession();
  await session.send("Browser.crashGpuProcess").catch(() => undefined);
  await session.detach().catch(() => undefined);
}

/** Runs in a page whose model will live in it: the adapter says that it is a real one. */
function pretend() {
  const describe = (name, value) => Object.defineProperty(GPUAdapterInfo.prototype, name, { get: () => value });
  describe("isFallbackAdapter", false);
  describe("vendor", "pretended");
}

/** Runs in a page: writes into all verdicts that the GPU is faster; gives their number. */
async function favourWebGPU() {
  const folder = await (await navigator.storage.getDirectory()).getDirectoryHandle("gristmill");
  let changed = 0;
  for await (const [name, handle] of folder.entries()) {
    if (!name.startsWith("choice-")) continue;
    const writable = await handle.createWritable();
    await writable.write(JSON.stringify({ webgpuMs: 1, wasmMs: 1000 }));
    await writable.close();
    changed += 1;
  }
  return changed;
}

/** A page whose model will live in it, with an adapter that passes for a real one. */
async function pretending(t, server, options = {}) {
  const page = await t.blank(server, options);
  await page.evaluate(pretend);
  return page;
}

const AUTO = { backend: "auto", worker: false };

export default [
  {
    name: "an adapter that is the CPU itself is not taken",
    browsers: ["chromium", "chromium-lavapipe"],
    everywhere: true,
    async run(t) {
      const bundle = t.bundle("generate");
      const { page, server, loaded } = await t.loaded(bundle, { backend: "auto" });
      const { backend, choice } = loaded.info;
      t.assert.equal(backend, "wasm");
      t.assert.deepEqual([choice.asked, choice.estimates], ["auto", null]);
      t.assert.match(choice.reason, /on the CPU/);
      t.assert.deepEqual(server.requests(/^shaders\//), []);
      t.ok(await t.call(page, "dispose"));
      const forced = t.ok(await t.call(page, "load", { backend: "webgpu" }));
      t.assert.equal(forced.info.backend, "webgpu");
      t.assert.equal(forced.info.choice.reason, "it was requested");
    },
  },
  {
    name: "a real adapter is measured once",
    browsers: ["chromium-lavapipe", "firefox"],
    async run(t) {
      const bundle = t.bundle("generate");
      const server = await t.serve(bundle.folder);
      const page = await pretending(t, server);
      const first = t.ok(await t.call(page, "load", AUTO)).info;
      const { choice } = first;
      t.note("choice", choice);
      t.assert.equal(first.backend, choice.backend);
      for (const ms of Object.values(choice.estimates)) t.assert.ok(Number.isFinite(ms) && ms > 0, `found ${ms}`);
      t.ok(await t.call(page, "dispose"));
      const again = t.ok(await t.call(page, "load", AUTO)).info;
      t.assert.deepEqual(again.choice, choice, "the second time it is remembered");
      t.ok(await t.call(page, "dispose"));
      t.assert.equal(await page.evaluate(favourWebGPU), 1);
      const changed = t.ok(await t.call(page, "load", AUTO)).info;
      t.assert.equal(changed.backend, "webgpu", "what is remembered decides");
      t.assert.deepEqual(changed.choice.estimates, { webgpuMs: 1, wasmMs: 1000 });
    },
  },
  {
    name: "a model that no adapter binds runs on the CPU",
    browsers: ["chromium-lavapipe", "firefox"],
    async run(t) {
      const bundle = t.bundle("generate");
      const server = await t.serve(bundle.folder);
      const page = await pretending(t, server);
      await page.evaluate(() => {
        // A device that binds next to nothing.
        const real = GPUSupportedLimits.prototype;
        const small = (name) => Object.defineProperty(real, name, { get: () => 256 });
        const request = GPUAdapter.prototype.requestDevice;
        GPUAdapter.prototype.requestDevice = function () {
          return request.call(this);
        };
        small("maxStorageBufferBindingSize");
      });
      const { info } = t.ok(await t.call(page, "load", AUTO));
      t.assert.equal(info.backend, "wasm");
      t.assert.match(info.choice.reason, /maxStorageBufferBindingSize/);
      t.ok(await t.call(page, "dispose"));
      t.failed(await t.call(page, "load", { ...AUTO, backend: "webgpu" }), "limit");
    },
  },
  {
    name: "when the browser gives no adapter any more, the CPU goes on",
    browsers: ["chromium-lavapipe"],
    async run(t) {
      const bundle = t.bundle("generate");
      const [expected] = bundle.generate;
      const browser = await t.launch();
      const server = await t.serve(bundle.folder);
      const page = await pretending(t, server, { from: browser });
      t.ok(await t.call(page, "load", AUTO));
      t.ok(await t.call(page, "dispose"));
      await page.evaluate(favourWebGPU);
      t.assert.equal(t.ok(await t.call(page, "load", AUTO)).info.backend, "webgpu");
      server.reset();
      const options = { maxNewTokens: expected.tokens.length };
      for (let crashes = 0; crashes < 2; crashes++) {
        await crash(browser);
        const { result } = t.ok(await t.call(page, "generate", promptOf(expected), options));
        const { tokens } = crashes === 0 ? expected : bundle.wasm.generate[0];
        t.assert.deepEqual(result.tokens, tokens);
      }
      const info = t.ok(await t.call(page, "info"));
      t.assert.equal(info.backend, "wasm");
      t.assert.match(info.choice.reason, /lost/);
      t.assert.deepEqual(server.requests(/^weights\//), [], "weights came from storage");
    },
  },
  {
    name: "a bundle without WebAssembly says so",
    browsers: ["chromium-lavapipe", "firefox"],
    async run(t) {
      const bundle = t.bundle("generate");
      const { manifest } = bundle;
      const profiles = manifest.profiles.filter((profile) => profile !== "wasm");
      const changed = JSON.stringify({ ...manifest, profiles });
      const { page, loaded } = await t.loaded(bundle, { backend: "auto" }, { extra: { "manifest.json": changed } });
      t.assert.equal(loaded.info.backend, "webgpu");
      t.assert.match(loaded.info.choice.reason, /no WebAssembly/);
      t.ok(await t.call(page, "dispose"));
      const error = t.failed(await t.call(page, "load", { backend: "wasm" }), "unsupported");
      t.assert.match(error.message, /--target/);
    },
  },
];
