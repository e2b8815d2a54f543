// Runs the cases in real browsers: node tests/browser/run.mjs [--browser chromium,firefox] [--only PART] [--times N]
// [--out FOLDER] [--bundles FOLDER] [--all] [--list]. Writes report.json and screenshots to the output folder. Exit code
// 1 if a case failed, 2 for wrong use. A browser that is missing is a failure: what was not run is not known to work.
// Only Chromium on lavapipe, which cannot be had everywhere, is left out unless it is there or asked for.

import { mkdirSync, readdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { KINDS, findProgram, launch } from "./browsers.mjs";
import { BUNDLES, ROOT, readBundles } from "./bundles.mjs";
import { createContext } from "./context.mjs";

const CASES = path.join(path.dirname(fileURLToPath(import.meta.url)), "cases");
/** Milliseconds for a case that does not say. Software adapters on a busy machine are slow. */
const TIMEOUT = 240_000;
/** Browsers for a case that does not say: those with WebGPU. */
const BROWSERS = ["chromium", "chromium-lavapipe", "firefox"];
/** Browsers without it, where models run by WebAssembly: for cases that name them, and those marked `wasm`. */
const WITHOUT_WEBGPU = ["chromium-no-adapter", "firefox-no-webgpu", "webkit"];
/** What Chromium's own adapter is spared if Chromium runs on lavapipe, too: it compiles kernels for seconds. */
const [SLOW, FAST] = BROWSERS;

/**
 * All cases: `{ name, browsers?, everywhere?, wasm?, timeout?, needsBundles?, run }` with the name of their file in
 * front. `everywhere`: also in the slow browser if the fast one runs; `wasm`: also in browsers without WebGPU, and
 * only there if it needs no bundles.
 */
async function readCases(only) {
  const cases = [];
  for (const file of readdirSync(CASES)
    .filter((name) => name.endsWith(".mjs"))
    .sort()) {
    const { default: list } = await import(path.join(CASES, file));
    for (const entry of list) cases.push({ ...entry, name: `${path.basename(file, ".mjs")}/${entry.name}` });
  }
  return cases.filter(({ name }) => !only || name.includes(only));
}

async function runCase(entry, settings) {
  const name = entry.name.replaceAll(/[^a-z0-9]+/gi, "-");
  const context = createContext({ ...settings, name });
  const begin = performance.now();
  let timer;
  const late = new Promise((_, reject) => {
    const limit = entry.timeout ?? TIMEOUT;
    timer = setTimeout(() => reject(new Error(`not done after ${limit / 1000} s`)), limit);
  });
  let failure = null;
  try {
    const running = entry.run(context);
    // If the time limit wins, the case fails later, when its browser is closed under it.
    running.catch(() => undefined);
    await Promise.race([running, late]);
  } catch (error) {
    failure = error.stack ?? String(error);
    await context.autopsy();
  } finally {
    clearTimeout(timer);
    await context.end();
  }
  const seconds = (performance.now() - begin) / 1000;
  return { case: entry.name, browser: settings.kind, seconds, failure, notes: context.notes, log: context.log };
}

/** The cases that a browser runs. */
function casesOf(kind, cases, spared) {
  return cases.filter((entry) => {
    const { wasm = false, needsBundles = true } = entry;
    // The page without a model is the same in an engine, whether that has WebGPU or not.
    const { browsers = wasm && !needsBundles ? WITHOUT_WEBGPU : BROWSERS } = entry;
    const { everywhere = !browsers.includes(FAST) } = entry;
    if (wasm && WITHOUT_WEBGPU.includes(kind)) return true;
    return browsers.includes(kind) && (everywhere || kind !== spared);
  });
}

async function runBrowser(kind, cases, { spared, times, ...settings }, report) {
  const mine = casesOf(kind, cases, spared);
  if (mine.length === 0) return;
  let browser;
  try {
    browser = await launch(kind);
  } catch (error) {
    report({ case: "start", browser: kind, seconds: 0, failure: error.message, notes: {}, log: [] });
    return;
  }
  console.log(`${kind} is ${browser.version}`);
  const begin = performance.now();
  try {
    for (let time = 0; time < times; time++) {
      for (const entry of mine) {
        report(await runCase(entry, { ...settings, kind, browser, thorough: kind !== spared }));
      }
    }
  } finally {
    await browser.close();
  }
  console.log(`${kind}: ${mine.length} cases in ${Math.round((performance.now() - begin) / 1000)} s`);
}

/** Runs the browsers, two at a time: much of what they do is waiting for one another's processes. */
async function runBrowsers(kinds, cases, settings, report) {
  const waiting = [...kinds];
  const lane = async () => {
    for (let kind = waiting.shift(); kind; kind = waiting.shift()) await runBrowser(kind, cases, settings, report);
  };
  await Promise.all([lane(), lane()]);
}

function print({ case: name, browser, seconds, failure, notes, log }) {
  const facts = Object.entries(notes).map(
    ([key, value]) => `${key} ${typeof value === "object" ? JSON.stringify(value) : value}`,
  );
  console.log(
    `${failure ? "FAIL " : "ok   "} ${browser.padEnd(18)} ${name.padEnd(62)} ${seconds.toFixed(1).padStart(6)} s  ` +
      facts.join(", "),
  );
  if (!failure) return;
  console.log(failure.replaceAll(/^/gm, "       "));
  for (const line of log.slice(-12)) console.log(`       page: ${line}`);
}

/** All that can be had on this machine, and all that must be. */
function usualKinds() {
  return [...BROWSERS.filter((kind) => kind !== FAST || findProgram(kind)), ...WITHOUT_WEBGPU];
}

async function main() {
  const { values } = parseArgs({
    options: {
      browser: { type: "string", default: usualKinds().join(",") },
      all: { type: "boolean", default: false },
      list: { type: "boolean", default: false },
      only: { type: "string" },
      times: { type: "string", default: "1" },
      out: { type: "string", default: path.join(ROOT, "target/browser") },
      bundles: { type: "string", default: BUNDLES },
    },
  });
  const times = Number(values.times);
  if (!(Number.isInteger(times) && times > 0)) throw new Error(`--times takes a number of times, not "${values.times}"`);
  const cases = await readCases(values.only);
  if (cases.length === 0) throw new Error(`no case has "${values.only}" in its name; --list shows all`);
  const kinds = values.browser.split(",").map((kind) => kind.trim());
  const unknown = kinds.find((kind) => !KINDS[kind]);
  if (unknown !== undefined) throw new Error(`no browser "${unknown}"; there are ${Object.keys(KINDS).join(", ")}`);
  // Whoever names a case wants it.
  const spared = findProgram(FAST) && !values.all && !values.only ? SLOW : null;
  if (values.list) {
    for (const kind of kinds) for (const { name } of casesOf(kind, cases, spared)) console.log(`${kind.padEnd(20)}${name}`);
    return 0;
  }
  const out = path.resolve(values.out);
  mkdirSync(out, { recursive: true });
  const bundles = cases.some(({ needsBundles = true }) => needsBundles)
    ? readBundles(path.resolve(values.bundles))
    : [];
  const results = [];
  const report = (result) => {
    results.push(result);
    print(result);
  };
  await runBrowsers(kinds, cases, { bundles, out, spared, times, all: values.all }, report);
  const failures = results.filter(({ failure }) => failure !== null);
  writeFileSync(path.join(out, "report.json"), `${JSON.stringify({ results }, null, 2)}\n`);
  if (results.length === 0) throw new Error(`none of these cases runs in ${kinds.join(", ")}; --list shows which do`);
  // Again at the end: whoever sees only the last lines of a long log shall know what failed.
  if (failures.length > 0) console.log("\nWhat failed:");
  failures.forEach(print);
  console.log(`\n${results.length - failures.length} of ${results.length} passed; report and screenshots in ${out}`);
  return failures.length > 0 ? 1 : 0;
}

try {
  process.exitCode = await main();
} catch (error) {
  console.error(error.message);
  process.exitCode = 2;
}
