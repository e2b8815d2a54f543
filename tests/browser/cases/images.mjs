// Images in the browser: labels and scores are those of the native runtime.

import { readFileSync } from "node:fs";
import path from "node:path";
import { ROOT } from "../bundles.mjs";

const FOLDER = path.join(ROOT, "examples/person-detector");
/** Forms of an image. The last one is decoded in the page, the others by the runtime. */
const FORMS = ["address", "blob", "image", "bitmap", "pixels"];
/** Largest accepted difference of a score: sums in another order. */
const TOLERANCE = 1e-4;

/** The images of expectations, as a server takes them. */
const files = (list) =>
  Object.fromEntries(list.map(({ name }) => [`test/${name}`, readFileSync(path.join(FOLDER, name))]));

const PROMPTS = path.join(ROOT, "tests/fixtures/prompts");
/** All images of prompts, as a server takes them. */
const IMAGES = Object.fromEntries(
  ["wide", "tall", "small", "long"].map((name) => [`test/${name}.png`, readFileSync(path.join(PROMPTS, `${name}.png`))]),
);

/** The bundles that write about images, and what transformers says in conversations. */
function conversing(t) {
  const cases = JSON.parse(readFileSync(path.join(PROMPTS, "cases.json"), "utf8"));
  return Object.entries(cases).map(([name, { conversations }]) => {
    const bundle = t.bundles.find((one) => one.name === name);
    t.assert.ok(bundle, `there is no bundle ${name}; make the bundles again`);
    t.assert.ok(conversations.length > 1, name);
    return { bundle, conversations };
  });
}

