// The page of real bundles does its work, and is kept as an image.

import { vector } from "../bundles.mjs";
import { DESKTOP, PHONE, forget, setField } from "../states.mjs";

async function open(t, server, bundle, viewport) {
  const page = await t.page(`${server.url}?backend=${t.backend}`, { viewport });
  await t.state(page, "ready");
  t.assert.match(await page.title(), /gristmill/);
  const place = await page.$eval("#subtitle", (line) => line.textContent);
  t.assert.match(place, t.backend === "wasm" ? /runs on WebAssembly on \d/ : /runs on WebGPU on /);
  t.assert.equal(await page.$eval("h1", (title) => title.textContent), bundle.manifest.model.name);
  return page;
}

async function answered(page) {
  await page.waitForFunction(() => document.querySelector("article .note:not(:empty)"));
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
  const windows = t.engine === "chrome" ? [DESKTOP, PHONE] : [DESKTOP];
  for (const viewport of windows) await use(t, servers, viewport, viewport === PHONE ? "phone" : "desktop");
}

async function writes(t, servers, viewport, label) {
  const bundle = t.bundles.find(({ generate }) => generate.some(({ prompt }) => prompt));
  t.assert.ok(bundle, "no expected text has a plain prompt; make the bundles again");
  const expected = bundle.generate.find(({ prompt }) => prompt);
  servers.text ??= await t.serve(bundle.folder);
  const page = await open(t, servers.text, bundle, viewport);
  await setField(page, "Maximum length", expected.tokens.length);
  await setField(page, "Temperature", 0);
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
  await setField(page, "Maximum length", tokens.length);
  await setField(page, "Temperature", 0);
  await page.type("#prompt", messages.at(-1).content);
  await page.keyboard.press("Enter");
  await answered(page);
  t.assert.equal(await page.$eval(".assistant .text", (shown) => shown.textContent), text);
  await t.shot(page, `bundle-chat-${label}`);
  await fits(t, page, label);
  // The next window begins a conversation of its own.
  await forget(page);
}

async function searches(t, servers, viewport, label) {
  const bundle = t.bundle("embed");
  servers.search ??= await t.serve(bundle.folder);
  const page = await open(t, servers.search, bundle, viewport);
  await page.waitForSelector(".ranking li");
  await t.state(page, "ready");
  const sentences = await page.$$eval(".ranking .sentence", (all) => all.map((text) => text.textContent));
  const query = sentences.at(-1);
  servers.ranked ??= await ranking(t, bundle, query, sentences);
  await page.$eval("#query", (input) => (input.value = ""));
  await page.type("#query", query);
  // The first ones may come first already while the last letters are being typed.
  const isShown = (expected) => {
    const shown = (part) => [...document.querySelectorAll(`.ranking ${part}`)].map((element) => element.textContent);
    const scores = shown(".score").map(Number);
    return (
      shown(".sentence").join() === expected.map(({ text }) => text).join() &&
      expected.every(({ score }, at) => Math.abs(scores[at] - score) < 0.006)
    );
  };
  await page.waitForFunction(isShown, {}, servers.ranked);
  await t.shot(page, `bundle-search-${label}`);
  await fits(t, page, label);
}

/** Sentences with their likeness to a query, the closest first. A model may read queries behind another prompt. */
async function ranking(t, bundle, query, sentences) {
  const { page } = await t.loaded(bundle);
  const vectors = async (texts, promptName) => t.ok(await t.call(page, "embed", texts, promptName)).map(vector);
  const [wanted] = await vectors([query], "query");
  const found = await vectors(sentences, "document");
  await page.close();
  const dot = (a, b) => a.reduce((sum, value, at) => sum + value * b[at], 0);
  const score = (other) => dot(wanted, other) / Math.sqrt(dot(wanted, wanted) * dot(other, other));
  const all = sentences.map((text, at) => ({ text, score: score(found[at]) }));
  return all.sort((a, b) => b.score - a.score);
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

/** docs/page.png is a copy of this image. */
async function readme(t) {
  const bundle = t.bundles.find(({ generate }) => generate.some(({ prompt }) => prompt));
  const server = await t.serve(bundle.folder);
  const page = await open(t, server, bundle, { width: 1120, height: 640 });
  await setField(page, "Maximum length", 110);
  await setField(page, "Temperature", 0);
  await page.$eval("#prompt", (box) => (box.value = ""));
  await page.type("#prompt", "Once upon a time");
  await page.keyboard.press("Enter");
  await answered(page);
  const text = await page.$eval("article .text", (shown) => shown.textContent);
  t.assert.ok(text.length > 200, `expected a story, found ${text}`);
  await t.shot(page, "readme");
}

export default [
  { name: "writes", wasm: true, run: (t) => inWindows(t, writes) },
  { name: "chats", wasm: true, run: (t) => inWindows(t, chats) },
  { name: "a text that answers another stands alone", wasm: true, run: answer },
  { name: "the image of the README", browsers: ["firefox"], run: readme },
  { name: "searches", wasm: true, run: (t) => inWindows(t, searches) },
];
