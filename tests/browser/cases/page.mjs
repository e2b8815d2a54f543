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

async function open(t, server, bundle, viewport) {
  const page = await t.page(`${server.url}?backend=${t.backend}`, { viewport });
  await t.state(page, "ready");
  t.assert.match(await page.title(), /gristmill/);
  const place = await page.$eval("#subtitle", (line) => line.textContent);
  t.assert.match(place, t.backend === "wasm" ? /runs here by WebAssembly on \d/ : /runs here by WebGPU on /);
  t.assert.equal(await page.$eval("h1", (title) => title.textContent), bundle.manifest.model.name);
  return page;
}

async function answered(page) {
  await page.waitForFunction(() => document.querySelector("article .note:not(:empty)"), { timeout: 120_000 });
}

/** The window may not scroll sideways. */
async function fits(t, page, label) {
  const wide = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
  t.assert.ok(wide <= 0, `${label}: the page is ${wide} px wider than the window`);
}

/** Both windows have the same server, so the second one finds the weights in storage. */
async function inWindows(t, use) {
  const servers = {};
  // Only Chromium can be a phone.
  const windows = t.engine === "chrome" && t.thorough ? [DESKTOP, PHONE] : [DESKTOP];
  for (const viewport of windows) await use(t, servers, viewport, viewport === PHONE ? "phone" : "desktop");
}

async function writes(t, servers, viewport, label) {
  const bundle = t.bundles.find(({ generate }) => generate.some(({ prompt }) => prompt));
  t.assert.ok(bundle, "no expected text has a plain prompt; make the bundles again");
  const expected = bundle.generate.find(({ prompt }) => prompt);
  servers.text ??= await t.serve(bundle.folder);
  const page = await open(t, servers.text, bundle, viewport);
  await set(page, "Longest", expected.tokens.length);
  await set(page, "Temperature", 0);
  await page.$eval("#prompt", (box) => (box.value = ""));
  await page.type("#prompt", expected.prompt);
  await page.keyboard.press("Enter");
  await answered(page);
  const text = await page.$eval("article .text", (shown) => shown.textContent);
  const rate = await page.$eval(".figures .value", (value) => value.textContent);
  t.note(`tokens per second, ${label}`, rate);
  await t.shot(page, `bundle-text-${label}`);
  t.assert.ok(await page.$(".story"), "a model without a chat template writes stories");
  t.assert.equal(text, expected.prompt + expected.text);
  t.assert.match(rate, /^[0-9.]+$/);
  await fits(t, page, label);
}

async function chats(t, servers, viewport, label) {
  const bundle = t.bundles.find(({ generate }) => generate.some(({ messages }) => messages));
  t.assert.ok(bundle, "no expected text has messages; make the bundles again");
  const { messages, tokens, text } = bundle.generate.find((expected) => expected.messages);
  servers.chat ??= await t.serve(bundle.folder);
  const page = await open(t, servers.chat, bundle, viewport);
  await set(page, "Longest", tokens.length);
  await set(page, "Temperature", 0);
  await page.type("#prompt", messages.at(-1).content);
  await page.keyboard.press("Enter");
  await answered(page);
  t.assert.equal(await page.$eval(".assistant .text", (shown) => shown.textContent), text);
  await t.shot(page, `bundle-chat-${label}`);
  await fits(t, page, label);
}

async function searches(t, servers, viewport, label) {
  const bundle = t.bundle("embed");
  servers.search ??= await t.serve(bundle.folder);
  const page = await open(t, servers.search, bundle, viewport);
  await page.waitForSelector(".ranking li", { timeout: 120_000 });
  await t.state(page, "ready");
  const scores = () => page.$$eval(".ranking .score", (all) => all.map((score) => Number(score.textContent)));
  const before = await page.$$eval(".ranking .sentence", (all) => all.map((text) => text.textContent));
  // A sentence is closest to itself. It may already come first while its last letters are still being typed.
  await page.$eval("#query", (input) => (input.value = ""));
  await page.type("#query", before.at(-1));
  const itself = (text) => {
    const [sentence, score] = [".sentence", ".score"].map((part) => document.querySelector(`.ranking ${part}`));
    return sentence.textContent === text && Number(score.textContent) > 0.999;
  };
  await page.waitForFunction(itself, { timeout: 60_000 }, before.at(-1));
  const ranked = await scores();
  t.assert.deepEqual(
    ranked,
    [...ranked].sort((a, b) => b - a),
    "in falling order",
  );
  await t.shot(page, `bundle-search-${label}`);
  await fits(t, page, label);
}

/** What reads a text and writes another shows only that. */
async function answer(t) {
  const bundle = t.bundles.find(({ name }) => name === "translator");
  const [expected] = bundle.generate;
  const server = await t.serve(bundle.folder);
  const page = await t.page(`${server.url}?backend=${t.backend}`);
  await t.state(page, "ready");
  await page.$eval("input[type=number]", (input, most) => (input.value = most), expected.maxNewTokens);
  await page.$eval("#prompt", (box) => (box.value = ""));
  await page.type("#prompt", expected.prompt);
  await page.keyboard.press("Enter");
  await page.waitForFunction(() => document.querySelector(".story .note:not(:empty)") !== null);
  t.assert.equal(await page.$eval(".story .text", (shown) => shown.textContent), expected.text);
}

/** docs/page.png is a copy of this picture. */
async function readme(t) {
  const bundle = t.bundles.find(({ generate }) => generate.some(({ prompt }) => prompt));
  const server = await t.serve(bundle.folder);
  const page = await open(t, server, bundle, { width: 1120, height: 640 });
  await set(page, "Longest", 110);
  await set(page, "Temperature", 0);
  await page.$eval("#prompt", (box) => (box.value = ""));
  await page.type("#prompt", "Once upon a time");
  await page.keyboard.press("Enter");
  await answered(page);
  const text = await page.$eval("article .text", (shown) => shown.textContent);
  t.assert.ok(text.length > 200, `expected a story, found ${text}`);
  await t.shot(page, "readme");
}

export default [
  { name: "writes", wasm: true, everywhere: true, run: (t) => inWindows(t, writes) },
  { name: "chats", wasm: true, run: (t) => inWindows(t, chats) },
  { name: "a text that answers another stands alone", wasm: true, run: answer },
  { name: "the picture of the README", browsers: ["firefox"], run: readme },
  { name: "searches", wasm: true, everywhere: true, run: (t) => inWindows(t, searches) },
];
