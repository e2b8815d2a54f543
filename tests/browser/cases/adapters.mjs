// The browsers are what the other cases take them for; else those would pass or fail for the wrong reason.

async function offered(page) {
  return page.evaluate(async () => {
    const isolated = window.crossOriginIsolated;
    if (!("gpu" in navigator)) return { isolated, gpu: false, adapter: null };
    const adapter = await navigator.gpu.requestAdapter();
    if (!adapter) return { isolated, gpu: true, adapter: null };
    const { vendor, architecture } = adapter.info;
    return { isolated, gpu: true, adapter: { vendor, architecture, features: [...adapter.features] } };
  });
}

/** Features that shaders may be specialised for. */
const FEATURES = ["subgroups", "shader-f16"];
const EMPTY = { extra: { "empty.html": "<!doctype html><title>empty</title>" } };

/** What a browser of its own offers to a page without anything. */
async function other(t, kind) {
  const server = await t.serve(".", EMPTY);
  return offered(await t.page(`${server.url}empty.html`, { from: await t.launch(kind) }));
}

export default [
  {
    name: "an adapter, in an isolated page",
    needsBundles: false,
    everywhere: true,
    async run(t) {
      const server = await t.serve(".", EMPTY);
      const { isolated, adapter } = await offered(await t.page(`${server.url}empty.html`));
      t.assert.ok(isolated, "the page is isolated");
      t.assert.ok(adapter, "there is an adapter; is a Vulkan driver installed?");
      const features = adapter.features.filter((feature) => FEATURES.includes(feature));
      t.note("features", features);
      const expected = { chromium: ["subgroups"], "chromium-lavapipe": FEATURES, firefox: ["shader-f16"] };
      t.assert.deepEqual(features.sort(), [...expected[t.kind]].sort());
    },
  },
  {
    name: "WebGPU without an adapter",
    needsBundles: false,
    browsers: ["chromium"],
    async run(t) {
      const { gpu, adapter } = await other(t, "chromium-no-adapter");
      t.assert.deepEqual({ gpu, adapter }, { gpu: true, adapter: null });
    },
  },
  {
    name: "no WebGPU at all",
    needsBundles: false,
    browsers: ["firefox"],
    async run(t) {
      t.assert.equal((await other(t, "firefox-no-webgpu")).gpu, false);
    },
  },
  {
    name: "WebKit: no WebGPU, but memory that threads share",
    needsBundles: false,
    browsers: ["webkit"],
    async run(t) {
      const server = await t.serve(".", EMPTY);
      const page = await t.page(`${server.url}empty.html`);
      t.assert.deepEqual(await offered(page), { isolated: true, gpu: false, adapter: null });
      t.assert.ok(await page.evaluate(() => typeof SharedArrayBuffer === "function"));
    },
  },
];
