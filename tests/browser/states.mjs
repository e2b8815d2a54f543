// The states of the page, with a stand-in for the runtime, and how each is reached.

import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { ROOT } from "./bundles.mjs";
import { buildFake } from "./fake/build.mjs";

/** An answer with everything that one can have. */
export const ANSWER = readFileSync(path.join(ROOT, "tests/browser/fake/answer.txt"), "utf8");

export const DESKTOP = { width: 1280, height: 800 };
export const PHONE = { width: 390, height: 844, isMobile: true, hasTouch: true };
/** Windows in which everything must be seen and reached. */
export const WINDOWS = {
  desktop: DESKTOP,
  phone: PHONE,
  narrow: { width: 320, height: 568, isMobile: true, hasTouch: true },
  landscape: { width: 844, height: 390, isMobile: true, hasTouch: true },
};

/** States of the page: a name, the query of the address that makes the stand-in behave so, and what leads there. */
export const STATES = [
  ["start", "task=chat&state=start", asked],
  ["continue", "task=embed&state=continue", asked],
  ["stored", "task=chat", storage],
  ["loading", "task=chat&state=loading&start", halfLoaded],
  ["ready", "task=chat", ready],
  ["chat", "task=chat", converse],
  ["streaming", "task=chat&state=streaming", stream],
  ["full", "task=chat&context=120", fill],
  ["nearly-full", "task=chat&context=140", converse],
  ["left-out", "task=chat&context=120", leaveOut],
  ["failed", "task=chat&fail=1&early", failTurn],
  ["versions", "task=chat", regenerate],
  ["waiting", "task=chat&state=streaming", wait],
  ["edit", "task=chat", edit],
  ["undo", "task=chat", startAnew],
  ["conversations", "task=chat", listConversations],
  ["markdown", `task=chat&answer=${encodeURIComponent(ANSWER)}`, converse],
  ["settings", "task=chat", openSettings],
  ["trouble", "task=chat&fail=1", stumble],
  ["story", "task=generate", tell],
  ["story-failed", "task=generate&fail=1", failStory],
  ["writing", "task=generate&state=streaming", writeOn],
  ["answer", "task=answer", tell],
  ["search", "task=embed", ready],
  ["embedding", "task=embed&state=embedding", embedMany],
  ["classify", "task=classify", lookAt],
  ["image", "task=detect", lookAt],
  ["compare", "task=compare", lookAt],
  ["compareAudio", "task=compareAudio", compareAudio],
  ["label", "task=label", labelled],
  ["attached", "task=see", attach],
  ["seen", "task=see", see],
  ["audio", "task=transcribe", listen],
  ["listening", "task=transcribe&state=streaming", listen],
  ["entries", "task=run", ready],
  ["details", "task=chat", unfold],
  ["figures", "task=chat", charts],
  ["kernels", "task=chat", kernels],
  ["shader", "task=chat", shader],
  ["no-webgpu", "error=no-webgpu", failed],
  ["limit", "error=limit", failed],
  ["network", "error=network", failed],
  ["integrity", "error=integrity", unfoldError],
];

export const state = (page, want) =>
  page.waitForFunction((value) => document.documentElement.dataset.state === value, {}, want);

