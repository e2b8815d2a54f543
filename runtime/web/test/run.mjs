// Bundles the tests, which are TypeScript, and runs them with Node's test runner. Arguments choose tests by a part of
// their file name.

import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const here = fileURLToPath(new URL(".", import.meta.url));
const chosen = process.argv.slice(2);
const names = readdirSync(here).filter((name) => name.endsWith(".test.ts"));
const wanted = names.filter((name) => chosen.length === 0 || chosen.some((part) => name.includes(part)));
if (wanted.length === 0) {
  console.error(`no test matches ${chosen.join(" ")}; there are ${names.join(" ")}`);
  process.exit(1);
}
const out = mkdtempSync(join(tmpdir(), "gristmill-test-"));
try {
  await build({
    entryPoints: wanted.map((name) => join(here, name)),
    outdir: out,
    outExtension: { ".js": ".mjs" },
    bundle: true,
    format: "esm",
    platform: "node",
    target: "node20",
    sourcemap: "inline",
    logLevel: "warning",
    // Fixtures are read relative to the sources.
    define: { TEST_FOLDER: JSON.stringify(here) },
  });
  const files = wanted.map((name) => join(out, basename(name, ".ts") + ".mjs"));
  const { status } = spawnSync(process.execPath, ["--enable-source-maps", "--test", ...files], { stdio: "inherit" });
  process.exitCode = status ?? 1;
} finally {
  rmSync(out, { recursive: true, force: true });
}
