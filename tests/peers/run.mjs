// Measures gristmill and its peers in the same browser, one after the other: README.md says how and what.

import { appendFileSync, existsSync } from "node:fs";
import { loadavg } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { ROOT } from "../browser/bundles.mjs";
import { jobs } from "./jobs.mjs";
import { inFreshBrowser, serveFolders } from "./serve.mjs";
import { readLines, summarize } from "./summary.mjs";

const HERE = path.dirname(fileURLToPath(import.meta.url));
const TARGET = path.join(ROOT, "target/peers");

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    models: { type: "string", default: path.join(TARGET, "models") },
    only: { type: "string", default: "." },
    not: { type: "string" },
    passes: { type: "string", default: "3" },
    json: { type: "string", default: path.join(TARGET, "results.jsonl") },
    browser: { type: "string", default: "chromium-no-adapter" },
    threads: { type: "string", default: "1" },
    runtime: { type: "string" },
    list: { type: "boolean", default: false },
  },
});

/** Jobs whose names fit the patterns and whose models are there; the others are named. */
function selectJobs() {
  const [only, not] = [new RegExp(values.only), values.not ? new RegExp(values.not) : null];
  const wanted = jobs(values.threads.split(",").map(Number)).filter(({ id }) => only.test(id) && !not?.test(id));
  const missing = wanted.filter(({ file }) => !existsSync(path.join(values.models, file)));
  for (const { id, file } of missing) console.log(`${id}: left out, there is no ${path.join(values.models, file)}`);
  const found = wanted.filter((job) => !missing.includes(job));
  if (found.length === 0) throw new Error(`expected models in ${values.models} for --only ${values.only}, found none`);
  const bare = found.find(({ peer, file }) => peer === "gristmill" && !hasRuntime(path.join(values.models, file)));
  if (bare) {
    const remedy = "compile it by a gristmill that was built after cargo xtask web, or say --runtime runtime/web/dist";
    throw new Error(`expected ${bare.file} to carry the runtime, found that it does not: ${remedy}`);
  }
  return found;
}

/** Whether there is a JavaScript package for a bundle. */
function hasRuntime(bundle) {
  return existsSync(path.join(values.runtime ?? path.join(bundle, "runtime"), "gristmill.js"));
}

/** Runs one job in a browser of its own and writes a line for each of its results. */
async function visit(server, job, run, pass) {
  const before = loadavg()[0];
  const at = new Date().toISOString();
  const line = { id: job.id, browser: values.browser, run, pass, at, loadBefore: before };
  let outcome;
  try {
    const given = values.runtime ? { ...job, runtime: "/runtime/" } : job;
    const use = (page) => page.evaluate((found) => window.measure(found), given);
    outcome = await inFreshBrowser(values.browser, `${server.url}page/index.html`, use);
  } catch (error) {
    const found = { ...line, loadAfter: loadavg()[0], error: error.message };
    appendFileSync(values.json, `${JSON.stringify(found)}\n`);
    console.log(`${job.id}: ${error.message}`);
    return false;
  }
  const { results, ...rest } = outcome;
  for (const result of results) {
    const found = { ...line, loadAfter: loadavg()[0], ...result, ...rest };
    appendFileSync(values.json, `${JSON.stringify(found)}\n`);
  }
  const told = results.map(({ metric, value, unit }) => `${metric} ${value.toPrecision(3)} ${unit}`);
  console.log(`${job.id}: ${told.join(", ")} (load ${before.toFixed(1)} to ${loadavg()[0].toFixed(1)})`);
  return true;
}

async function measure() {
  const modules = path.join(TARGET, "node_modules");
  if (!existsSync(modules)) throw new Error(`expected packages in ${modules}: run node tests/peers/setup.mjs`);
  const selected = selectJobs();
  if (values.list) return void console.log(selected.map(({ id }) => id).join("\n"));
  const runtime = values.runtime ? { runtime: values.runtime } : {};
  const folders = { page: path.join(HERE, "page"), nm: modules, models: values.models, ...runtime };
  const server = await serveFolders(folders);
  // Ratios are of values of one run and one pass.
  const run = new Date().toISOString();
  let failed = 0;
  try {
    for (let pass = 0; pass < Number(values.passes); pass++) {
      // There and back, so that a machine that becomes slower is unfair to nobody.
      const order = pass % 2 ? [...selected].reverse() : selected;
      for (const job of order) if (!(await visit(server, job, run, pass))) failed += 1;
    }
  } finally {
    await server.close();
  }
  console.log(`\n${summarize(readLines(values.json))}`);
  if (failed) throw new Error(`${failed} measurements failed; ${values.json} says why`);
}

try {
  if (positionals[0] === "summary") {
    const files = positionals.slice(1);
    console.log(summarize((files.length ? files : [values.json]).flatMap(readLines)));
  } else if (positionals.length) {
    throw new Error(`expected options or summary FILE.., found ${positionals[0]}`);
  } else await measure();
} catch (error) {
  console.error(error.message);
  process.exitCode = 1;
}
