// Measures what a visitor waits for: node tests/browser/measure.mjs [--browser chromium] [--bundles FOLDER] [--runs N]
// [--json FILE]. For each bundle a first visit (nothing stored) and a second one: milliseconds until the model is
// there and until its first token or vector, bytes that the server sent, the peak of memory, and what the main thread
// had to wait: tasks over 50 ms (Chromium only) and the longest time without a turn. The median of the runs; not part
// of the tests, because it says as much about the machine.

import { writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { launch } from "./browsers.mjs";
import { BUNDLES, readBundles } from "./bundles.mjs";
import { createContext } from "./context.mjs";

const { values } = parseArgs({
  options: {
    browser: { type: "string", default: "chromium" },
    bundles: { type: "string", default: BUNDLES },
    runs: { type: "string", default: "3" },
    json: { type: "string" },
  },
});

const median = (list) => [...list].sort((a, b) => a - b)[list.length >> 1];

/** One visit: what it took. */
async function visit(t, server, bundle) {
  server.reset();
  const page = await t.blank(server);
  await t.call(page, "watchLongTasks");
  const loaded = t.ok(await t.call(page, "load"));
  const { ms, memory } = await firstResult(t, page, bundle);
  const { tasks, pause } = await page.evaluate(() => {
    const { longTasks, pauses } = window.test;
    return { tasks: longTasks.length, pause: pauses.longest };
  });
  t.ok(await t.call(page, "dispose"));
  await page.close();
  // The blank page is the tests' own.
  const sent = server.requests(/^(?!blank\.html|test\/|favicon)/).reduce((sum, entry) => sum + entry.sent, 0);
  return {
    loadMs: loaded.ms,
    firstMs: loaded.ms + ms,
    bytes: sent,
    peak: memory.peak + memory.wasm,
    tasks,
    pause,
  };
}

/** Milliseconds until the first token or vector, and the memory then. */
async function firstResult(t, page, bundle) {
  const [text] = bundle.generate;
  if (text) {
    const generated = t.ok(await t.call(page, "generate", text.prompt ?? text.messages, { maxNewTokens: 8 }));
    return { ms: generated.firstMs, memory: generated.memory };
  }
  const begin = performance.now();
  t.ok(await t.call(page, "embed", bundle.embed[0].texts.slice(0, 1)));
  return { ms: performance.now() - begin, memory: t.ok(await t.call(page, "memory")) };
}

async function measure(kind, bundles, runs) {
  const rows = [];
  for (const bundle of bundles.filter(({ generate, embed }) => generate.length + embed.length > 0)) {
    const visits = { first: [], second: [] };
    for (let run = 0; run < runs; run++) {
      const browser = await launch(kind);
      const t = createContext({ kind, browser, bundles, out: "", name: "measure" });
      try {
        const server = await t.serve(bundle.folder);
        visits.first.push(await visit(t, server, bundle));
        visits.second.push(await visit(t, server, bundle));
      } finally {
        await t.end();
        await browser.close();
      }
    }
    for (const [which, list] of Object.entries(visits)) {
      const middle = (key) => Math.round(median(list.map((entry) => entry[key])));
      const [load, first] = [middle("loadMs"), middle("firstMs")];
      rows.push({
        browser: kind,
        bundle: bundle.name,
        visit: which,
        "loaded, ms": load,
        "first token, ms": first,
        "fetched, kB": Math.round(middle("bytes") / 1000),
        "memory peak, MB": Number((middle("peak") / 1e6).toFixed(1)),
        "long tasks": middle("tasks"),
        "longest pause, ms": middle("pause"),
      });
    }
  }
  return rows;
}

const bundles = readBundles(values.bundles);
const rows = [];
for (const kind of values.browser.split(",")) rows.push(...(await measure(kind, bundles, Number(values.runs))));
console.table(rows);
if (values.json) writeFileSync(values.json, `${JSON.stringify(rows, null, 2)}\n`);
