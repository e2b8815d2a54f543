// Accessibility and layout of the page in all its states, checked by axe-core and by measuring.

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { DESKTOP, PHONE, STATES, WINDOWS, forget, ready, withFake } from "../states.mjs";

const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
/** One browser per engine: the stand-in computes nothing. */
const ENGINES = ["chromium-no-adapter", "firefox-no-webgpu", "webkit"];
/** The only one that can be a phone, and that tells what moves. */
const CHROMIUM = ["chromium-no-adapter"];
/** Minimum size of touch targets in pixels: 44, less what browsers round off. */
const FINGER = 43.5;

/** What axe-core finds in a page, best practices such as the order of headings included. */
async function violations(page, rules) {
  await page.evaluate(`(() => { ${AXE}; return true; })()`);
  return page.evaluate(async (only) => {
    const options = { resultTypes: ["violations"], ...(only && { runOnly: only }) };
    const { violations, passes } = await window.axe.run(document, options);
    if (passes.length === 0) return ["axe-core has checked nothing"];
    return violations.flatMap(({ id, nodes }) => nodes.map(({ html, failureSummary }) => `${id}: ${html}: ${failureSummary}`));
  }, rules ?? null);
}

/** Minimum size of targets for a mouse, by WCAG 2.2. */
const POINTER = 24;

/** Controls that are seen and smaller than that, in the page as it is. */
const smallTargets = (least) => {
  // Links in an answer are as high as its lines.
  const controls = "button, summary, select, textarea, a[href]:not(.markdown a), input:not([hidden])";
  const seen = [...document.querySelectorAll(controls)].filter(
    (one) => one.checkVisibility?.({ checkVisibilityCSS: true }) && !one.matches(".skip:not(:focus)"),
  );
  return seen.flatMap((one) => {
    const { width, height } = one.getBoundingClientRect();
    if (width >= least && height >= least) return [];
    return [`${one.outerHTML.slice(0, 80)}: ${width.toFixed(0)} x ${height.toFixed(0)}`];
  });
};

/** Elements with text that reach out of the window, but for what is in a place that scrolls by itself. */
const overflowing = () => {
  const scrolls = (one) => one !== null && (/auto|scroll/.test(getComputedStyle(one).overflowX) || scrolls(one.parentElement));
  const wide = document.documentElement.scrollWidth - window.innerWidth;
  const found = wide > 0 ? [`the page is ${wide} px wider than the window`] : [];
  for (const one of document.querySelectorAll("body *:not(svg *)")) {
    const { left, right, width } = one.getBoundingClientRect();
    if (width <= 1 || one.closest(".hidden, .skip") || scrolls(one.parentElement)) continue;
    if (left < -0.5 || right > window.innerWidth + 0.5) found.push(`${one.outerHTML.slice(0, 80)} ends at ${right.toFixed(0)}`);
  }
  return found.slice(0, 5);
};

/** Whether each control can be scrolled to a place where nothing covers it. */
const covered = () => {
  const found = [];
  // A window above the page takes all of it away.
  const top = [...document.querySelectorAll("dialog[open]")].at(-1) ?? document;
  for (const one of top.querySelectorAll("button, summary, select, textarea, input:not([hidden])")) {
    if (!one.checkVisibility?.({ checkVisibilityCSS: true })) continue;
    one.scrollIntoView({ block: "nearest" });
    const { left, top: above, width, height } = one.getBoundingClientRect();
    const y = Math.min(above + height / 2, window.innerHeight - 1);
    const hit = document.elementFromPoint(left + width / 2, y);
    if (!hit || !(one.contains(hit) || hit.contains(one))) found.push(`${one.outerHTML.slice(0, 80)} under ${hit?.outerHTML.slice(0, 60)}`);
  }
  window.scrollTo(0, 0);
  return found;
};

/** Opens a state of the page. */
async function opened(t, server, [label, query, reach], viewport) {
  const page = await t.page(null, { viewport });
  await page.goto(`${server.url}?${query}`);
  await reach(page);
  return { page, label };
}

async function accessible(t) {
  await withFake(t, async (server) => {
    for (const state of STATES) {
      const { page, label } = await opened(t, server, state, DESKTOP);
      t.assert.deepEqual(await violations(page), [], label);
      if (t.engine === "chrome") {
        await page.emulateMediaFeatures([{ name: "prefers-color-scheme", value: "dark" }]);
        t.assert.deepEqual(await violations(page, ["color-contrast"]), [], `${label}, dark`);
      }
      const levels = await page.$$eval("h1, h2, h3, h4", (all) => all.map((one) => Number(one.tagName[1])));
      t.assert.equal(levels[0], 1, `${label}: the name comes first`);
      levels.forEach((level, at) => t.assert.ok(at === 0 || level <= levels[at - 1] + 1, `${label}: ${levels}`));
      await laidOut(t, page, POINTER, label);
      await forget(page);
      await page.close();
    }
    // It would find something.
    const { page } = await opened(t, server, STATES[0], DESKTOP);
    await page.evaluate(() => document.querySelector("main").append(document.createElement("button")));
    t.assert.match((await violations(page)).join(), /button-name/);
  });
}

