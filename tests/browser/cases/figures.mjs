// Memory over time, the time of each kernel, and the text of a kernel.

const prompt = ({ prompt, messages }) => prompt ?? messages;

/** Times a text of a few tokens; gives what came of it. */
const timed = (page, text, maxNewTokens) =>
  page.evaluate(
    async (given, most) => {
      const { model } = window;
      let tokens = 0;
      const times = await model.timeKernels(async () => {
        const { result } = model.generate(given, { maxNewTokens: most, ignoreEos: true });
        tokens = (await result).tokens.length;
      });
      const after = await model.generate(given, { maxNewTokens: most }).result;
      return { times, tokens, after: after.tokens, features: model.info().adapter?.features ?? [] };
    },
    text,
    maxNewTokens,
  );

/** A blank page with a model of its own. */
async function opened(t, bundle, options = {}) {
  const server = await t.serve(bundle.folder);
  const page = await t.blank(server);
  await page.evaluate(async (given) => {
    const { Model } = await import("./runtime/gristmill.js");
    window.model = await Model.load(".", given);
  }, { backend: t.backend, ...options });
  return page;
}

export default [
  {
    name: "kernels are listed and timed, and the text is the same afterwards",
    wasm: true,
    async run(t) {
      const bundle = t.bundle("generate");
      const [expected] = bundle.generate;
      const page = await opened(t, bundle);
      const kernels = await page.evaluate(() => window.model.kernels());
      const count = expected.tokens.length;
      const { times, tokens, after, features } = await timed(page, prompt(expected), count);
      t.assert.equal(tokens, count);
      t.assert.deepEqual(after, expected.tokens);
      const names = new Set(kernels.map(({ name }) => name));
      for (const { name, nodes, file, backend, steps, ms } of times.kernels) {
        t.assert.ok(names.has(name), `${name} is one of the kernels`);
        t.assert.ok(nodes.length > 0 && file in bundle.manifest.files, `${name} has nodes and a file`);
        t.assert.equal(backend, t.backend);
        t.assert.ok(steps > 0 && ms >= 0);
      }
      const total = times.kernels.reduce((sum, { ms }) => sum + ms, 0);
      t.assert.ok(total > 0 && Math.abs(total - times.ms) < 1e-6 * total);
      t.assert.ok(times.kernels.every(({ ms }, at) => at === 0 || ms <= times.kernels[at - 1].ms), "the longest first");
      // Each of the other tokens is a call of `decode`, whose steps are known.
      const { steps } = JSON.parse(await page.evaluate(() => fetch("programs/wasm.json").then((r) => r.text()))).programs.decode;
      if (t.backend === "wasm") {
        const ran = times.kernels.reduce((sum, one) => sum + one.steps, 0);
        t.assert.ok(ran >= (count - 1) * (steps.length - 8), `expected the steps of ${count} calls, found ${ran}`);
      } else {
        t.assert.ok(features.includes("timestamp-query"), "only now");
      }
      t.note("kernels", times.kernels.length);
      t.note("longest", times.kernels.slice(0, 3).map(({ name, steps, ms }) => `${name} ${steps} x ${(ms / steps).toFixed(4)} ms`).join(", "));
      await page.evaluate(() => window.model.dispose());
    },
  },
  {
    name: "a kernel has a text on WebGPU, and none on WebAssembly",
    wasm: true,
    async run(t) {
      const bundle = t.bundle("generate");
      const page = await opened(t, bundle);
      const [kernel, text] = await page.evaluate(async () => {
        const all = await window.model.kernels();
        const one = all.find(({ name }) => name.startsWith("rms_norm"));
        return [one, await window.model.shader(one.name)];
      });
      if (t.backend === "wasm") {
        t.assert.match(kernel.file, /^wasm\/.*\.wasm$/);
        t.assert.equal(text, null);
      } else {
        t.assert.match(kernel.file, /^shaders\/.*\.wgsl$/);
        t.assert.equal(text, await page.evaluate((file) => fetch(file).then((r) => r.text()), kernel.file));
        t.assert.match(text, /@compute/);
      }
      const refused = await page.evaluate(() => window.model.shader("none").catch(({ code, message }) => `${code} ${message}`));
      t.assert.match(refused, /^input no kernel is called none/);
    },
  },
  {
    name: "steps on several threads are timed",
    wasm: true,
    browsers: ["chromium-no-adapter", "firefox-no-webgpu", "webkit"],
    async run(t) {
      const bundle = t.bundle("generate");
      const [expected] = bundle.generate;
      const page = await opened(t, bundle, { threads: 2 });
      t.assert.equal(await page.evaluate(() => window.model.info().cpu.threads), 2);
      const { times, after } = await timed(page, prompt(expected), expected.tokens.length);
      t.assert.ok(times.ms > 0 && times.kernels.length > 10);
      t.assert.ok(times.kernels.every(({ file }) => file.endsWith(".threads.wasm")), "the module that is in use");
      t.assert.deepEqual(after, expected.tokens);
    },
  },
  {
    name: "steps that are offloaded are timed beside the others",
    async run(t) {
      const [bundle] = t.bundles.filter(({ generate, limits }) => generate.length > 0 && limits);
      const length = ({ maxNewTokens, tokens }) => maxNewTokens ?? tokens.length;
      // Only a long text has caches that exceed the limit.
      const [expected] = [...bundle.generate].sort((a, b) => length(b) - length(a));
      const page = await opened(t, bundle, { limits: bundle.limits });
      const { times } = await timed(page, expected.prompt, length(expected));
      for (const [backend, folder] of [["webgpu", "shaders/"], ["wasm", "wasm/fallbacks."]]) {
        const own = times.kernels.filter((kernel) => kernel.backend === backend);
        t.assert.ok(own.length > 0, `kernels ran by ${backend}`);
        for (const { name, nodes, file } of own) t.assert.ok(nodes && file.startsWith(folder), `${name} is in ${file}`);
      }
    },
  },
  {
    name: "an adapter without a clock says so",
    async run(t) {
      const bundle = t.bundle("generate");
      const page = await opened(t, bundle, { without: ["timestamp-query"] });
      const refused = await page.evaluate(() =>
        window.model.timeKernels(async () => undefined).catch(({ code, message }) => `${code} ${message}`),
      );
      t.assert.match(refused, /^unsupported .* has no timestamp-query, without which/);
      const [expected] = bundle.generate;
      const after = await page.evaluate(
        async (text, maxNewTokens) => (await window.model.generate(text, { maxNewTokens }).result).tokens,
        prompt(expected),
        expected.tokens.length,
      );
      t.assert.deepEqual(after, expected.tokens, "the model goes on");
    },
  },
  {
    name: "the page draws memory and kernels, and shows a kernel",
    wasm: true,
    async run(t) {
      const bundle = t.bundles.find(({ name }) => name === "stories260K");
      const server = await t.serve(bundle.folder);
      const page = await t.page(`${server.url}?backend=${t.backend}`);
      await t.state(page, "ready");
      const drawers = () => performance.getEntriesByType("resource").filter(({ name }) => name.includes("/figures-")).length;
      t.assert.equal(await page.evaluate(drawers), 0, "what draws is loaded when somebody looks");
      await page.evaluate(() => document.querySelector(".machine").setAttribute("open", ""));
      await page.waitForSelector(".memory svg");
      const samples = () => document.querySelector(".memory desc").textContent;
      t.assert.match(await page.evaluate(samples), /now, .* at most, in \d+ s: weights \d+ kB, states [\d.]+ [kM]?B/);
      await page.type("#prompt", "Once upon a time");
      await page.keyboard.press("Enter");
      await page.waitForFunction(() => document.querySelector("article .note:not(:empty)"));
      await page.evaluate(() => document.querySelector(".memory details").setAttribute("open", ""));
      const rows = await page.waitForFunction(() => document.querySelectorAll(".memory tbody tr").length >= 2);
      t.assert.ok(rows, "it is sampled while a text is written");
      const press = (label) =>
        page.evaluate((text) => {
          const button = [...document.querySelectorAll("button")].filter((one) => one.textContent === text).at(-1);
          button.focus();
          button.click();
        }, label);
      await press("Kernels");
      await page.waitForFunction(() => document.querySelectorAll("dialog tbody tr").length > 10);
      await press("Measure");
      await page.waitForSelector("dialog svg[role=img]");
      const status = await page.$eval("dialog [role=status]", (line) => line.textContent);
      t.assert.match(status, t.backend === "wasm" ? /ms in all kernels.*performance\.now/ : /ms in all kernels.*timestamp-query/);
      t.assert.match(await page.$eval("dialog desc", (text) => text.textContent), /ms in \d+ kernels\. The longest: \w+ [\d.]+ %/);
      const [name, time, share, steps, nodes] = await page.$$eval("dialog tbody tr:first-child > *", (all) => all.map((one) => one.textContent));
      t.assert.match([time, share, steps].join(), /^[\d.]+ ms,[\d.]+ %,\d+$/);
      t.assert.ok(nodes.length > 0);
      await t.shot(page, "figures-kernels");
      await press(name);
      const shown = t.backend === "wasm" ? /a function of this WebAssembly module/ : /@compute/;
      await page.waitForFunction((text) => new RegExp(text).test(document.querySelector("dialog.shader")?.textContent), {}, shown.source);
      t.assert.equal(await page.$eval("dialog.shader h2", (heading) => heading.textContent), name);
      await t.shot(page, "figures-shader");
      await page.keyboard.press("Escape");
      await page.waitForFunction(() => document.querySelector("dialog.shader") === null);
      t.assert.equal(await page.evaluate(() => document.activeElement.textContent), name, "focus comes back");
    },
  },
];
