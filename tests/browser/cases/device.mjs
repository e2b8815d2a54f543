// A device that is lost is replaced: the model comes back, the text goes on as if nothing had been.

const prompt = ({ prompt, messages }) => prompt ?? messages;

/** Texts are what they should be. */
async function undisturbed(t, page, bundle) {
  const [expected] = bundle.generate;
  const options = { maxNewTokens: expected.tokens.length };
  const { pieces, result } = t.ok(await t.call(page, "generate", prompt(expected), options));
  t.assert.deepEqual(result.tokens, expected.tokens);
  t.assert.equal(pieces.join(""), expected.text);
}

/** A text that is so long that it does not end before a loss is noticed. */
const LONG = { maxNewTokens: 128, ignoreEos: true };

async function crash(browser) {
  const session = await browser.browser.target().createCDPSession();
  await session.send("Browser.crashGpuProcess").catch(() => undefined);
  await session.detach().catch(() => undefined);
}

/** Generates while `disturb` is called as soon as the text has begun. */
async function disturbed(t, page, expected, disturb) {
  const options = { maxNewTokens: expected.tokens.length };
  await page.evaluate(
    (text, settings) => {
      window.outcome = window.test.generate(text, settings);
    },
    prompt(expected),
    options,
  );
  await disturb();
  return page.evaluate(() => window.outcome);
}

export default [
  {
    name: "a destroyed device is replaced in the middle of a text",
    async run(t) {
      const bundle = t.bundle("generate");
      const { page, server } = await t.loaded(bundle);
      const [expected] = bundle.generate;
      const calm = t.ok(await t.call(page, "generate", prompt(expected), LONG));
      server.reset();
      const { pieces, result } = t.ok(await t.call(page, "generate", prompt(expected), { ...LONG, loseAt: [4] }));
      t.assert.deepEqual(result.tokens, calm.result.tokens, "token ids are those of an undisturbed text");
      t.assert.equal(pieces.join(""), calm.result.text, "no piece is missing or comes twice");
      t.assert.equal(result.recoveries, 1);
      t.assert.deepEqual(server.requests(/^weights\//), [], "weights came from storage");
      await undisturbed(t, page, bundle);
    },
  },
  {
    name: "devices that are lost again and again are replaced",
    async run(t) {
      const bundle = t.bundle("generate");
      const { page } = await t.loaded(bundle);
      const [expected] = bundle.generate;
      const calm = t.ok(await t.call(page, "generate", prompt(expected), LONG));
      // There is progress in between, so the limit of recoveries does not apply. More than the tokens that may be under
      // way, else one loss would fall into the time that the one before takes.
      const storm = { ...LONG, loseAt: [1, 20, 39] };
      const { pieces, result } = t.ok(await t.call(page, "generate", prompt(expected), storm));
      t.assert.deepEqual(result.tokens, calm.result.tokens);
      t.assert.equal(pieces.join(""), calm.result.text);
      t.assert.equal(result.recoveries, 3);
    },
  },
  {
    name: "a device lost between texts is replaced",
    wasm: true,
    async run(t) {
      const bundle = t.bundle("generate");
      const { page } = await t.loaded(bundle);
      await t.call(page, "loseDevice");
      await undisturbed(t, page, bundle);
    },
  },
  {
    name: "a device is not replaced if nobody wants it",
    async run(t) {
      const bundle = t.bundle("generate");
      const { page } = await t.loaded(bundle, { recoveries: 0 });
      const [expected] = bundle.generate;
      t.failed(await t.call(page, "generate", prompt(expected), { ...LONG, loseAt: [3] }), "device-lost");
    },
  },
  {
    name: "the call after a loss that was an error has a new device",
    wasm: true,
    async run(t) {
      const bundle = t.bundle("generate");
      const { page } = await t.loaded(bundle, { recoveries: 0 });
      const [expected] = bundle.generate;
      t.failed(await t.call(page, "generate", prompt(expected), { ...LONG, loseAt: [3] }), "device-lost");
      await undisturbed(t, page, bundle);
      await t.call(page, "loseDevice");
      t.failed(await t.call(page, "generate", prompt(expected), LONG), "device-lost");
      await undisturbed(t, page, bundle);
    },
  },
  {
    name: "a replacement that cannot be fetched is tried again by the next call",
    wasm: true,
    async run(t) {
      const bundle = t.bundle("generate");
      const { page, server } = await t.loaded(bundle, { cache: false });
      await t.call(page, "loseDevice");
      server.faults.push({ path: /^weights\//, status: 404 });
      const [expected] = bundle.generate;
      t.failed(await t.call(page, "generate", prompt(expected), LONG), "network");
      server.reset();
      await undisturbed(t, page, bundle);
    },
  },
  {
    name: "the page keeps what is on it when its device is lost for good",
    browsers: ["chromium", "chromium-lavapipe"],
    async run(t) {
      const bundle = t.bundles.find(({ generate }) => generate.some((one) => one.prompt));
      const browser = await t.launch();
      const server = await t.serve(bundle.folder);
      const page = await t.page(`${server.url}?backend=webgpu`, { from: browser });
      await t.state(page, "ready");
      const write = async () => {
        await page.click(".composer button[type=submit], .composer button.primary");
        await page.waitForFunction(() => document.documentElement.dataset.state === "ready");
      };
      await write();
      const before = await page.$eval(".story .text", (text) => text.textContent);
      t.assert.ok(before.length > 20, "a text was written");
      const goOn = () =>
        page.$$eval("button", (all) => all.find((button) => button.textContent === "Continue").click());
      await crash(browser);
      await goOn();
      await page.waitForFunction(() => document.querySelector(".story .note").textContent.includes("resumed after"));
      // After the second one the browser gives the page no adapter any more.
      await crash(browser);
      await goOn();
      await page.waitForFunction(() => document.querySelector(".problem")?.textContent !== "");
      t.assert.match(await page.$eval(".problem", (line) => line.textContent), /The GPU was lost.*reload the page/);
      t.assert.ok((await page.$eval(".story .text", (text) => text.textContent)).startsWith(before), "the text is there");
      t.assert.equal(await page.$(".progress"), null, "nothing is told to be set up any more");
      await t.shot(page, "page-device-lost");
      // What the page advises works.
      await page.reload();
      await t.state(page, "ready");
      await write();
    },
  },
  {
    name: "a crash of the graphics process is survived, two are reported",
    browsers: ["chromium", "chromium-lavapipe"],
    async run(t) {
      const bundle = t.bundle("generate");
      const [expected] = bundle.generate;
      // A browser of its own: after two crashes this one gives no adapter to the page any more.
      const browser = await t.launch();
      const server = await t.serve(bundle.folder);
      const page = await t.blank(server, { from: browser });
      t.ok(await t.call(page, "load"));
      const { result } = t.ok(await disturbed(t, page, expected, () => crash(browser)));
      t.assert.deepEqual(result.tokens, expected.tokens);
      t.note("recoveries", result.recoveries);
      await crash(browser);
      const outcome = await t.call(page, "generate", prompt(expected), { maxNewTokens: expected.tokens.length });
      t.assert.ok(!outcome.ok, "expected an error after the second crash");
      t.assert.ok(outcome.error.typed, `expected a typed error, found ${outcome.error.message}`);
      t.assert.equal(outcome.error.code, "device-lost");
      t.assert.match(outcome.error.message, /reload the page/);
    },
  },
];
