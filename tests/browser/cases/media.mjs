// Files that the page takes, and how it shows what a model says of them; with a stand-in for the runtime.

import { readFileSync } from "node:fs";
import path from "node:path";
import { ROOT } from "../bundles.mjs";
import { DESKTOP, PHONE, dropImage, lookAt, ready, withFake } from "../states.mjs";

/** One browser per engine: the stand-in computes nothing. */
const ENGINES = ["chromium-no-adapter", "firefox-no-webgpu", "webkit"];
const CHROMIUM = ["chromium-no-adapter"];
const EXAMPLE = path.join(ROOT, "runtime/web/page/example.png");

async function opened(t, server, query, viewport = DESKTOP) {
  const page = await t.page(null, { viewport });
  await page.goto(`${server.url}?${query}`);
  await ready(page);
  return page;
}

const rows = (page) => page.$$eval(".scores .name", (all) => all.map((one) => one.textContent));
const scored = (page) => page.waitForFunction(() => document.querySelector(".scores li") !== null);

/** The click of a button by its text, as all drivers can. */
const press = (page, text) =>
  page.evaluate((wanted) => [...document.querySelectorAll("button")].find((one) => one.textContent === wanted).click(), text);

async function example(t) {
  await withFake(t, async (server) => {
    for (const task of ["classify", "detect", "compare", "see"]) {
      server.reset();
      const page = await opened(t, server, `task=${task}`);
      t.assert.equal(server.requests(/example/).length, 0, `${task}: loaded before anybody asked for it`);
      await press(page, "Use the example");
      if (task === "see") await page.waitForFunction(() => document.querySelector(".attached li") !== null);
      else await scored(page);
      t.assert.equal(server.requests(/^runtime\/example\.png$/).length, 1);
      await page.close();
    }
    // What cannot be loaded is said.
    const page = await opened(t, server, "task=classify");
    server.faults.push({ path: /example/, status: 404 });
    await press(page, "Use the example");
    await page.waitForFunction(() => /example cannot be loaded: .*404/.test(document.querySelector(".image .note").textContent));
  });
}

async function chooses(t) {
  await withFake(t, async (server) => {
    for (const [task, text] of [
      ["classify", "Choose an image"],
      ["transcribe", "Choose an audio file"],
      ["see", "Add an image"],
    ]) {
      const page = await opened(t, server, `task=${task}`);
      const inputs = await page.$$eval("input[type=file]", (all) => all.map((one) => one.hidden));
      t.assert.ok(inputs.length > 0 && inputs.every(Boolean), "no input of the browser is seen");
      // The button passes its click on to the input, which opens the dialog.
      const passed = await page.evaluate((wanted) => {
        const input = document.querySelector("input[type=file]");
        let accept = null;
        input.addEventListener("click", () => (accept = input.accept));
        [...document.querySelectorAll("button")].find((one) => one.textContent === wanted).click();
        return accept;
      }, text);
      t.assert.match(passed, task === "transcribe" ? /^audio/ : /^image/);
      if (task !== "transcribe") {
        await (await page.$("input[type=file]")).uploadFile(EXAMPLE);
        await page.waitForFunction(() => document.querySelector(".scores li, .attached li") !== null);
      }
      await page.close();
    }
  });
}

/** The camera is offered where a finger points. */
async function camera(t) {
  await withFake(t, async (server) => {
    for (const [viewport, count] of [
      [DESKTOP, 0],
      [PHONE, 1],
    ]) {
      for (const task of ["classify", "see"]) {
        const page = await opened(t, server, `task=${task}`, viewport);
        const cameras = await page.$$eval("button.camera", (all) => all.filter((one) => one.checkVisibility()).length);
        t.assert.equal(cameras, count, `${task} in a window of ${viewport.width} px`);
        t.assert.equal(await page.$eval("input[capture]", (input) => `${input.accept} ${input.getAttribute("capture")}`), "image/* environment");
        await page.close();
      }
    }
  });
}

