// The settings of a text: what they are at first, what the model is asked for, what is wrong, and that they are kept.

import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import path from "node:path";
import { withFake } from "../states.mjs";

const USUAL = { maxNewTokens: 256, temperature: 0.7, topP: 0.9, topK: 0, minP: 0, repetitionPenalty: 1 };
const CHOSEN = { maxNewTokens: 12, temperature: 1.5, topP: 0.5, topK: 40, minP: 0.05, repetitionPenalty: 1.2, seed: 7 };

/** The page with a stand-in for the runtime, which says what it was asked for. */
async function withPage(t, use) {
  await withFake(t, async (server) => {
    const page = await t.page(null);
    const open = async () => {
      await page.goto(`${server.url}?task=chat`);
      await t.state(page, "ready");
    };
    await open();
    await use(page, open);
  });
}

/** Sets fields as a person would. */
async function set(page, values) {
  await page.evaluate((all) => {
    for (const [name, value] of Object.entries(all)) {
      const input = document.querySelector(`.settings [name=${name}]`);
      input.value = value;
      input.dispatchEvent(new Event("input", { bubbles: true }));
    }
  }, values);
}

/** Sends a message; the options that came with it. */
async function ask(page) {
  await page.evaluate(() => (globalThis.asked = null));
  await page.type("#prompt", "How?");
  await page.keyboard.press("Enter");
  await page.waitForFunction(() => globalThis.asked !== null && document.documentElement.dataset.state === "ready");
  const options = await page.evaluate(() => JSON.parse(JSON.stringify(globalThis.asked.options)));
  const { signal, ...others } = options;
  return others;
}

const summary = (page) => page.$eval(".settings summary", (line) => line.textContent);