async function halfLoaded(page) {
  await page.waitForFunction(
    () => document.querySelector("[role=progressbar]")?.getAttribute("aria-valuenow") === "62",
  );
}
async function asked(page) {
  await state(page, "asking");
}
/** The window of what is stored, with a question. */
async function storage(page) {
  await ready(page);
  await press(page, "Stored models");
  await page.waitForSelector(".stored li");
  await page.$eval(".stored li:nth-child(2) button", (button) => button.click());
}
export async function ready(page) {
  await state(page, "ready");
}
export async function failed(page) {
  await state(page, "error");
}
export async function say(page, text) {
  await page.type("#prompt", text);
  await page.keyboard.press("Enter");
}
/** Until an answer is complete. Its note is written last. */
export async function answered(page, count) {
  await page.waitForFunction((n) => document.querySelectorAll("article .note:not(:empty)").length === n, {}, count);
}
async function converse(page) {
  await ready(page);
  await say(page, "Tell me a story about a mill.");
  await answered(page, 1);
  await say(page, "Shorter, please.");
  await answered(page, 2);
}
async function press(page, name) {
  await page.evaluate((wanted) => {
    const nameOf = (button) => button.getAttribute("aria-label") ?? button.textContent;
    [...document.querySelectorAll("button")].find((button) => nameOf(button) === wanted).click();
  }, name);
}
async function fill(page) {
  await converse(page);
  await say(page, "And one about the river, please.");
  await answered(page, 3);
}
async function leaveOut(page) {
  await fill(page);
  await press(page, "Leave out the oldest messages: answer 3");
  await page.waitForFunction(() => document.querySelector(".failure") === null);
  await answered(page, 3);
}
async function failTurn(page) {
  await ready(page);
  await say(page, "Tell me a story about a mill.");
  await answered(page, 1);
}
async function regenerate(page) {
  await failTurn(page);
  await press(page, "Regenerate answer 1");
  await page.waitForFunction(() => document.querySelector(".versions").textContent.includes("2 of 2"));
  await answered(page, 1);
}
async function failStory(page) {
  await ready(page);
  await page.$eval("#prompt", (box) => box.focus());
  await page.keyboard.press("Enter");
  await page.waitForSelector(".story .failure");
}
async function wait(page) {
  await stream(page);
  await say(page, "Shorter, please, and with a miller who sings all day long, even when it rains.");
  await say(page, "In German.");
}
async function edit(page) {
  await converse(page);
  await press(page, "Edit message 2");
}
async function startAnew(page) {
  await converse(page);
  await press(page, "New conversation");
  await page.waitForFunction(() => document.querySelector(".undo button") !== null);
}
async function listConversations(page) {
  await startAnew(page);
  await say(page, "How does a mill work, and what did the people of the village do when the river was frozen?");
  await answered(page, 1);
  await press(page, "Conversations");
  await page.waitForFunction(() => document.querySelectorAll(".conversations li").length > 1);
}
async function stream(page) {
  await ready(page);
  await say(page, "Tell me a story about a mill, and what the stone said.");
  await page.waitForFunction(() => document.querySelector(".assistant .text")?.textContent.length > 150);
}
export async function tell(page) {
  await ready(page);
  await page.$eval("#prompt", (box) => box.focus());
  await page.keyboard.press("Enter");
  await answered(page, 1);
}
async function writeOn(page) {
  await ready(page);
  await page.$eval("#prompt", (box) => box.focus());
  await page.keyboard.press("Enter");
  await page.waitForFunction(() => document.querySelector(".story .text").textContent.length > 150);
}
async function openSettings(page) {
  await ready(page);
  await page.$eval(".settings", (details) => (details.open = true));
}
/** An error while a text is written. */
async function stumble(page) {
  await ready(page);
  await say(page, "Tell me a story.");
  await page.waitForFunction(() => document.querySelector("[role=alert]:not(:empty)") !== null);
  await ready(page);
}
/** Five hundred sentences, of which some are done. */
async function embedMany(page) {
  await page.waitForSelector("#sentences");
  await page.$eval("#sentences", (box) => {
    box.value = Array.from({ length: 500 }, (_, at) => `Sentence number ${at} is about a mill.`).join("\n");
    box.dispatchEvent(new Event("input"));
  });
  await page.waitForFunction(() => /^[89]\d of 500/.test(document.querySelector(".batches .note").textContent));
}
async function unfoldError(page) {
  await failed(page);
  await page.$$eval("details", (all) => all.forEach((details) => (details.open = true)));
}
/** Drops an image that is wider than any window. */
export async function dropImage(page, where) {
  await page.evaluate(async (selector) => {
    const canvas = new OffscreenCanvas(3000, 1500);
    const context = canvas.getContext("2d");
    const sky = context.createLinearGradient(0, 0, 0, 1500);
    sky.addColorStop(0, "#9ec5e8");
    sky.addColorStop(0.6, "#e8e2c8");
    sky.addColorStop(0.6, "#7a9a5a");
    sky.addColorStop(1, "#3c5228");
    context.fillStyle = sky;
    context.fillRect(0, 0, 3000, 1500);
    const data = new DataTransfer();
    data.items.add(new File([await canvas.convertToBlob()], "mill.png", { type: "image/png" }));
    document.querySelector(selector).dispatchEvent(new DragEvent("drop", { dataTransfer: data }));
  }, where);
}
export async function attach(page) {
  await ready(page);
  for (const count of [1, 2]) {
    await dropImage(page, ".composer");
    await page.waitForFunction((n) => document.querySelectorAll(".attached li").length === n, {}, count);
  }
}
async function see(page) {
  await attach(page);
  await say(page, "What is in these images?");
  await answered(page, 1);
}
async function labelled(page) {
  await page.waitForFunction(() => document.querySelector(".scores li") !== null);
  await ready(page);
}
function dropAudio(page) {
  return page.evaluate(() => {
    const data = new DataTransfer();
    data.items.add(new File([new Uint8Array(9000)], "audio.wav", { type: "audio/wav" }));
    document.querySelector(".drop").dispatchEvent(new DragEvent("drop", { dataTransfer: data }));
  });
}
async function compareAudio(page) {
  await ready(page);
  await dropAudio(page);
  await labelled(page);
}
export async function lookAt(page) {
  await ready(page);
  await dropImage(page, ".drop");
  await page.waitForFunction(() => document.querySelector(".scores li") !== null);
  await ready(page);
}
/** Drops an audio file. */
export async function listen(page) {
  await ready(page);
  await dropAudio(page);
  const streams = await page.evaluate(() => location.search.includes("streaming"));
  if (streams) await page.waitForFunction(() => document.querySelector(".audio .text").textContent.length > 150);
  else await page.waitForFunction(() => / in /.test(document.querySelector(".audio .note").textContent));
}
async function unfold(page) {
  await ready(page);
  await page.$$eval("details", (all) => all.forEach((details) => (details.open = true)));
  await page.waitForSelector(".memory svg");
}
/** The margin with its charts, and their tables. */
async function charts(page) {
  await converse(page);
  await unfold(page);
  await page.$$eval(".memory details", (all) => all.forEach((details) => (details.open = true)));
  await page.waitForSelector(".memory table");
  await page.$eval(".machine", (part) => part.scrollIntoView());
}
/** The window of kernels, with their times. */
async function kernels(page) {
  await unfold(page);
  await press(page, "Kernels");
  await press(page, "Measure");
  await page.waitForSelector("dialog.kernel-times svg");
}
async function shader(page) {
  await kernels(page);
  await page.$eval("dialog.kernel-times tbody button", (button) => button.click());
  await page.waitForSelector("dialog.shader li");
}

/** Lets the browser forget the conversations of a page's server, so that the next page begins without any. */
export function forget(page) {
  return page.evaluate(
    () =>
      new Promise((resolve, reject) => {
        const request = indexedDB.deleteDatabase("gristmill-conversations");
        request.onsuccess = () => resolve();
        request.onerror = () => reject(request.error);
      }),
  );
}

/** Sets a slider or a field of the settings as a person would. */
export async function setField(page, label, value) {
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

/** Uses a server of the page with the stand-in. `extra` makes further files for it. */
export async function withFake(t, use, extra) {
  const folder = mkdtempSync(path.join(tmpdir(), "gristmill-page-"));
  try {
    await buildFake(folder);
    await use(await t.serve(folder, { extra: extra?.(folder) }));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
