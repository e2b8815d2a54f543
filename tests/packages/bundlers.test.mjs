// The README's example, built by bundlers and run in Chromium: by those that follow `new URL(.., import.meta.url)`, and by
// those beside whose output the files of the package are copied.

import assert from "node:assert/strict";
import { cpSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import path from "node:path";
import { after, before, test } from "node:test";
import { nodeResolve } from "@rollup/plugin-node-resolve";
import * as esbuild from "esbuild";
import { rollup } from "rollup";
import { build as vite, createServer } from "vite";
import webpack from "webpack";
import { launch } from "../browser/browsers.mjs";
import { BUNDLES, readBundles } from "../browser/bundles.mjs";
import { serve } from "../browser/server.mjs";
import { INSTALLED, examples, project } from "./package.mjs";

const KIND = "chromium-no-adapter";
const WAIT_MS = 60_000;
const [writer, chats] = ["stories260K", "chat"].map((name) => readBundles(BUNDLES).find((one) => one.name === name));
const page = (script) => `<!doctype html><title>app</title><link rel="icon" href="data:," />${script}`;
const MODULE = page('<script type="module" src="main.js"></script>');
const CLASSIC = page('<script defer src="main.js"></script>');

/** The example, which prints pieces and no more; what ends it is made visible. */
const EXAMPLE = `${examples().page}\nconsole.info("done");\n`;
/** A model that chats loads one more script. Both ways to have the engine are tried. */
const CHAT = `
import { Model } from "gristmill";
for (const worker of [true, false]) {
  const model = await Model.load("/chat/", { worker });
  const messages = ${JSON.stringify(chats.wasm.generate[0].messages)};
  console.log((await model.generate(messages, { maxNewTokens: ${chats.wasm.generate[0].tokens.length} }).result).text);
}
console.info("done");
`;

/** Copies of the package's files. */
function copyParts(to) {
  for (const name of ["engine.js", "template.js", "gristmill_web_bg.wasm"]) {
    cpSync(path.join(INSTALLED, "dist", name), path.join(to, name));
  }
}

/** Each builds `main.js` of a folder into `out/`, as docs/bundlers.md says. */
const BUNDLERS = {
  async Vite(folder) {
    await vite({ root: folder, logLevel: "error", build: { outDir: "out", target: "es2022" } });
  },
  async webpack(folder) {
    const config = {
      mode: "production",
      context: folder,
      entry: "./main.js",
      output: { path: path.join(folder, "out"), filename: "main.js" },
      // Once is enough to know that what it makes of the package's files works.
      optimization: { minimize: folder.endsWith("-example") },
      performance: { hints: false },
    };
    const stats = await new Promise((resolve, reject) => webpack(config, (e, done) => (e ? reject(e) : resolve(done))));
    const { errors, warnings } = stats.toJson({ all: false, errors: true, warnings: true });
    assert.deepEqual([...errors, ...warnings].map(({ message }) => message), []);
    writeFileSync(path.join(folder, "out/index.html"), CLASSIC);
  },
  async Rollup(folder) {
    const onLog = (level, { message }) => assert.fail(`${level}: ${message}`);
    const bundle = await rollup({ input: path.join(folder, "main.js"), plugins: [nodeResolve()], onLog });
    await bundle.write({ dir: path.join(folder, "out"), format: "es" });
    copyParts(path.join(folder, "out"));
    writeFileSync(path.join(folder, "out/index.html"), MODULE);
  },
  async esbuild(folder) {
    await buildFlat(folder, { format: "esm" });
    copyParts(path.join(folder, "out"));
    writeFileSync(path.join(folder, "out/index.html"), MODULE);
  },
  async "esbuild, as a classic script with baseUrl"(folder) {
    // Such scripts have no address, and no await outside of functions.
    const main = path.join(folder, "main.js");
    const lines = readFileSync(main, "utf8").replaceAll(/^import .*$/gm, "");
    const based = lines.replaceAll(/Model\.load\(("[^"]*"), \{/g, 'Model.load($1, { baseUrl: "/parts/",');
    writeFileSync(main, `import { Model } from "gristmill";\n(async () => {${based}})();\n`);
    await buildFlat(folder, { format: "iife", logOverride: { "empty-import-meta": "silent" } });
    copyParts(path.join(folder, "out/parts"));
    writeFileSync(path.join(folder, "out/index.html"), CLASSIC);
  },
};
async function buildFlat(folder, options) {
  const [input, outfile] = ["main.js", "out/main.js"].map((name) => path.join(folder, name));
  const usual = { entryPoints: [input], outfile, bundle: true, minify: true, target: "es2022" };
  const { warnings } = await esbuild.build({ ...usual, ...options });
  assert.deepEqual(warnings.map(({ text }) => text), []);
}

let browser;
before(async () => (browser = await launch(KIND)));
after(() => browser.close());

/** What a page prints until it is done; throws what it fails with. */
async function printed(url) {
  const tab = await browser.newPage();
  const pieces = [];
  try {
    await new Promise((resolve, reject) => {
      const late = setTimeout(() => reject(new Error(`not done after ${WAIT_MS} ms: ${pieces.join("")}`)), WAIT_MS);
      tab.on("close", () => clearTimeout(late));
      tab.on("pageerror", reject);
      tab.on("console", (message) => {
        if (message.type() === "log") pieces.push(message.text());
        else if (message.type() === "info") resolve();
        else if (message.type() === "error") reject(new Error(message.text()));
      });
      tab.goto(url).catch(reject);
    });
    return pieces.join("");
  } finally {
    await tab.close();
  }
}

for (const [name, build] of Object.entries(BUNDLERS)) {
  test(`${name}: the README's example, and a model that chats`, async () => {
    for (const [kind, main] of Object.entries({ example: EXAMPLE, chat: CHAT })) {
      const files = { "main.js": main, "index.html": MODULE, "package.json": '{ "type": "module" }' };
      const folder = project(`${name.replaceAll(/\W+/g, "-")}-${kind}`, files);
      await build(folder);
      const out = path.join(folder, "out");
      symlinkSync(writer.folder, path.join(out, "dist"));
      symlinkSync(chats.folder, path.join(out, "chat"));
      const server = await serve(out, { isolate: kind === "example" });
      try {
        const { text } = (kind === "example" ? writer : chats).wasm.generate[0];
        assert.equal(await printed(server.url), kind === "example" ? text : text + text);
        const scripts = server.requests(/\.(js|wasm)$/).map((request) => request.path);
        assert.ok(!scripts.some((script) => /runtime\//.test(script)), "the package's own files are used");
      } finally {
        await server.close();
      }
    }
  });
}

test("Vite's server for development", async () => {
  const files = { "main.js": EXAMPLE, "index.html": MODULE, "package.json": '{ "type": "module" }' };
  const folder = project("vite-server", files);
  symlinkSync(writer.folder, path.join(folder, "dist"));
  const server = await createServer({
    root: folder,
    logLevel: "error",
    server: { port: 0, fs: { strict: false } },
    optimizeDeps: { exclude: ["gristmill"] },
  });
  try {
    await server.listen();
    const { port } = server.httpServer.address();
    assert.equal(await printed(`http://localhost:${port}/`), writer.wasm.generate[0].text);
  } finally {
    await server.close();
  }
});
