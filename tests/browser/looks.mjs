// Keeps an image of every view of the page: node tests/browser/looks.mjs [--out FOLDER] [--only PART] [--browser KIND]
// Light and dark, in the windows of a desktop and of phones. The states are those of the stand-in for the runtime; of
// each bundle below target/browser/bundles that has a view of its own, the page as it is with the model.

import { existsSync, mkdirSync } from "node:fs";
import path from "node:path";
import { parseArgs } from "node:util";
import { launch } from "./browsers.mjs";
import { BUNDLES, ROOT } from "./bundles.mjs";
import { serve } from "./server.mjs";
import { STATES, WINDOWS, forget, ready, withFake } from "./states.mjs";

/** Bundles with a view that the others do not have. */
const REAL = [
  "stories260K",
  "chat",
  "embedder",
  "finder",
  "labeller",
  "resnet-basic",
  "llava-base",
  "patches",
  "ctc",
  "video",
];

/** What the model of a bundle makes of what the page offers: its example, or the text that is in the box. */
async function used(page) {
  await ready(page);
  if (await page.$("#prompt")) {
    await page.$eval("#prompt", (box) => (box.value ||= "What does the miller do?"));
    await page.$eval(".settings input[type=number]", (most) => (most.value = 60));
    await page.$eval(".composer", (form) => form.requestSubmit());
    await page.waitForFunction(() => document.querySelector("article .note:not(:empty)") !== null);
  } else if (await page.$(".example")) {
    await page.$eval(".example", (button) => button.click());
    await page.waitForFunction(() => document.querySelector(".scores li") !== null);
  }
  await ready(page);
}

const { values } = parseArgs({
  options: {
    out: { type: "string", default: path.join(ROOT, "target/browser/looks") },
    only: { type: "string", default: "" },
    browser: { type: "string", default: "chromium-no-adapter" },
  },
});
mkdirSync(values.out, { recursive: true });
const browser = await launch(values.browser);
let count = 0;

/** Only Chromium can be told. */
async function setScheme(page, scheme) {
  if (browser.engine !== "chrome") return;
  await page.emulateMediaFeatures([
    { name: "prefers-reduced-motion", value: "reduce" },
    { name: "prefers-color-scheme", value: scheme },
  ]);
}

/** One image per window and scheme. */
async function shoot(label, url, reach) {
  if (!label.includes(values.only)) return;
  for (const [name, viewport] of Object.entries(WINDOWS)) {
    const page = await browser.newPage();
    await page.setViewport(viewport);
    await setScheme(page, "light");
    await page.goto(url, { waitUntil: "load" });
    await reach(page);
    for (const scheme of browser.engine === "chrome" ? ["light", "dark"] : ["light"]) {
      await setScheme(page, scheme);
      await page.screenshot({ path: path.join(values.out, `${label}-${name}-${scheme}.png`) });
      count += 1;
    }
    await forget(page);
    await page.close();
  }
}

try {
  await withFake({ serve }, async (server) => {
    for (const [label, query, reach] of STATES) await shoot(label, `${server.url}?${query}`, reach);
    await server.close();
  });
  for (const name of REAL.filter((one) => existsSync(path.join(BUNDLES, one, "index.html")))) {
    const server = await serve(path.join(BUNDLES, name));
    await shoot(`bundle-${name}`, `${server.url}?backend=wasm`, used);
    await server.close();
  }
} finally {
  await browser.close();
}
console.log(`${count} images in ${values.out}`);
