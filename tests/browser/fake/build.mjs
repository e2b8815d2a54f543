// Builds the page as a bundle has it, with the stand-in for the runtime: for looking at the page alone.
// As a program: node fake/build.mjs FOLDER

import { copyFileSync, mkdirSync, readdirSync } from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

const here = path.dirname(fileURLToPath(import.meta.url));
const web = path.resolve(here, "../../../runtime/web");

/** Writes the page into a folder. */
export async function buildFake(folder) {
  const { build } = await import(pathToFileURL(createRequire(path.join(web, "package.json")).resolve("esbuild")).href);
  const runtime = path.join(folder, "runtime");
  mkdirSync(runtime, { recursive: true });
  const runtimeApart = {
    name: "runtime apart",
    setup: (b) => b.onResolve({ filter: /\/ts\/index$/ }, () => ({ path: "./gristmill.js", external: true })),
  };
  const common = { bundle: true, minify: true, format: "esm", target: "es2022", logLevel: "warning" };
  await build({
    ...common,
    entryPoints: [path.join(web, "page/page.ts")],
    outdir: runtime,
    plugins: [runtimeApart],
  });
  const files = ["runtime/page.js", "runtime/page.css", "runtime/gristmill.js"];
  await build({
    ...common,
    entryPoints: [path.join(web, "page/sw.ts")],
    outfile: path.join(folder, "sw.js"),
    define: { PAGE_FILES: JSON.stringify(files) },
  });
  copyFileSync(path.join(web, "page/index.html"), path.join(folder, "index.html"));
  for (const name of readdirSync(path.join(web, "page")).filter((file) => /\.(svg|png|webmanifest)$/.test(file))) {
    copyFileSync(path.join(web, "page", name), path.join(runtime, name));
  }
  copyFileSync(path.join(here, "gristmill.js"), path.join(runtime, "gristmill.js"));
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await buildFake(path.resolve(process.argv[2] ?? "fake-page"));