/** Beside the place for it, a browser would show a dropped file instead of the page. */
async function droppedAnywhere(t) {
  await withFake(t, async (server) => {
    const page = await opened(t, server, "task=detect");
    await dropImage(page, "h1");
    await scored(page);
    const pasted = await opened(t, server, "task=classify");
    await pasted.evaluate(async () => {
      const data = new DataTransfer();
      const blob = await (await fetch("runtime/example.png")).blob();
      data.items.add(new File([blob], "pasted.png", { type: "image/png" }));
      const event = new ClipboardEvent("paste", { clipboardData: data });
      // Some engines make an event without what it was given.
      if (!event.clipboardData?.files.length) Object.defineProperty(event, "clipboardData", { value: data });
      document.dispatchEvent(event);
    });
    await scored(pasted);
  });
}

async function threshold(t) {
  await withFake(t, async (server) => {
    const page = await opened(t, server, "task=detect");
    await lookAt(page);
    const usual = await rows(page);
    t.assert.deepEqual(usual, ["mill", "cat", "a wheel that turns in the water of the river", "cat"]);
    const set = (value) =>
      page.$eval(
        "#threshold",
        (slider, wanted) => {
          slider.value = wanted;
          slider.dispatchEvent(new Event("input"));
        },
        value,
      );
    const drawn = () => page.$eval(".image > canvas", (canvas) => canvas.toDataURL());
    const before = await drawn();
    await set(0.1);
    t.assert.deepEqual(await rows(page), [...usual, "person", "sun"]);
    t.assert.equal(await page.$eval(".threshold output", (output) => output.textContent), "10 %");
    t.assert.notEqual(await drawn(), before, "the boxes changed");
    await set(0.8);
    t.assert.deepEqual(await rows(page), ["mill", "cat"]);
    await set(0.5);
    t.assert.equal(await drawn(), before, "each class keeps its look");
    t.assert.equal(await page.evaluate(() => window.detections), 1, "the model ran once");
    const marks = await page.$$eval(".scores .swatch", (all) => all.map((canvas) => canvas.toDataURL()));
    t.assert.equal(marks.length, 4);
    t.assert.equal(new Set(marks).size, 3, "a look for each class");
    t.assert.equal(marks[1], marks[3], "the same for the same class");
  });
}

/** Bars have the same size in all engines, and stand beside their names. */
async function bars(t) {
  await withFake(t, async (server) => {
    const page = await opened(t, server, "task=label");
    await scored(page);
    const found = await page.$$eval(".scores li", (all) =>
      all.map((row) => {
        const [name, bar, filled] = [".name", ".bar", ".bar span"].map((one) => row.querySelector(one).getBoundingClientRect());
        return { gap: bar.left - name.right, width: bar.width, share: filled.width / bar.width, height: bar.height };
      }),
    );
    t.assert.equal(found.length, 3);
    for (const { gap, width, height } of found) {
      t.assert.ok(gap >= 0 && gap < 16, `${gap} px between a name and its bar`);
      t.assert.ok(Math.abs(width - found[0].width) < 1, "all bars have one scale");
      t.assert.ok(Math.abs(height - 8.5) < 0.6, `a bar is ${height} px high`);
    }
    [0.83, 0.12, 0.05].forEach((score, at) => t.assert.ok(Math.abs(found[at].share - score) < 0.01));
    t.assert.equal(await page.$("meter"), null);
  });
}

/** The time of a call is the figure in the margin, for all that does not write. */
async function times(t) {
  await withFake(t, async (server) => {
    for (const task of ["classify", "detect", "compare", "label", "transcribe"]) {
      const page = await opened(t, server, `task=${task}`);
      t.assert.equal(await page.$eval(".big dt", (label) => label.textContent), "last call", task);
      if (task === "transcribe") {
        await page.evaluate(() => {
          const data = new DataTransfer();
          data.items.add(new File([new Uint8Array(9)], "audio.wav", { type: "audio/wav" }));
          document.querySelector(".drop").dispatchEvent(new DragEvent("drop", { dataTransfer: data }));
        });
      } else if (task !== "label") await press(page, "Use the example");
      await page.waitForFunction(() => /^\d+(\.\d)? m?s$/.test(document.querySelector(".big .value").textContent));
      await page.close();
    }
  });
}

