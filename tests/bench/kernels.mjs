// Speeds of single kernels in browsers, on one thread, beside what the CPU can do at best: README.md says how.

import { appendFileSync, existsSync } from "node:fs";
import { loadavg } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { inFreshBrowser, serveFolders } from "../peers/serve.mjs";

const HERE = path.dirname(fileURLToPath(import.meta.url));

const { values } = parseArgs({
  options: {
    kernels: { type: "string" },
    only: { type: "string", default: "." },
    browser: { type: "string", default: "chromium-no-adapter" },
    "batch-ms": { type: "string", default: "20" },
    batches: { type: "string", default: "25" },
    json: { type: "string" },
  },
});

/** A table in Markdown; rates from the best batch and from the median one. */
function table(lines) {
  const rate = (amount, { best, median }) => {
    if (!amount) return "-";
    return `${(amount / best / 1e9).toFixed(1)} (${(amount / median / 1e9).toFixed(1)})`;
  };
  const rows = lines.map(({ label, module, seconds, ops, bytes }) => {
    const cells = [label, module, (seconds.best * 1e6).toFixed(1), rate(bytes, seconds), rate(ops, seconds)];
    return `| ${cells.join(" | ")} |`;
  });
  const head = "| | module | best, us | GB/s best (median) | Gop/s best (median) |\n| --- | --- | --- | --- | --- |";
  return [head, ...rows].join("\n");
}

async function measure(server, kind) {
  const options = {
    folder: values.kernels !== undefined,
    only: values.only,
    batchMs: Number(values["batch-ms"]),
    batches: Number(values.batches),
    warmMs: 300,
  };
  const before = loadavg()[0];
  const use = (page) => page.evaluate((given) => window.bench.kernels(given), options);
  const found = await inFreshBrowser(kind, `${server.url}page/index.html`, use);
  const load = `${before.toFixed(1)} to ${loadavg()[0].toFixed(1)}`;
  console.log(`## ${kind} (${found.version}), load ${load}\n\n${table([...found.yardsticks, ...found.kernels])}\n`);
  if (values.json) {
    const line = { at: new Date().toISOString(), browser: kind, loadBefore: before, loadAfter: loadavg()[0], ...found };
    appendFileSync(values.json, `${JSON.stringify(line)}\n`);
  }
}

try {
  if (values.kernels && !existsSync(path.join(values.kernels, "calls.json"))) {
    throw new Error(`expected ${values.kernels}/calls.json, found none: the example kernel_bench writes it`);
  }
  const folders = { page: path.join(HERE, "page"), ...(values.kernels ? { kernels: values.kernels } : {}) };
  const server = await serveFolders(folders);
  try {
    for (const kind of values.browser.split(",")) await measure(server, kind);
  } finally {
    await server.close();
  }
} catch (error) {
  console.error(error.message);
  process.exitCode = 1;
}
