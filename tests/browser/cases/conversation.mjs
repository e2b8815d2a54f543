// The conversation in the page: nothing that was said is lost, and nothing ends it.

import { readFileSync } from "node:fs";
import path from "node:path";
import { say, withFake } from "../states.mjs";

const BUSY = "An answer that is being written ends with the button Stop";

/** Opens the page and waits for the model. */
async function open(t, url) {
  const page = await t.page(url);
  await t.state(page, "ready");
  return page;
}

/** Reloads the page, once the browser keeps what it shows, and waits until it shows so many turns. */
async function reload(t, page, turns) {
  await kept(page, turns);
  await page.reload();
  await t.state(page, "ready");
  await page.waitForSelector(".log:not([aria-busy])");
  await hasTurns(page, turns);
}

/** Waits until the conversation that the browser keeps has so many turns, the answer that is shown, and this draft. */
function kept(page, count, draft = null) {
  return page.waitForFunction(
    (turns, text) =>
      new Promise((resolve, reject) => {
        const request = indexedDB.open("gristmill-conversations");
        request.onerror = () => reject(request.error);
        request.onsuccess = () => {
          const all = request.result.transaction("conversations").objectStore("conversations").getAll();
          all.onsuccess = () => {
            request.result.close();
            const newest = all.result.sort((a, b) => b.changed - a.changed)[0];
            const path = [];
            for (let id = newest.current; id !== null; id = path[0].parent) {
              path.unshift(newest.turns.find((turn) => turn.id === id));
            }
            const shown = [...document.querySelectorAll(".assistant .text")].at(-1)?.textContent ?? "";
            const whole = path.length === turns && (path.at(-1)?.answer ?? "").length >= shown.length;
            resolve(whole && (text === null || newest.draft === text));
          };
        };
      }),
    {},
    count,
    draft,
  );
}

const texts = (page, selector) => page.$$eval(selector, (all) => all.map((one) => one.textContent));
const boxText = (page) => page.$eval("#prompt", (box) => box.value);
const focused = (page) =>
  page.evaluate(() => {
    const element = document.activeElement;
    return element.getAttribute("aria-label") ?? (element.id || element.textContent);
  });

/** Waits until so many turns are shown and each of them has ended. */
async function hasTurns(page, count) {
  await page.waitForFunction(
    (n) =>
      document.querySelectorAll(".turn").length === n &&
      document.querySelectorAll(".assistant .note:not(:empty)").length === n,
    {},
    count,
  );
}

/** Waits until an element has this in its text. */
function shows(page, selector, part) {
  return page.waitForFunction(
    (where, text) => document.querySelector(where)?.textContent.includes(text),
    {},
    selector,
    part,
  );
}

/** Waits for the last words of what the stand-in writes. */
const ends = (page, selector) => shows(page, selector, "for all the village.");

/** Waits until the last turn is this version: `2 of 3`. */
const hasVersions = (page, which) => shows(page, ".turn:last-child .versions", which);

/** Says something and waits for the answer. */
async function talk(page, text, count) {
  await say(page, text);
  await hasTurns(page, count);
}

/** Presses the button with this name, which must be there and of use. */
async function press(page, name) {
  await page.evaluate((wanted) => {
    const shown = [...document.querySelectorAll("button")].filter((button) => button.checkVisibility());
    const found = shown.filter((button) => (button.getAttribute("aria-label") ?? button.textContent).trim() === wanted);
    if (found.length !== 1) throw new Error(`${found.length} buttons are called ${wanted}`);
    if (found[0].disabled) throw new Error(`the button ${wanted} is disabled`);
    found[0].focus();
    found[0].click();
  }, name);
}

/** Whether an element is in the window and nothing covers its middle. */
function isSeen(page, selector) {
  return page.waitForFunction((where) => {
    const element = document.querySelector(where);
    if (!element) return false;
    const { left, top, width, height } = element.getBoundingClientRect();
    const hit = document.elementFromPoint(left + width / 2, top + height / 2);
    return hit !== null && (element.contains(hit) || hit.contains(element));
  }, {}, selector);
}

/** What the page sent to the model last, as `role: text`. */
function lastPrompt(page) {
  return page.evaluate(() =>
    window.prompts.at(-1).map(({ role, content }) => {
      const parts = typeof content === "string" ? [{ type: "text", text: content }] : content;
      return `${role}: ${parts.map((part) => part.text ?? part.type).join(" + ").slice(0, 24)}`;
    }),
  );
}

