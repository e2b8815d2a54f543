// Holds a conversation of twenty turns in the page of a bundle that chats, as a reader would: over two reloads, with
// edits and a regeneration, past the end of the context. node tests/browser/converse.mjs BUNDLE
// [--browser chromium-no-adapter,firefox-no-webgpu] [--out FOLDER]. Checks that nothing is lost and that nothing ends
// without an explanation; writes screenshots and the conversation to the folder. Run by hand: models that answer are too
// large for the tests. Exit code 1 if something was lost.

import assert from "node:assert/strict";
import { mkdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import { parseArgs } from "node:util";
import { launch } from "./browsers.mjs";
import { ROOT } from "./bundles.mjs";
import { createContext } from "./context.mjs";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    browser: { type: "string", default: "chromium-no-adapter,firefox-no-webgpu" },
    out: { type: "string", default: path.join(ROOT, "target/browser/conversation") },
  },
});

const QUESTIONS = [
  "What is the capital of France?",
  "And of Italy?",
  "Name three things to see there, as a list.",
  "Which of them is the oldest?",
  "Write a short poem about bread.",
  "Make it about flour instead.",
  "What does a millstone do?",
  "Write a small table of three grains and their colours.",
  "How do I boil an egg?",
  "And how long for a soft one?",
  "What is WebAssembly?",
  "Write a function in JavaScript that adds two numbers.",
  "Explain it in one sentence.",
  "What is the largest planet?",
  "How far is the moon?",
  "Tell me a joke.",
  "Why is that funny?",
  "Translate good morning into French.",
  "What was my first question?",
  "Thank you, goodbye!",
];
/** After these turns the page is reloaded, the message is edited, the answer is regenerated. */
const RELOADS = [6, 14];
const EDITS = new Map([
  [3, "Name two things to see in Rome, as a list."],
  [9, "How do I boil a potato?"],
]);
const AGAIN = 11;
const FULL = "Leave out the oldest messages";

const shown = (page) =>
  page.$$eval(".turn", (turns) =>
    turns.map((turn) => ({
      said: turn.querySelector(".user .text")?.textContent ?? "",
      answer: turn.querySelector(".assistant .text")?.textContent ?? "",
      note: turn.querySelector(".assistant .note")?.textContent ?? "",
      problem: turn.querySelector(".failure")?.textContent ?? "",
      leftOut: turn.classList.contains("left-out"),
    })),
  );

/** Presses the last button that is called this way; whether there is one. */
const press = (page, name) =>
  page.evaluate((wanted) => {
    const named = (button) => (button.getAttribute("aria-label") ?? button.textContent).trim().startsWith(wanted);
    const button = [...document.querySelectorAll("button")].filter((b) => b.checkVisibility() && !b.disabled && named(b)).at(-1);
    button?.click();
    return button !== undefined;
  }, name);

/** Waits until `count` turns are there and nothing is being written. */
async function settled(page, count) {
  await page.waitForFunction(
    (n) =>
      document.querySelectorAll(".turn").length === n &&
      document.documentElement.dataset.state === "ready" &&
      !document.querySelector(".turn [aria-busy=true]"),
    { timeout: 600_000 },
    count,
  );
}

async function converse(kind, bundle, out) {
  const browser = await launch(kind);
  const t = createContext({ kind, browser, bundles: [], out, name: "conversation" });
  const begin = performance.now();
  try {
    const server = await t.serve(bundle);
    let page = await t.page(server.url, { viewport: { width: 1100, height: 800 } });
    const open = async () => {
      // A large model waits for its reader.
      await page.waitForFunction(() => ["ready", "error", "asking"].includes(document.documentElement.dataset.state));
      await press(page, "Start");
      await t.state(page, "ready");
    };
    await open();
    let fulls = 0;
    /** Leaves out old messages until the last turn has an answer. */
    const finished = async (count) => {
      await settled(page, count);
      for (let tries = 0; tries < 5; tries++) {
        const last = (await shown(page)).at(-1);
        if (!last.problem) break;
        fulls++;
        await t.shot(page, `full-${count}-${tries}`);
        assert.ok(await press(page, FULL), `turn ${count} ends with a problem without a remedy: ${last.problem}`);
        await page.waitForFunction(() => document.documentElement.dataset.state === "working");
        await settled(page, count);
      }
      const all = await shown(page);
      assert.notEqual(all.at(-1).answer.trim(), "", `turn ${count} has no answer`);
      assert.equal(all.at(-1).problem, "");
    };
    for (const [index, question] of QUESTIONS.entries()) {
      const number = index + 1;
      await page.type("#prompt", question);
      await page.keyboard.press("Enter");
      await page.waitForFunction((n) => document.querySelectorAll(".turn").length === n, {}, number);
      await finished(number);
      assert.equal((await shown(page)).at(-1).said, question);
      if (EDITS.has(number)) {
        assert.ok(await press(page, "Edit message"));
        const box = await page.waitForSelector("form.edit textarea");
        await box.evaluate((area) => (area.value = ""));
        await box.type(EDITS.get(number));
        await page.keyboard.press("Enter");
        await page.waitForFunction(() => document.documentElement.dataset.state === "working");
        await finished(number);
        assert.equal((await shown(page)).at(-1).said, EDITS.get(number));
        await t.shot(page, `edited-${number}`);
      }
      if (number === AGAIN) {
        assert.ok(await press(page, "Regenerate"));
        await page.waitForFunction(() => document.documentElement.dataset.state === "working");
        await finished(number);
        await t.shot(page, "regenerated");
      }
      if (RELOADS.includes(number)) {
        const before = await shown(page);
        await page.reload({ waitUntil: "load" });
        await open();
        await page.waitForFunction((n) => document.querySelectorAll(".turn").length === n, {}, number);
        // Answers become Markdown a moment later.
        await page.waitForFunction((text) => document.querySelector(".turn:last-child .assistant .text").textContent === text, {}, before.at(-1).answer);
        assert.deepEqual(await shown(page), before, "the reload lost something");
        await t.shot(page, `reloaded-${number}`);
      }
      if (number % 5 === 0) await t.shot(page, `turn-${number}`);
    }
    const all = await shown(page);
    assert.equal(all.length, QUESTIONS.length);
    assert.deepEqual(all.map(({ said }) => said), QUESTIONS.map((question, index) => EDITS.get(index + 1) ?? question));
    assert.ok(fulls > 0 || all.some(({ leftOut }) => leftOut), "the context was never full: compile with a shorter one");
    writeFileSync(path.join(out, `${kind}.json`), `${JSON.stringify(all, null, 1)}\n`);
    const seconds = ((performance.now() - begin) / 1000).toFixed(0);
    console.log(`${kind}: ${all.length} turns, ${fulls} times past the end of the context, ${seconds} s`);
  } catch (error) {
    await t.autopsy();
    throw error;
  } finally {
    await t.end();
    await browser.close();
  }
}

const [bundle] = positionals;
if (positionals.length !== 1) throw new Error("usage: converse.mjs BUNDLE [--browser KINDS] [--out FOLDER]");
mkdirSync(values.out, { recursive: true });
for (const kind of values.browser.split(",")) await converse(kind, path.resolve(bundle), values.out);