async function manySentences(t) {
  await withFake(t, async (server) => {
    const page = await opened(t, server, "task=embed&state=embedding");
    await page.$eval("#sentences", (box) => {
      box.value = Array.from({ length: 500 }, (_, at) => `Sentence number ${at} is about a mill.`).join("\n");
      box.dispatchEvent(new Event("input"));
    });
    const note = () => page.$eval(".batches .note", (line) => line.textContent);
    await page.waitForFunction(() => /^[89]\d of 500 sentences$/.test(document.querySelector(".batches .note").textContent));
    const now = await page.$eval(".batches [role=progressbar]", (bar) => Number(bar.getAttribute("aria-valuenow")));
    t.assert.ok(now >= 16 && now < 20, `the bar is at ${now} %`);
    await press(page, "Stop");
    await ready(page);
    t.assert.match(await note(), /^Stopped after [89]\d of 500 sentences$/);
    const some = await page.$$eval(".ranking li", (all) => all.length);
    t.assert.equal(some, 50, "those that are known are ranked, as many as are listed");
    await page.evaluate(() => (window.goOn = true));
    await press(page, "Continue");
    await page.waitForFunction(() => /^The closest 50 of 500 sentences/.test(document.querySelector(".batches .note").textContent));
    t.assert.ok(await page.$eval(".batches button", (button) => button.hidden), "there is nothing to stop");
    t.assert.ok(await page.$eval(".batches [role=progressbar]", (bar) => bar.hidden));
  });
}

/** The page can be installed, and then starts without a network. */
async function installable(t) {
  const bundle = t.bundle("generate");
  const server = await t.serve(bundle.folder);
  const page = await t.page(`${server.url}?backend=${t.backend}`);
  await t.state(page, "ready");
  const session = await page.createCDPSession();
  const { url, errors, manifest } = await session.send("Page.getAppManifest");
  t.assert.equal(url, `${server.url}runtime/manifest.webmanifest`);
  t.assert.deepEqual(errors, []);
  if (manifest) t.assert.equal(manifest.startUrl, server.url);
  const { installabilityErrors } = await session.send("Page.getInstallabilityErrors");
  // Pages of tests have no window of their own, in which browsers do not install.
  const serious = installabilityErrors.filter(({ errorId }) => errorId !== "in-incognito");
  t.assert.deepEqual(serious, []);
  const { icons } = JSON.parse(readFileSync(path.join(bundle.folder, "runtime/manifest.webmanifest"), "utf8"));
  for (const { src, type } of icons) {
    const found = await page.evaluate(async (address) => {
      const response = await fetch(address);
      return [response.status, response.headers.get("content-type")];
    }, `runtime/${src}`);
    t.assert.deepEqual(found, [200, type], src);
  }
  await page.evaluate(() => navigator.serviceWorker.ready.then(() => undefined));
  const kept = (name) => page.evaluate(async (file) => (await caches.match(file)) !== undefined, `runtime/${name}`);
  t.assert.ok(await kept("manifest.webmanifest"));
  t.assert.ok(!(await kept("example.png")), "what nobody asked for is not kept");
  server.setOff(true);
  const again = await t.page(`${server.url}?backend=${t.backend}`);
  await t.state(again, "ready");
}

export default [
  { name: "an example is loaded when it is asked for", needsBundles: false, browsers: ENGINES, run: example },
  { name: "a button opens the file dialog", needsBundles: false, browsers: CHROMIUM, run: chooses },
  { name: "phones offer the camera", needsBundles: false, browsers: CHROMIUM, run: camera },
  { name: "files are dropped anywhere and pasted", needsBundles: false, browsers: ENGINES, run: droppedAnywhere },
  { name: "a threshold filters objects without another call", needsBundles: false, browsers: ENGINES, run: threshold },
  { name: "bars stand beside their names, equal in all browsers", needsBundles: false, browsers: ENGINES, run: bars },
  { name: "the margin shows the time of a call", needsBundles: false, browsers: ENGINES, run: times },
  { name: "five hundred sentences show progress, stop and continue", needsBundles: false, browsers: ENGINES, run: manySentences },
  { name: "the page can be installed", browsers: CHROMIUM, run: installable },
];