export default [
  {
    name: "the model is asked for what is set, also after a reload, until it is reset",
    needsBundles: false,
    wasm: true,
    run: (t) =>
      withPage(t, async (page, open) => {
        t.assert.deepEqual(await ask(page), USUAL);
        t.assert.equal(await summary(page), "Settings");
        await set(page, { ...CHOSEN, stop: "The end\n\n\\n\\n" });
        t.assert.equal(await summary(page), "Settings · 8 changed");
        const chosen = { ...CHOSEN, stop: ["The end", "\n\n"] };
        t.assert.deepEqual(await ask(page), chosen);
        await open();
        t.assert.equal(await summary(page), "Settings · 8 changed");
        t.assert.deepEqual(await ask(page), chosen);
        await page.$eval(".settings", (details) => (details.open = true));
        await page.$eval(".settings button", (button) => button.focus());
        await page.keyboard.press("Enter");
        t.assert.equal(await page.evaluate(() => document.activeElement.tagName), "SUMMARY", "the focus is not lost");
        t.assert.equal(await summary(page), "Settings");
        t.assert.deepEqual(await ask(page), USUAL);
        await open();
        t.assert.deepEqual(await ask(page), USUAL);
      }),
  },
  {
    name: "what is wrong is told at its field, and what was right stays",
    needsBundles: false,
    wasm: true,
    run: (t) =>
      withPage(t, async (page, open) => {
        await set(page, { topK: 30 });
        const wrong = {
          maxNewTokens: ["0", /^Expected a whole number from 1 to 2048\. Until then it is 256\.$/],
          topK: ["65", /^Expected a whole number from 0 to 64\. Until then it is 30\.$/],
          minP: ["1.5", /from 0 to 1\. Until then it is 0\.$/],
          repetitionPenalty: ["", /^Expected a number from 0\.1 to 10\./],
          seed: ["a", /^Expected a whole number from 0 to 4294967295\. Until then it is empty\.$/],
        };
        await set(page, Object.fromEntries(Object.entries(wrong).map(([name, [text]]) => [name, text])));
        for (const [name, [, words]] of Object.entries(wrong)) {
          const told = await page.evaluate((field) => {
            const input = document.querySelector(`.settings [name=${field}]`);
            const about = input
              .getAttribute("aria-describedby")
              .split(" ")
              .map((id) => document.getElementById(id));
            return { invalid: input.getAttribute("aria-invalid"), last: about.at(-1).textContent };
          }, name);
          t.assert.equal(told.invalid, "true", name);
          t.assert.match(told.last, words, name);
        }
        t.assert.equal(await summary(page), "Settings · 5 wrong");
        t.assert.deepEqual(await ask(page), { ...USUAL, topK: 30 });
        await set(page, { maxNewTokens: 9, topK: 30, minP: 0, repetitionPenalty: 1, seed: "" });
        t.assert.equal(await summary(page), "Settings · 2 changed");
        t.assert.equal(await page.$$eval(".settings [aria-invalid=true]", (all) => all.length), 0);
        // What another version of the page has left, or somebody else.
        await page.evaluate(() => {
          const [key] = Object.keys(localStorage).filter((name) => name.startsWith("gristmill settings "));
          localStorage.setItem(key, JSON.stringify({ topK: "900", minP: 5, seed: "11", other: "x" }));
        });
        await open();
        t.assert.deepEqual(await ask(page), { ...USUAL, seed: 11 });
        await page.evaluate(() => {
          const [key] = Object.keys(localStorage).filter((name) => name.startsWith("gristmill settings "));
          localStorage.setItem(key, "{");
        });
        await open();
        t.assert.deepEqual(await ask(page), USUAL);
      }),
  },
  {
    name: "settings work where nothing can be kept",
    needsBundles: false,
    browsers: ["chromium-no-adapter", "firefox-no-webgpu"],
    run: (t) =>
      withPage(t, async (page, open) => {
        await page.evaluateOnNewDocument(() => {
          const refuse = () => {
            throw new DOMException("forbidden", "SecurityError");
          };
          Object.defineProperty(window, "localStorage", { get: refuse });
        });
        await open();
        await set(page, { topK: 3 });
        t.assert.deepEqual(await ask(page), { ...USUAL, topK: 3 });
      }),
  },
  {
    name: "settings begin as the model's own file has them",
    wasm: true,
    async run(t) {
      const bundle = t.bundles.find(({ generate }) => generate.some(({ messages }) => messages));
      const own = { do_sample: true, temperature: 0.35, top_k: 12, repetition_penalty: 1.1, max_new_tokens: 5 };
      const content = Buffer.from(JSON.stringify(own));
      const name = "generation_config.json";
      const manifest = JSON.parse(readFileSync(path.join(bundle.folder, "manifest.json"), "utf8"));
      manifest.files[name] = { sha256: createHash("sha256").update(content).digest("hex"), bytes: content.length };
      const extra = { "manifest.json": JSON.stringify(manifest), [name]: content };
      const { page: plain, server, loaded } = await t.loaded(bundle, {}, { extra });
      const expected = { maxNewTokens: 5, temperature: 0.35, topK: 12, topP: 1, repetitionPenalty: 1.1 };
      t.assert.deepEqual(loaded.info.generation, expected);
      await plain.close();
      const page = await t.page(`${server.url}?backend=${t.backend}`);
      await t.state(page, "ready");
      const shown = await page.$$eval(".settings [name]", (all) => all.map(({ name, value }) => [name, value]));
      const { maxNewTokens, temperature, topK, topP, repetitionPenalty, minP } = Object.fromEntries(shown);
      const numbers = { maxNewTokens, temperature, topK, topP, repetitionPenalty };
      t.assert.deepEqual(
        Object.fromEntries(Object.entries(numbers).map(([key, text]) => [key, Number(text)])),
        expected,
      );
      t.assert.equal(minP, "0");
      t.assert.equal(await summary(page), "Settings");
      await page.type("#prompt", "Hello");
      await page.keyboard.press("Enter");
      await page.waitForFunction(() => document.querySelector(".assistant .note:not(:empty)") !== null);
      t.assert.equal(
        await page.$eval(".assistant .note", (note) => note.textContent),
        "5 tokens · maximum length reached",
      );
    },
  },
];