/** Nothing overflows or is covered, and all controls are at least so many pixels large. */
async function laidOut(t, page, least, label) {
  t.assert.deepEqual(await page.evaluate(overflowing), [], label);
  t.assert.deepEqual(await page.evaluate(smallTargets, least), [], `${label}: smaller than ${least} px`);
  t.assert.deepEqual(await page.evaluate(covered), [], `${label}: under something else`);
}

async function fits(t) {
  await withFake(t, async (server) => {
    const windows = ["phone", "narrow", "landscape"];
    for (const state of STATES) {
      const { page, label } = await opened(t, server, state, WINDOWS[windows[0]]);
      for (const name of windows) {
        // A phone that is rotated: nothing but the window changes. The page measures its dock in the frame after that.
        await page.setViewport(WINDOWS[name]);
        await page.evaluate(() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done))));
        await laidOut(t, page, FINGER, `${label}, ${name}`);
      }
      await forget(page);
      await page.close();
    }
  });
}

/** How much of what is seen moves from the first paint to the model's being ready, as browsers measure it. */
async function still(t) {
  const tasks = ["chat", "generate", "answer", "embed", "see", "label", "classify", "detect", "compare", "transcribe", "run"];
  await withFake(t, async (server) => {
    for (const [name, viewport] of Object.entries(WINDOWS)) {
      for (const task of tasks) {
        const page = await t.page(null, { viewport });
        await page.evaluateOnNewDocument(() => {
          window.shifts = [];
          new PerformanceObserver((list) => {
            for (const { value, sources } of list.getEntries()) {
              window.shifts.push({ value, moved: sources.map(({ node }) => node?.nodeName + "." + node?.className) });
            }
          }).observe({ type: "layout-shift", buffered: true });
        });
        await page.goto(`${server.url}?task=${task}`);
        await ready(page);
        // Shifts are told after the frame in which they were.
        const shifts = await page.evaluate(async () => {
          for (let frame = 0; frame < 3; frame++) await new Promise((done) => requestAnimationFrame(done));
          return window.shifts;
        });
        const sum = shifts.reduce((all, { value }) => all + value, 0);
        t.assert.ok(sum < 0.05, `${task}, ${name}: ${sum.toFixed(3)}: ${JSON.stringify(shifts)}`);
        await page.close();
      }
    }
  });
}

/** Parts of an element that the window shows, from 0 to 1. */
const shown = (page, selector) =>
  page.$eval(selector, (one) => {
    const { top, bottom, height } = one.getBoundingClientRect();
    return (Math.min(bottom, window.innerHeight) - Math.max(top, 0)) / height;
  });

async function staysInView(t) {
  await withFake(t, async (server) => {
    for (const viewport of [PHONE, WINDOWS.landscape]) {
      for (const [query, stop, figures] of [
        ["task=generate&state=streaming", ".tale button[type=submit]", ".figures"],
        ["task=transcribe&state=streaming", ".audio button.stop", null],
      ]) {
        const state = STATES.find(([, wanted]) => wanted === query);
        const { page } = await opened(t, server, state, viewport);
        // A text of several screens, of which the end is in view.
        await page.$eval(".story .text", (text) => text.append(" and so on".repeat(400)));
        await page.evaluate(() => document.querySelector(".story .text").scrollIntoView({ block: "end" }));
        t.assert.ok((await page.evaluate(() => window.scrollY)) > 300, "the page is scrolled");
        t.assert.equal(await page.$eval(stop, (button) => button.textContent), "Stop");
        t.assert.equal(await shown(page, stop), 1, `${query}: Stop is in view`);
        if (figures) t.assert.equal(await shown(page, figures), 1, `${query}: the figures are in view`);
        await page.click(stop);
        await ready(page);
        await page.close();
      }
    }
  });
}

async function dockFits(t) {
  await withFake(t, async (server) => {
    for (const [name, viewport] of Object.entries(WINDOWS)) {
      const { page } = await opened(t, server, STATES.find(([label]) => label === "settings"), viewport);
      await page.$eval(".dock", (dock) => dock.scrollIntoView({ block: "nearest" }));
      t.assert.equal(await shown(page, "#prompt"), 1, `${name}: the box is in view with the settings open`);
      // The last of the settings can be reached inside.
      await page.evaluate(() => document.querySelector(".settings > :last-child").scrollIntoView({ block: "nearest" }));
      t.assert.ok((await shown(page, ".settings > :last-child")) > 0.9, `${name}: the last setting can be reached`);
      t.assert.equal(await shown(page, "#prompt"), 1, `${name}: and the box stays`);
      t.assert.ok(await page.$eval(".dock", (dock) => dock.offsetHeight <= window.innerHeight), `${name}: the dock fits`);
      await page.close();
    }
  });
}

export default [
  { name: "axe-core finds nothing in any state, and all of it is reached", needsBundles: false, browsers: ENGINES, timeout: 900_000, run: accessible },
  { name: "phones: nothing overflows, and fingers reach all controls", needsBundles: false, browsers: CHROMIUM, timeout: 900_000, run: fits },
  { name: "nothing moves when the model is ready", needsBundles: false, browsers: CHROMIUM, timeout: 600_000, run: still },
  { name: "Stop and the figures stay in view while a text grows", needsBundles: false, browsers: CHROMIUM, run: staysInView },
  { name: "open settings leave the box in view", needsBundles: false, browsers: CHROMIUM, run: dockFits },
];
