// Audio files and videos beside texts: similarities are those of transformers.

import { readFileSync, readdirSync } from "node:fs";
import path from "node:path";
import { ROOT } from "../bundles.mjs";

const VIDEO = path.join(ROOT, "tests/fixtures/compared/video");
/** The same video in a file. */
const FILE = path.join(ROOT, "tests/fixtures/compared/video.webm");
/** Browsers that play everything here; WebKitGTK plays what the system's GStreamer does. */
const PLAYERS = ["chromium-lavapipe", "chromium-no-adapter", "firefox", "firefox-no-webgpu"];
/** Largest accepted difference of a similarity: sums in another order. */
const TOLERANCE = 1e-3;

/** The bundle that compares audio files, or videos. */
function bundleOf(t, isAudio) {
  const fits = (bundle) => bundle.compare.some(({ items }) => items.every(({ wav }) => Boolean(wav) === isAudio));
  const found = t.bundles.find(fits);
  if (!found) throw new Error("no bundle compares these; make the bundles again");
  return found;
}

function check(t, fits, items) {
  t.assert.equal(fits.length, items.length);
  let worst = 0;
  for (const [at, { logits }] of items.entries()) {
    t.assert.equal(fits[at].similarity.length, logits.length);
    for (const [text, logit] of logits.entries()) worst = Math.max(worst, Math.abs(fits[at].similarity[text] - logit));
    t.assert.ok(Math.abs(fits[at].probability.reduce((sum, p) => sum + p, 0) - 1) < 1e-5);
  }
  t.assert.ok(worst <= TOLERANCE, `a similarity is off by ${worst}`);
  t.note("worst", worst.toExponential(1));
}

/** Drops a file on the page of a bundle, and looks for what fits best. */
async function compares(t, bundle, extra, [name, type], texts, { logits }) {
  const server = await t.serve(bundle.folder, { extra });
  const page = await t.page(`${server.url}?backend=${t.backend}`);
  await t.state(page, "ready");
  await page.$eval("#texts", (box, lines) => (box.value = lines.join("\n")), texts);
  await t.drop(page, ".drop", "test/file", name, type);
  await page.waitForFunction(() => document.querySelector(".scores li") !== null);
  const best = texts[logits.indexOf(Math.max(...logits))];
  t.assert.equal(await page.$eval(".scores .name", (cell) => cell.textContent), best);
  // The page's policy lets it play what was dropped.
  await page.waitForFunction(() => document.querySelector("audio, video").readyState > 0);
  await t.shot(page, `fit-${name}`);
}

export default [
  {
    name: "texts fit to audio files as transformers has it",
    wasm: true,
    async run(t) {
      const bundle = bundleOf(t, true);
      const [{ texts, items }] = bundle.compare;
      const extra = Object.fromEntries(items.map(({ name, wav }) => [`test/${name}.wav`, Buffer.from(wav, "base64")]));
      const { page, loaded } = await t.loaded(bundle, {}, { extra });
      t.assert.deepEqual(loaded.info.tasks, ["compare", "run"]);
      const { kind, inputs, rate } = loaded.info.entries.find(({ task }) => task)?.task ?? {};
      t.assert.deepEqual({ kind, inputs, rate }, { kind: "compare", inputs: ["text", "audio"], rate: 8000 });
      const addresses = items.map(({ name }) => `test/${name}.wav`);
      check(t, t.ok(await t.call(page, "compare", addresses, "samples", texts)), items);
    },
  },
  {
    name: "texts fit to videos as transformers has it",
    wasm: true,
    async run(t) {
      const bundle = bundleOf(t, false);
      const [{ texts, items }] = bundle.compare;
      const names = readdirSync(VIDEO).sort();
      const extra = Object.fromEntries(names.map((name) => [`test/${name}`, readFileSync(path.join(VIDEO, name))]));
      const { page, loaded } = await t.loaded(bundle, {}, { extra });
      t.assert.deepEqual(loaded.info.tasks, ["compare", "run"]);
      const addresses = names.map((name) => `test/${name}`);
      check(t, t.ok(await t.call(page, "compare", addresses, "frames", texts)), items);
      t.failed(await t.call(page, "compare", [], "frames", texts), "input");
    },
  },
  {
    name: "a video in a file is what its images are",
    browsers: PLAYERS,
    async run(t) {
      const bundle = bundleOf(t, false);
      const [{ texts, items }] = bundle.compare;
      const extra = { "test/video.webm": readFileSync(FILE), "test/no.webm": "no video" };
      const { page, loaded } = await t.loaded(bundle, {}, { extra });
      t.assert.equal(loaded.info.entries.find(({ task }) => task).task.frames, 4);
      for (const form of ["video", "blob"]) {
        check(t, t.ok(await t.call(page, "compare", ["test/video.webm"], form, texts)), items);
      }
      const { message } = t.failed(await t.call(page, "compare", ["test/no.webm"], "video", texts), "input");
      t.assert.match(message, /the video \(8 bytes\) cannot be decoded; expected a format .* such as WebM or MP4/);
      t.failed(await t.call(page, "compare", ["test/missing.webm"], "video", texts), "network");
    },
  },
  {
    name: "a frame that comes after its seek is waited for",
    browsers: PLAYERS,
    async run(t) {
      const bundle = bundleOf(t, false);
      const [{ texts, items }] = bundle.compare;
      const { page } = await t.loaded(bundle, {}, { extra: { "test/video.webm": readFileSync(FILE) } });
      // As on a busy machine: the video has nothing to give at first, and in a hidden page nobody is told when it has.
      await page.evaluate(() => {
        const { createImageBitmap } = globalThis;
        const refusals = new WeakMap();
        window.refused = 0;
        globalThis.createImageBitmap = (source, ...rest) => {
          const before = refusals.get(source) ?? 0;
          if (!(source instanceof HTMLVideoElement) || before === 3) return createImageBitmap(source, ...rest);
          refusals.set(source, before + 1);
          window.refused++;
          return Promise.reject(new DOMException("The image source is not usable.", "InvalidStateError"));
        };
      });
      check(t, t.ok(await t.call(page, "compare", ["test/video.webm"], "video", texts)), items);
      t.assert.equal(await page.evaluate(() => window.refused), 3);
      await page.evaluate(() => {
        HTMLVideoElement.prototype.requestVideoFrameCallback = () => 0;
      });
      check(t, t.ok(await t.call(page, "compare", ["test/video.webm"], "video", texts)), items);
      t.assert.equal(await page.evaluate(() => window.refused), 6);
    },
  },
  {
    name: "the page of a bundle compares an audio file with texts",
    browsers: PLAYERS,
    async run(t) {
      const bundle = bundleOf(t, true);
      const [{ texts, items }] = bundle.compare;
      // At the rate of the model: others would depend on how a browser filters.
      const wav = Buffer.from(items[0].wav, "base64");
      await compares(t, bundle, { "test/file": wav }, ["audio.wav", "audio/wav"], texts, items[0]);
    },
  },
  {
    name: "the page of a bundle compares a video with texts",
    browsers: PLAYERS,
    async run(t) {
      const bundle = bundleOf(t, false);
      const [{ texts, items }] = bundle.compare;
      await compares(t, bundle, { "test/file": readFileSync(FILE) }, ["video.webm", "video/webm"], texts, items[0]);
    },
  },
];