/** Drops an image on the box and waits until it is shown there. */
async function dropImage(page) {
  await page.evaluate(async () => {
    const canvas = document.createElement("canvas");
    canvas.getContext("2d").fillRect(0, 0, 9, 9);
    const data = new DataTransfer();
    const blob = await new Promise((done) => canvas.toBlob(done));
    data.items.add(new File([blob], "mill.png", { type: "image/png" }));
    document.querySelector(".composer").dispatchEvent(new DragEvent("drop", { dataTransfer: data }));
  });
  await page.waitForFunction(() => document.querySelectorAll(".attached canvas").length === 1);
}

const fake = (name, run, extra) => ({
  name,
  needsBundles: false,
  wasm: true,
  run: (t) => withFake(t, (server) => run(t, server), extra),
});

/** A page whose storage is closed, as it is in some private windows. */
function withoutStorage(folder) {
  const html = readFileSync(path.join(folder, "index.html"), "utf8");
  return {
    "closed.html": html.replace('<script type="module"', '<script src="closed.js"></script><script type="module"'),
    "closed.js": 'IDBFactory.prototype.open = () => { throw new DOMException("closed", "SecurityError"); };',
  };
}

export default [
  fake("a full context is told in its turn, and the oldest messages make room", async (t, server) => {
    const page = await open(t, `${server.url}?task=chat&context=200`);
    for (const turn of [1, 2]) await talk(page, `message number ${turn}`, turn);
    t.assert.match(await page.$eval(".context", (meter) => meter.textContent), /^\d+ of 200 tokens$/);
    t.assert.equal(await page.$eval(".warning span", (line) => line.textContent), "", "no warning yet");
    await talk(page, "message number 3", 3);
    t.assert.match((await texts(page, ".warning"))[0], /takes \d\d % of what the model reads/);

    await talk(page, "message number 4", 4);
    t.assert.match((await texts(page, ".assistant .note")).at(-1), /context is full/);
    await isSeen(page, ".failure");
    t.assert.match((await texts(page, ".failure"))[0], /ends here because the conversation fills/);
    await talk(page, "message number 5", 5);
    t.assert.match((await texts(page, ".failure")).at(-1), /takes \d+ tokens, and the model reads at most 200/);
    t.assert.equal(await page.$eval(".turn:last-child .failure", (line) => line.getAttribute("role")), "alert");
    t.assert.equal(await boxText(page), "message number 5", "the text is in the box again");
    await isSeen(page, ".turn:last-child .failure p");
    await t.shot(page, "conversation-full");

    await page.$eval(".turn:last-child .failure button", (button) => button.click());
    await ends(page, ".turn:last-child .assistant .text");
    await hasTurns(page, 5);
    t.assert.equal(await boxText(page), "", "what was sent is no longer in the box");
    t.assert.equal(await page.$$eval(".left-out", (all) => all.length), 2);
    t.assert.match(await page.$eval(".left-out-line", (line) => line.textContent), /no longer sees the messages above/);
    t.assert.match((await texts(page, ".left-out h3"))[0], /not seen by the model/);
    t.assert.deepEqual(await lastPrompt(page), [
      "user: message number 3",
      "assistant: Once upon a time there w",
      "user: message number 4",
      "assistant: Once upon a time there w",
      "user: message number 5",
    ]);
    t.assert.equal(await focused(page), "prompt");
    await press(page, "Include them again");
    t.assert.equal(await page.$$eval(".left-out", (all) => all.length), 0);
  }),

  fake("the meter counts what is typed, and warns before it is sent", async (t, server) => {
    const page = await open(t, `${server.url}?task=chat&context=100`);
    await talk(page, "one", 1);
    await talk(page, "two", 2);
    t.assert.equal(await page.$eval(".context", (meter) => meter.textContent), "100 of 100 tokens");
    await press(page, "Delete message 2 and its answer");
    await shows(page, ".context", "54 of 100 tokens");
    await page.type("#prompt", "word ".repeat(30));
    await shows(page, ".context", "about 84 of 100 tokens with your message");
    await shows(page, ".warning", "With your message, the conversation takes 84 % of what the model reads at once.");
    await page.$eval("#prompt", (box) => {
      box.value = "";
      box.dispatchEvent(new Event("input"));
    });
    await page.waitForFunction(() => document.querySelector(".context").textContent === "54 of 100 tokens");
    t.assert.equal(await page.$eval(".warning span", (line) => line.textContent), "");
  }),

  fake("a message that is too long by itself is told so", async (t, server) => {
    const page = await open(t, `${server.url}?task=chat&context=5`);
    await talk(page, "one two three four five six seven", 1);
    t.assert.match((await texts(page, ".failure"))[0], /This text alone takes 7 tokens, and the model reads at most 5/);
    t.assert.equal(await page.$$eval(".failure button", (all) => all.length), 0);
    await page.$eval("#prompt", (box) => (box.value = ""));
    await talk(page, "one two three", 1);
    t.assert.deepEqual(await texts(page, ".user .text"), ["one two three"], "it takes the place of the other");
  }),

  fake("a context without room for an answer gives the text back", async (t, server) => {
    const page = await open(t, `${server.url}?task=chat&context=60`);
    await talk(page, "one two three four five six", 1);
    await talk(page, "seven", 2);
    t.assert.match((await texts(page, ".failure p"))[0], /no room for an answer\. Your text is in the box again\.$/);
    t.assert.equal(await boxText(page), "seven");
    await press(page, "Leave out the oldest messages: answer 2");
    await ends(page, ".turn:last-child .assistant .text");
    await hasTurns(page, 2);
    t.assert.equal(await boxText(page), "");
    t.assert.deepEqual(await lastPrompt(page), ["user: seven"]);
  }),

  fake("an error stays in its turn, and what was typed comes back", async (t, server) => {
    const page = await open(t, `${server.url}?task=chat&fail=1&early`);
    await talk(page, "Tell me a story.", 1);
    t.assert.match(await page.$eval(".failure[role=alert]", (line) => line.textContent), /memory/);
    await isSeen(page, ".failure button");
    t.assert.equal(await boxText(page), "Tell me a story.");
    t.assert.equal(await page.$eval("button[type=submit]", (button) => button.textContent), "Send");
    await press(page, "Try again: answer 1");
    await page.waitForFunction(() => document.querySelector(".failure") === null);
    await hasTurns(page, 1);
    t.assert.equal(await boxText(page), "");
    t.assert.match((await texts(page, ".assistant .text"))[0], /^Once upon a time.*village\.$/s);
  }),

  fake("an answer that an error cut off stays, and is written again as a version", async (t, server) => {
    const page = await open(t, `${server.url}?task=chat&fail=1`);
    await talk(page, "Tell me a story.", 1);
    t.assert.equal((await texts(page, ".assistant .text"))[0], "Once upon a time there was a mill beside");
    t.assert.equal(await boxText(page), "");
    await reload(t, page, 1);
    t.assert.match((await texts(page, ".failure"))[0], /memory/);
    await press(page, "Try again: answer 1");
    // After the reload another one fails.
    await hasVersions(page, "2 of 2");
    await hasTurns(page, 1);
    await press(page, "Try again: answer 1");
    await ends(page, ".assistant .text");
    await hasTurns(page, 1);
    await press(page, "Previous version of turn 1");
    t.assert.equal(await focused(page), "Previous version of turn 1");
    t.assert.match((await texts(page, ".failure"))[0], /memory/);
  }),

  fake("images come back with the text that failed", async (t, server) => {
    const page = await open(t, `${server.url}?task=see&fail=1&early`);
    await dropImage(page);
    await talk(page, "What is it?", 1);
    await page.waitForFunction(() => document.querySelectorAll(".attached canvas").length === 1);
    await isSeen(page, ".failure button");
    await press(page, "Try again: answer 1");
    await page.waitForFunction(() => document.querySelector(".failure") === null);
    await hasTurns(page, 1);
    t.assert.deepEqual(await lastPrompt(page), ["user: image + What is it?"]);
    t.assert.ok(await page.$eval(".attached", (list) => list.hidden), "nothing waits any more");
    await reload(t, page, 1);
    await page.waitForFunction(() => document.querySelectorAll(".user canvas").length === 1);
    await press(page, "Delete message 1 and its answer");
    t.assert.equal(await focused(page), "Undo");
    await press(page, "Undo");
    await hasTurns(page, 1);
    await reload(t, page, 1);
    await page.waitForFunction(() => document.querySelectorAll(".user canvas").length === 1);
    await talk(page, "And now?", 2);
    t.assert.deepEqual((await lastPrompt(page))[0], "user: image + What is it?", "the model sees the image again");
  }),

  fake("messages are copied, changed, answered again, and deleted", async (t, server) => {
    const page = await open(t, `${server.url}?task=chat`);
    await page.evaluate(() => {
      window.copied = [];
      const writeText = async (text) => void window.copied.push(text);
      Object.defineProperty(navigator, "clipboard", { value: { writeText } });
    });
    await talk(page, "first", 1);
    await talk(page, "second", 2);
    await press(page, "Copy message 2");
    await press(page, "Copy answer 1");
    await page.waitForFunction(() => window.copied.length === 2);
    const copied = await page.evaluate(() => window.copied);
    t.assert.equal(copied[0], "second");
    t.assert.match(copied[1], /^Once upon a time.*village\.$/s);

    await press(page, "Edit message 1");
    t.assert.equal(await focused(page), "Edit message 1");
    await page.keyboard.press("Escape");
    t.assert.equal(await focused(page), "Edit message 1", "the button has the focus again");
    await press(page, "Edit message 1");
    await page.$eval(".edit textarea", (box) => (box.value = ""));
    await page.type(".edit textarea", "first, changed");
    await t.shot(page, "conversation-edit");
    await page.keyboard.press("Enter");
    await hasTurns(page, 1);
    t.assert.deepEqual(await lastPrompt(page), ["user: first, changed"]);
    t.assert.equal(await focused(page), "prompt");
    await press(page, "Previous version of turn 1");
    t.assert.deepEqual(await texts(page, ".user .text"), ["first", "second"], "the other branch is there");
    await press(page, "Next version of turn 1");
    t.assert.deepEqual(await texts(page, ".user .text"), ["first, changed"]);
    await press(page, "Previous version of turn 1");

    await press(page, "Regenerate answer 2");
    await hasVersions(page, "2 of 2");
    await hasTurns(page, 2);
    t.assert.equal((await lastPrompt(page)).length, 3);

    await press(page, "Delete message 1 and its answer");
    t.assert.deepEqual(await texts(page, ".user .text"), ["second"]);
    await press(page, "Undo");
    t.assert.deepEqual(await texts(page, ".user .text"), ["first", "second"]);
    t.assert.equal(await focused(page), "prompt");
    const names = await page.$$eval(".log button", (all) => {
      const shown = all.filter((button) => button.checkVisibility());
      return shown.map((button) => button.getAttribute("aria-label") ?? button.textContent);
    });
    t.assert.equal(new Set(names).size, names.length, `every button says what it acts on: ${names}`);
  }),

  fake("Enter while a text is written lets a message wait", async (t, server) => {
    const page = await open(t, `${server.url}?task=chat&state=streaming`);
    await say(page, "one");
    await page.waitForFunction(() => document.querySelector(".assistant .text")?.textContent.length > 100);
    await say(page, "two");
    await say(page, "three");
    t.assert.deepEqual(await texts(page, ".waiting li > span"), ["Waiting two", "Waiting three"]);
    t.assert.equal(await page.$eval("button[type=submit]", (button) => button.textContent), "Stop", BUSY);
    t.assert.equal(await page.$$eval(".turn", (all) => all.length), 1);
    await t.shot(page, "conversation-waiting");
    await press(page, "Take back: two");
    t.assert.equal(await boxText(page), "two");
    await press(page, "Stop");
    await hasTurns(page, 1);
    t.assert.match((await texts(page, ".assistant .note"))[0], /stopped/);
    t.assert.equal(await boxText(page), "three\n\ntwo", "what waited is in the box again");
    t.assert.ok(await page.$eval(".waiting", (list) => list.hidden));
  }),

  fake("a message that waited is sent when the answer before it has ended", async (t, server) => {
    const page = await open(t, `${server.url}?task=chat`);
    await say(page, "one");
    await say(page, "two");
    await hasTurns(page, 2);
    t.assert.deepEqual(await texts(page, ".user .text"), ["one", "two"]);
    t.assert.equal((await lastPrompt(page)).length, 3);
  }),

  fake("the conversation is there after a reload, and so is half an answer", async (t, server) => {
    const page = await open(t, `${server.url}?task=chat&state=streaming`);
    t.assert.match(await page.$eval(".empty", (line) => line.textContent), /stay on this device/);
    await page.$eval(".settings .wide textarea", (field) => {
      field.value = "be brief";
      field.dispatchEvent(new Event("input"));
    });
    await say(page, "one");
    await page.waitForFunction(() => document.querySelector(".assistant .text")?.textContent.length > 100);
    const half = (await texts(page, ".assistant .text"))[0];
    await page.type("#prompt", "a draft");
    await kept(page, 1, "a draft");
    await reload(t, page, 1);
    t.assert.ok((await texts(page, ".assistant .text"))[0].startsWith(half), "what there was of the answer");
    t.assert.match((await texts(page, ".assistant .note"))[0], /stopped when the page was closed/);
    t.assert.equal(await boxText(page), "a draft");
    t.assert.equal(await page.$eval(".settings .wide textarea", (field) => field.value), "be brief");
    await page.keyboard.press("Enter");
    await page.waitForFunction(() => window.prompts?.length === 1);
    const roles = (await lastPrompt(page)).map((line) => line.split(":")[0]);
    t.assert.deepEqual(roles, ["system", "user", "assistant", "user"]);
  }),

  fake("a new conversation is undone, and old ones are opened and deleted", async (t, server) => {
    const page = await open(t, `${server.url}?task=chat`);
    await talk(page, "about mills", 1);
    await press(page, "New conversation");
    await page.waitForFunction(() => document.querySelector(".turn") === null);
    t.assert.equal(await focused(page), "prompt");
    await press(page, "Undo");
    await hasTurns(page, 1);
    await press(page, "New conversation");
    await page.waitForFunction(() => document.querySelector(".turn") === null);
    await reload(t, page, 0);
    t.assert.equal(await page.$$eval(".turn", (all) => all.length), 0, "the new one stays new");
    await talk(page, "about rivers", 1);

    await press(page, "Conversations");
    await page.waitForFunction(() => document.querySelectorAll(".conversations li").length === 2);
    t.assert.deepEqual(await texts(page, ".conversations .open > span:first-child"), ["about rivers", "about mills"]);
    t.assert.match(await page.$eval(".archive .note", (line) => line.textContent), /on this device only/);
    await t.shot(page, "conversation-archive");
    await press(page, "Delete “about mills”");
    await page.waitForFunction(() => document.querySelectorAll(".conversations li").length === 1);
    await page.waitForFunction(() => document.activeElement.textContent === "Undo");
    await press(page, "Undo");
    await page.waitForFunction(() => document.querySelectorAll(".conversations li").length === 2);
    await page.$$eval(".conversations .open", (all) => all.at(-1).click());
    await page.waitForFunction(() => document.querySelector(".user .text")?.textContent === "about mills");
    t.assert.ok(await page.$eval("dialog", (dialog) => !dialog.open));

    await press(page, "Conversations");
    await page.waitForFunction(() => document.querySelectorAll(".conversations li").length === 2);
    await press(page, "Delete “about mills”");
    await page.waitForFunction(() => document.querySelectorAll(".conversations li").length === 1);
    t.assert.equal(await page.$$eval(".turn", (all) => all.length), 0, "what is deleted is not shown");
    await press(page, "Close");
    await reload(t, page, 0);
    await press(page, "Conversations");
    await page.waitForFunction(() => document.querySelectorAll(".conversations li").length === 1);
    await page.$eval(".conversations .open", (entry) => entry.click());
    await page.waitForFunction(() => document.querySelector(".user .text")?.textContent === "about rivers");
  }),

  fake("the conversation is exported as Markdown and as JSON", async (t, server) => {
    const page = await open(t, `${server.url}?task=chat`);
    await talk(page, "How does a mill work?", 1);
    await page.evaluate(() => {
      window.saved = [];
      const create = URL.createObjectURL.bind(URL);
      URL.createObjectURL = (blob) => (window.saved.push(blob), create(blob));
      HTMLAnchorElement.prototype.click = function () {
        window.saved.push(this.download);
      };
    });
    await press(page, "Conversations");
    await press(page, "Save as Markdown: this conversation");
    await press(page, "Save as JSON: this conversation");
    await page.waitForFunction(() => window.saved.length === 4);
    const [markdown, name, json, other] = await page.evaluate(() =>
      Promise.all(window.saved.map((part) => (typeof part === "string" ? part : part.text()))),
    );
    t.assert.deepEqual([name, other], ["how-does-a-mill-work.md", "how-does-a-mill-work.json"]);
    t.assert.match(markdown, /^# How does a mill work\?.*## You.*## Model\n\nOnce upon a time.*village\.\n$/s);
    t.assert.equal(JSON.parse(json).messages[1].role, "assistant");
  }),

  fake(
    "where nothing can be kept, the page says so and works",
    async (t, server) => {
      const page = await open(t, `${server.url}closed.html?task=chat`);
      await shows(page, ".dock > .note:not([hidden])", "does not keep");
      await talk(page, "one", 1);
      await press(page, "New conversation");
      await page.waitForFunction(() => document.querySelector(".turn") === null);
      await press(page, "Undo");
      await hasTurns(page, 1);
      await press(page, "Conversations");
      await shows(page, ".archive .note", "keeps no conversations");
    },
    withoutStorage,
  ),

  fake("two tabs do not write the same conversation", async (t, server) => {
    const first = await open(t, `${server.url}?task=chat`);
    await talk(first, "about mills", 1);
    const second = await open(t, `${server.url}?task=chat`);
    await press(second, "Conversations");
    await second.waitForFunction(() => document.querySelectorAll(".conversations li").length === 1);
    t.assert.equal(await second.$$eval(".turn", (all) => all.length), 0);
    await second.$eval(".conversations .open", (entry) => entry.click());
    await shows(second, ".archive .undo", "open in another tab");
    await first.close();
    await press(second, "Close");
    await talk(second, "about rivers", 1);
    await press(second, "Conversations");
    await second.waitForFunction(() => document.querySelectorAll(".conversations li").length === 2);
  }),

  fake("a story that an error ends keeps its text", async (t, server) => {
    const page = await open(t, `${server.url}?task=generate&fail=1`);
    await page.$eval("#prompt", (box) => box.focus());
    await page.keyboard.press("Enter");
    await page.waitForFunction(() => document.querySelector(".story .failure") !== null);
    t.assert.match(await page.$eval(".story .failure[role=alert]", (line) => line.textContent), /memory/);
    t.assert.match(await page.$eval(".story .text", (text) => text.textContent), /^Once upon a time there was a mill/);
    t.assert.equal(await boxText(page), "Once upon a time");
    await press(page, "Try again");
    await ends(page, ".story .text");
    t.assert.equal(await page.$(".story .failure"), null);
  }),

  fake("the button that stops a story is in the window, however long the text", async (t, server) => {
    const page = await t.page(null, { viewport: { width: 390, height: 360 } });
    await page.goto(`${server.url}?task=generate&state=streaming`);
    await t.state(page, "ready");
    await page.$eval("#prompt", (box) => box.focus());
    await page.keyboard.press("Enter");
    await page.waitForFunction(() => document.querySelector(".story .text")?.textContent.length > 150);
    await page.evaluate(() => window.scrollTo(0, 0));
    await isSeen(page, "button.stop");
    await page.evaluate(() => window.scrollTo(0, document.body.scrollHeight));
    await isSeen(page, "button.stop");
    await press(page, "Stop");
    await page.waitForFunction(() => /stopped/.test(document.querySelector(".story .note").textContent));
  }),

  {
    name: "twenty turns with a model, past the end of its context and over two reloads",
    wasm: true,
    async run(t) {
      const bundle = t.bundles.find(({ generate }) => generate.some(({ messages }) => messages));
      const server = await t.serve(bundle.folder);
      const page = await open(t, `${server.url}?backend=${t.backend}`);
      const message = (n) => `This is message number ${n}. `.repeat(5).trim();
      let full = 0;
      for (let n = 1; n <= 20; n++) {
        await page.$eval("input[type=number]", (input) => {
          input.value = 16;
          input.dispatchEvent(new Event("input", { bubbles: true }));
        });
        await talk(page, message(n), n);
        // A full context is told with the numbers of the runtime.
        const told = await page.evaluate(() => document.querySelector(".turn:last-child .failure")?.textContent);
        if (told) {
          full += 1;
          t.assert.match(told, /takes \d{3} tokens, and the model reads at most \d{3}|fills all that the model reads/);
          await press(page, `Leave out the oldest messages: answer ${n}`);
          await page.waitForFunction(() => document.querySelector(".turn:last-child .failure") === null);
          await hasTurns(page, n);
        }
        if (n === 10) {
          const versions = await page.$eval(".turn:last-child .versions span", (line) => Number(line.textContent.slice(-1)));
          await press(page, "Regenerate answer 10");
          await hasVersions(page, `${versions + 1} of ${versions + 1}`);
          await hasTurns(page, n);
        }
        if (n % 7 === 0) await reload(t, page, n);
      }
      const said = await texts(page, ".user .text");
      t.assert.deepEqual(said, said.map((_, at) => message(at + 1)));
      t.assert.ok(full > 0, "the context was never full");
      t.assert.equal(await page.$$eval(".failure", (all) => all.length), 0);
      t.assert.equal(await boxText(page), "");
      t.note("full", full);
      await t.shot(page, "conversation-long");
    },
  },
];
