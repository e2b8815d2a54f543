// The page by keyboard, with a stand-in for the runtime.

import path from "node:path";
import { ROOT } from "../bundles.mjs";
import { DESKTOP, answered, attach, failed, listen, ready, say, state, withFake } from "../states.mjs";

/** A few images. */
const SAMPLES = path.join(ROOT, "tests/fixtures/compared/video");
/** The stand-in computes nothing, so browsers without an adapter do. WebKit cannot be told to hold a key. */
const browsers = ["chromium-no-adapter", "firefox-no-webgpu"];

export default [
  {
    name: "sends, stops and retries by keyboard",
    needsBundles: false,
    browsers,
    run: (t) =>
      withFake(t, async (server) => {
        const page = await t.page(`${server.url}?task=chat&state=streaming`, { viewport: DESKTOP });
        await ready(page);
        t.assert.equal(await page.evaluate(() => document.activeElement.id), "prompt", "the box has the focus");
        await page.type("#prompt", "one");
        await page.keyboard.down("Shift");
        await page.keyboard.press("Enter");
        await page.keyboard.up("Shift");
        await say(page, "two");
        await state(page, "working");
        t.assert.equal(await page.$eval(".user .text", (text) => text.textContent), "one\ntwo");
        await page.waitForFunction(() => document.querySelector(".assistant .text")?.textContent.length > 150);
        await page.keyboard.press("Escape");
        await ready(page);
        await answered(page, 1);
        t.assert.match(await page.$eval(".assistant .note", (note) => note.textContent), /stopped/);
        t.assert.equal(await page.evaluate(() => document.activeElement.id), "prompt", "the box has the focus again");

        await page.goto(`${server.url}?error=network`);
        await failed(page);
        t.assert.equal(await page.evaluate(() => document.activeElement.tagName), "H2", "the heading has the focus");
        t.assert.equal(await page.$eval("[role=alert]", (alert) => alert.dataset.code), "network");
        await page.click(".notice button");
        await state(page, "loading");
        await failed(page);
      }),
  },
  {
    name: "an audio file that is written down ends by keyboard",
    needsBundles: false,
    browsers,
    run: (t) =>
      withFake(t, async (server) => {
        const page = await t.page(`${server.url}?task=transcribe&state=streaming`, { viewport: DESKTOP });
        await ready(page);
        t.assert.equal(await page.evaluate(() => document.activeElement.textContent), "Choose an audio file", "the button has the focus");
        await listen(page);
        t.assert.equal(await page.$eval(".audio .note", (note) => note.textContent), "0:30 of 1:30");
        const labels = await page.$$eval(".audio .buttons label", (all) => all.map((one) => one.firstChild.textContent));
        t.assert.deepEqual(labels, ["Language", "Task"]);
        const languages = await page.$$eval("#choose-language option", (all) => all.map((one) => one.textContent));
        t.assert.deepEqual(languages, ["detect", "English", "French", "German"]);
        await page.keyboard.press("Escape");
        await ready(page);
        await page.waitForFunction(() => / in .*English · transcribe · stopped/.test(document.querySelector(".audio .note").textContent));
        t.assert.ok(await page.$eval(".audio button.stop", (button) => button.hidden), "there is nothing to stop");
      }),
  },
  {
    name: "images that wait are taken back and sent by keyboard",
    needsBundles: false,
    browsers,
    run: (t) =>
      withFake(t, async (server) => {
        const page = await t.page(`${server.url}?task=see`, { viewport: DESKTOP });
        await attach(page);
        if (t.engine === "chrome") {
          // All that are chosen at once are added, though the input forgets them.
          const files = [1, 2, 3].map((n) => path.join(SAMPLES, `${n}.png`));
          await (await page.$(".attach input")).uploadFile(...files);
          await page.waitForFunction(() => document.querySelectorAll(".attached li").length === 5);
          for (let left = 5; left > 2; left--) await page.click(".attached li:last-child button");
        }
        await page.focus(".attached button");
        await page.keyboard.press("Enter");
        t.assert.equal(await page.$$eval(".attached li", (all) => all.length), 1);
        t.assert.equal(await page.evaluate(() => document.activeElement.textContent), "Add an image", "the button has the focus");
        await say(page, "What is it?");
        await answered(page, 1);
        t.assert.equal(await page.$$eval(".user canvas", (all) => all.length), 1, "the conversation shows it");
        t.assert.ok(await page.$eval(".attached", (list) => list.hidden), "nothing waits any more");
        await page.evaluate(() => {
          const data = new DataTransfer();
          data.items.add(new File(["none"], "none.png", { type: "image/png" }));
          document.querySelector(".composer").dispatchEvent(new DragEvent("drop", { dataTransfer: data }));
        });
        const line = ".composer [role=alert]";
        await page.waitForFunction((where) => document.querySelector(where).textContent !== "", {}, line);
        t.assert.equal(await page.$eval(line, (note) => note.textContent), "The browser cannot read none.png as an image.");
      }),
  },
];