export default [
  {
    name: "classes equal the native ones",
    wasm: true,
    async run(t) {
      const bundle = t.bundle("classify");
      const extra = { "test/no.txt": "no image", ...files(bundle.classify) };
      const { page, loaded } = await t.loaded(bundle, {}, { extra });
      t.assert.deepEqual(loaded.info.tasks, ["classify", "run"]);
      let worst = 0;
      for (const { name, classes } of bundle.classify) {
        for (const form of FORMS) {
          const found = t.ok(await t.call(page, "classify", `test/${name}`, form));
          const labels = (list) => list.map(({ label, class: number }) => [label, number]);
          t.assert.deepEqual(labels(found), labels(classes), `${name} as ${form}`);
          for (const [at, { score }] of classes.entries()) worst = Math.max(worst, Math.abs(found[at].score - score));
        }
      }
      t.assert.ok(worst <= TOLERANCE, `a score is off by ${worst}`);
      t.note("worst", worst.toExponential(1));
      t.failed(await t.call(page, "classify", "test/no.txt", "address"), "input");
      t.failed(await t.call(page, "classify", "test/missing.png", "address"), "network");
      const { message } = t.failed(await t.call(page, "detect", `test/${bundle.classify[0].name}`, {}), "unsupported");
      t.assert.match(message, /does not detect; it can classify/);
    },
  },
  {
    name: "boxes equal the native ones",
    wasm: true,
    async run(t) {
      const bundle = t.bundle("detect");
      const { page, loaded } = await t.loaded(bundle, {}, { extra: files(bundle.detect) });
      t.assert.deepEqual(loaded.info.tasks, ["detect", "run"]);
      for (const { name, threshold, found: expected } of bundle.detect) {
        const found = t.ok(await t.call(page, "detect", `test/${name}`, { threshold }));
        t.assert.ok(expected.length > 0 && found.length === expected.length, `${name}: ${found.length} were found`);
        for (const [at, { label, score, box }] of expected.entries()) {
          t.assert.equal(found[at].label, label);
          t.assert.ok(Math.abs(found[at].score - score) <= TOLERANCE, `${name}: ${found[at].score}, expected ${score}`);
          const off = Math.max(...box.map((value, side) => Math.abs(found[at].box[side] - value)));
          t.assert.ok(off <= 0.05, `${name}: a box is off by ${off} pixels`);
        }
      }
    },
  },
  {
    name: "what is written about images equals what transformers writes",
    wasm: true,
    async run(t) {
      const bundle = t.bundle("imagePrompts");
      const names = [...new Set(bundle.imagePrompts.flatMap(({ images }) => images))];
      const folder = path.join(ROOT, "tests/fixtures/prompts");
      const extra = Object.fromEntries(names.map((name) => [`test/${name}`, readFileSync(path.join(folder, name))]));
      const { page, loaded, server } = await t.loaded(bundle, {}, { extra });
      t.assert.deepEqual(loaded.info.tasks, ["chat", "generate", "run"]);
      const address = (name) => `${server.url}test/${name}`;
      const write = async (prompt, images, { tokens }) => {
        const options = { images, maxNewTokens: tokens.length, ignoreEos: true };
        return t.ok(await t.call(page, "generate", prompt, options)).result;
      };
      for (const expected of bundle.imagePrompts) {
        const { tokens, text } = await write(expected.prompt, expected.images.map(address), expected);
        t.assert.deepEqual(tokens, expected.tokens, expected.prompt);
        t.assert.equal(text, expected.text);
      }
      // As messages, whose template puts an image where the rendered text has it.
      const [first] = bundle.imagePrompts;
      const url = address(first.images[0]);
      const { rendered } = first;
      const plain = await write(rendered, [url], first);
      const words = { type: "text", text: "what is in this image" };
      const parts = await write([{ role: "user", content: [{ type: "image", image: url }, words] }], [], first);
      t.assert.deepEqual(parts.tokens, plain.tokens);
      const beside = await write([{ role: "user", content: words.text }], [url], first);
      t.assert.deepEqual(beside.tokens, plain.tokens);
      const many = { images: [url, url], maxNewTokens: 1 };
      const [mark] = [...bundle.manifest.entries].flatMap(({ task }) => task?.output.image_prompt ?? []);
      t.assert.ok(mark.token > 0);
      const one = await t.call(page, "generate", first.prompt, many);
      t.assert.equal(t.ok(one).result.promptTokens > plain.promptTokens, true, "the second one stands in front");
    },
  },
  {
    name: "the page of a bundle writes about an image",
    wasm: true,
    async run(t) {
      const bundle = t.bundle("imagePrompts");
      const [first] = bundle.imagePrompts;
      const image = readFileSync(path.join(ROOT, "tests/fixtures/prompts", first.images[0]));
      const { page: plain, server } = await t.loaded(bundle, {}, { extra: { "test/image.png": image } });
      const options = { images: [`${server.url}test/image.png`], maxNewTokens: 8 };
      const { text } = t.ok(await t.call(plain, "generate", first.rendered, options)).result;
      await plain.close();
      const page = await t.page(`${server.url}?backend=${t.backend}`);
      await t.state(page, "ready");
      await page.$eval("input[type=number]", (input) => (input.value = 8));
      await page.$eval("input[type=range]", (input) => (input.value = 0));
      await t.drop(page, ".composer", "test/image.png", "image.png", "image/png");
      await page.waitForFunction(() => document.querySelector(".attached li") !== null);
      await page.type("#prompt", "what is in this image");
      await page.keyboard.press("Enter");
      await page.waitForFunction(() => document.querySelector(".assistant .note:not(:empty)") !== null);
      t.assert.equal(await page.$eval(".assistant .text", (answer) => answer.textContent), text);
      await t.shot(page, "written-about");
    },
  },
  {
    name: "conversations with and without images are those of transformers",
    wasm: true,
    async run(t) {
      for (const { bundle, conversations } of conversing(t)) {
        const { page, server } = await t.loaded(bundle, {}, { extra: IMAGES });
        for (const turns of conversations) {
          // A message without images is a text, whatever form the template reads.
          const messages = [];
          for (const { text, images, ids, written, reply } of turns) {
            const parts = images.map((name) => ({ type: "image", image: `${server.url}test/${name}.png` }));
            messages.push({ role: "user", content: images.length === 0 ? text : [...parts, { type: "text", text }] });
            const { result } = t.ok(await t.call(page, "generate", messages, { maxNewTokens: written.length }));
            const place = `${bundle.name}: ${text}`;
            t.assert.equal(result.promptTokens, ids.length, place);
            t.assert.deepEqual(result.tokens, written, place);
            t.assert.equal(result.text.trim(), reply, place);
            messages.push({ role: "assistant", content: result.text });
          }
        }
        await page.close();
      }
    },
  },
  {
    name: "the page goes on with a conversation, with images in some of its messages",
    wasm: true,
    async run(t) {
      for (const { bundle, conversations } of conversing(t)) {
        // One is enough for what the page does; the engine is tested with all.
        if (bundle.name !== "fixed") continue;
        for (const turns of conversations) {
          // Another origin, which keeps no conversation.
          const server = await t.serve(bundle.folder, { extra: IMAGES });
          const page = await t.page(`${server.url}?backend=${t.backend}`);
          await t.state(page, "ready");
          await page.$eval("input[type=number]", (input, most) => (input.value = most), turns[0].written.length);
          await page.$eval("input[type=range]", (input) => (input.value = 0));
          for (const [at, { text, images, reply }] of turns.entries()) {
            for (const name of images) await t.drop(page, ".composer", `test/${name}.png`, `${name}.png`, "image/png");
            const waiting = (count) => document.querySelectorAll(".attached li").length === count;
            await page.waitForFunction(waiting, {}, images.length);
            await page.type("#prompt", text);
            await page.keyboard.press("Enter");
            const notes = (count) => document.querySelectorAll(".assistant .note:not(:empty)").length === count;
            await page.waitForFunction(notes, {}, at + 1);
            const shown = await page.$$eval(".assistant .text", (all) => all.map((answer) => answer.textContent.trim()));
            t.assert.equal(shown[at], reply, text);
          }
          await page.close();
        }
      }
    },
  },
  {
    name: "classes of texts equal the native ones, and the page shows them",
    wasm: true,
    async run(t) {
      const bundle = t.bundle("label");
      const { page, server } = await t.loaded(bundle);
      for (const { text, classes } of bundle.label) {
        const found = t.ok(await t.call(page, "classify", text, "text"));
        t.assert.deepEqual(found.map(({ label }) => label), classes.map(({ label }) => label), text);
        const off = Math.max(...classes.map(({ score }, at) => Math.abs(found[at].score - score)));
        t.assert.ok(off <= TOLERANCE, `a score is off by ${off}`);
      }
      const [{ text, classes }] = bundle.label;
      const shown = await t.page(`${server.url}?backend=${t.backend}`);
      await t.state(shown, "ready");
      await shown.$eval("#labelled", (box) => (box.value = ""));
      await shown.type("#labelled", text);
      const best = `${classes[0].label}${(100 * classes[0].score).toFixed(1)} %`;
      await shown.waitForFunction((want) => document.querySelector(".scores li")?.textContent === want, {}, best);
    },
  },
  {
    name: "the page of a bundle says what an image is",
    async run(t) {
      const bundle = t.bundle("classify");
      const [{ name, classes }] = bundle.classify;
      const server = await t.serve(bundle.folder, { extra: files(bundle.classify) });
      const page = await t.page(`${server.url}?backend=${t.backend}`);
      await t.state(page, "ready");
      // A file picker cannot be driven in all browsers; a drop is what reaches the page in any case.
      await t.drop(page, ".drop", `test/${name}`, "image.png", "image/png");
      await page.waitForFunction(() => document.querySelector(".scores li") !== null);
      const shown = await page.evaluate(() => document.querySelector(".scores li").textContent);
      const percent = `${(100 * classes[0].score).toFixed(1)} %`;
      t.assert.equal(shown, `${classes[0].label}${percent}`);
      await t.shot(page, "image");
    },
  },
];
