// Packs the package, and uses it as its users do: node tests/packages/run.mjs [PART ...]. The parts are `declared`,
// `servers` and `bundlers`. The last two need the bundles of `cargo test --test browsers`, and the last one Chromium.

import { spawnSync } from "node:child_process";
import { readdirSync } from "node:fs";
import path from "node:path";
import { HERE, install } from "./package.mjs";

const parts = process.argv.slice(2);
const files = readdirSync(HERE).filter((name) => name.endsWith(".test.mjs"));
const wanted = files.filter((name) => parts.length === 0 || parts.includes(path.basename(name, ".test.mjs")));
if (wanted.length < Math.max(1, parts.length)) {
  console.error(`expected parts of ${files.map((name) => path.basename(name, ".test.mjs")).join(", ")}`);
  process.exit(2);
}
install();
const tests = wanted.map((name) => path.join(HERE, name));
const { status } = spawnSync(process.execPath, ["--test", ...tests], { stdio: "inherit" });
process.exitCode = status ?? 1;
