// The page of real bundles does its work, and is kept as a picture.

const DESKTOP = { width: 1280, height: 800 };
const PHONE = { width: 390, height: 844, isMobile: true, hasTouch: true };

/** Sets a slider or a field of the settings as a person would. */
async function set(page, label, value) {
  await page.evaluate(
    (text, content) => {
      const field = [...document.querySelectorAll(".settings label")].find((l) => l.textContent.startsWith(text));
      const input = field.querySelector("input");
      input.value = content;
      input.dispatchEvent(new Event("input", { bubbles: true }));
    },
    label,
    String(value),
  );
}

async function open(t, bundle, viewport) {
  const server = await t.serve(bundle.folder);
  const page = await t.page(server.url, { viewport });
  await t.state(page, "ready");
  t.assert.match(await page.title(), /gristmill/);
  t.assert.equal(await page.$eval("h1", (title) => title.textContent), bundle.manifest.model.name);
  return page;
}

async function writes(t, viewport, label) {
  const bundle = t.bundles.find(({ generate }) => generate.some(({ prompt }) => prompt)) ?? t.bundle("generate");
  const expected = bundle.generate.find(({ prompt }) => prompt);
  t.assert.ok(expected, "no expected text has a plain prompt; make the bundles again");
  const page = await open(t, bundle, viewport);
  await set(page, "Longest", expected.tokens.length);
  await set(page, "Temperature", 0);
  await page.$eval("#prompt", (box) => (box.value = ""));
  await page.type("#prompt", expected.prompt);
  await page.keyboard.press("Enter");
  await page.waitForFunction(() => document.querySelector("article .note:not(:empty)"), { timeout: 120_000 });
  const text = await page.$eval("article .text", (shown) => shown.textContent);
  const rate = await page.$eval(".figures .value", (value) => value.textContent);
  t.note("tokens per second", rate);
  await t.shot(page, `bundle-text-${label}`);
  if (await page.$(".story")) t.assert.equal(text, expected.prompt + expected.text);
  t.assert.match(rate, /^[0-9.]+$/);
}

async function searches(t, viewport, label) {
  const page = await open(t, t.bundle("embed"), viewport);
  await page.waitForSelector(".ranking li", { timeout: 120_000 });
  await t.state(page, "ready");
  const scores = () => page.$$eval(".ranking .score", (all) => all.map((score) => Number(score.textContent)));
  const before = await page.$$eval(".ranking .sentence", (all) => all.map((text) => text.textContent));
  // A sentence is closest to itself.
  await page.$eval("#query", (input) => (input.value = ""));
  await page.type("#query", before.at(-1));
  await page.waitForFunction(
    (text) => document.querySelector(".ranking .sentence").textContent === text,
    {},
    before.at(-1),
  );
  const ranked = await scores();
  t.assert.deepEqual(
    ranked,
    [...ranked].sort((a, b) => b - a),
    "in falling order",
  );
  t.assert.ok(ranked[0] > 0.999, `a sentence is like itself, found ${ranked[0]}`);
  await t.shot(page, `bundle-search-${label}`);
}

export default [
  { name: "writes, desktop", run: (t) => writes(t, DESKTOP, "desktop") },
  { name: "writes, phone", browsers: ["chromium"], run: (t) => writes(t, PHONE, "phone") },
  { name: "searches, desktop", run: (t) => searches(t, DESKTOP, "desktop") },
  { name: "searches, phone", browsers: ["chromium"], run: (t) => searches(t, PHONE, "phone") },
];
