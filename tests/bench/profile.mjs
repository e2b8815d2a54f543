// Where the time of a bundle's entry goes in a browser, by kernel, on one thread: README.md says how.

import { existsSync } from "node:fs";
import { loadavg } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { inFreshBrowser, serveFolders } from "../peers/serve.mjs";

const HERE = path.dirname(fileURLToPath(import.meta.url));

const { values } = parseArgs({
  options: {
    bundle: { type: "string" },
    entry: { type: "string", default: "decode" },
    symbols: { type: "string", default: "" },
    outputs: { type: "string", default: "next_token,sentence_embedding" },
    module: { type: "string", default: "relaxed" },
    seconds: { type: "string", default: "3" },
    browser: { type: "string", default: "chromium-no-adapter" },
    steps: { type: "boolean", default: false },
  },
});

/** Symbols from `T=128,P=0`, over those of one token after 128. */
function readSymbols() {
  const symbols = { B: 1, T: 1, P: 128, C: 1024 };
  for (const part of values.symbols.split(",").filter(Boolean)) {
    const [name, value] = part.split("=");
    if (!/^\d+$/.test(value ?? "")) throw new Error(`--symbols: expected NAME=NUMBER,.., found ${part}`);
    symbols[name] = Number(value);
  }
  return symbols;
}

/** Steps of the same kernel as one, the longest first. */
function group(steps) {
  const groups = new Map();
  for (const step of steps) {
    const key = `${step.kernel} ${step.precision}`;
    const sum = groups.get(key) ?? { ...step, seconds: 0, bytes: 0, ops: 0, calls: 0 };
    for (const part of ["seconds", "bytes", "ops"]) sum[part] += step[part];
    groups.set(key, { ...sum, calls: sum.calls + 1 });
  }
  return [...groups.values()].sort((a, b) => b.seconds - a.seconds);
}

function table(rows, total) {
  const rate = (amount, seconds) => (amount ? (amount / seconds / 1e9).toFixed(1) : "-");
  const lines = rows.map(({ kernel, nodes, precision, seconds, bytes, ops, calls = 1 }) => {
    const times = [calls, (seconds * 1e3).toFixed(3), `${((100 * seconds) / total).toFixed(1)} %`];
    return [kernel, nodes, precision, ...times, rate(bytes, seconds), rate(ops, seconds)].join(" | ");
  });
  const head = "| kernel | such as | weights | steps | ms | share | GB/s | Gop/s |\n|" + " --- |".repeat(8);
  return [head, ...lines.map((line) => `| ${line} |`)].join("\n");
}

try {
  if (!values.bundle || !existsSync(path.join(values.bundle, "programs/wasm.json"))) {
    throw new Error("expected --bundle FOLDER of a bundle with the profile wasm: compile with --target wasm");
  }
  const server = await serveFolders({ page: path.join(HERE, "page"), bundle: values.bundle });
  const options = {
    entry: values.entry,
    symbols: readSymbols(),
    wanted: values.outputs.split(","),
    module: `wasm/${values.module}.wasm`,
    seconds: Number(values.seconds),
    ...{ batchMs: 50, batches: 15, warmMs: 1000 },
  };
  try {
    const use = (page) => page.evaluate((given) => window.bench.profile(given), options);
    const before = loadavg()[0];
    const { whole, runs, steps, version } = await inFreshBrowser(values.browser, `${server.url}page/index.html`, use);
    const sum = steps.reduce((all, step) => all + step.seconds, 0);
    const ms = (seconds) => `${(seconds * 1e3).toFixed(2)} ms`;
    const load = `load ${before.toFixed(1)} to ${loadavg()[0].toFixed(1)}`;
    console.log(`${values.entry} in ${version}, ${load}: best ${ms(whole.best)}, median ${ms(whole.median)} a run;`);
    console.log(`step by step ${ms(sum)}, the mean of ${runs} runs\n`);
    console.log(table(values.steps ? steps : group(steps), sum));
  } finally {
    await server.close();
  }
} catch (error) {
  console.error(error.message);
  process.exitCode = 1;
}
