// Asks a model one question in real browsers: node tests/browser/chat.mjs MODEL [--ask TEXT] [--system TEXT] [--tokens N]
// [--browser chromium-no-adapter,firefox-no-webgpu,webkit] [--gristmill PROGRAM] [--precision q8]. MODEL is a bundle, or
// whatever `gristmill compile` takes, such as a GGUF file. Prints what each browser says, greedily, and how fast. Run by
// hand: models that answer are too large for the tests. Exit code 1 if a browser fails, or they do not say the same.

import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { parseArgs } from "node:util";
import { launch } from "./browsers.mjs";
import { ROOT } from "./bundles.mjs";
import { createContext } from "./context.mjs";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    ask: { type: "string", default: "What is the capital of France?" },
    system: { type: "string" },
    tokens: { type: "string", default: "32" },
    browser: { type: "string", default: "chromium-no-adapter,firefox-no-webgpu,webkit" },
    gristmill: { type: "string", default: path.join(ROOT, "target/release/gristmill") },
    precision: { type: "string", default: "q8" },
  },
});

/** The bundle of a model: itself, or what is made of it in `folder`. */
function bundleOf(model, folder) {
  if (existsSync(path.join(model, "manifest.json"))) return model;
  const bundle = path.join(folder, "bundle");
  const args = ["compile", model, "-o", bundle, "--precision", values.precision, "--target", "chrome,firefox,safari,wasm"];
  execFileSync(values.gristmill, args, { stdio: "inherit" });
  return bundle;
}

/** What a browser answers. */
async function answer(kind, bundle, messages) {
  const browser = await launch(kind);
  const t = createContext({ kind, browser, bundles: [], out: tmpdir(), name: "chat" });
  try {
    const server = await t.serve(bundle);
    const page = await t.blank(server);
    const { ms } = t.ok(await t.call(page, "load"));
    const begin = performance.now();
    const { result } = t.ok(await t.call(page, "generate", messages, { maxNewTokens: Number(values.tokens) }));
    const perSecond = (1000 * result.tokens.length) / (performance.now() - begin);
    const speed = `loaded in ${(ms / 1000).toFixed(1)} s, ${perSecond.toFixed(1)} tokens/s with the prompt, by ${t.backend}`;
    console.log(`${kind} (${browser.version}; ${speed}):\n  ${result.text.trim().replaceAll("\n", "\n  ")}`);
    return result.text;
  } finally {
    await t.end();
    await browser.close();
  }
}

async function main() {
  const [model] = positionals;
  if (positionals.length !== 1) throw new Error("usage: chat.mjs MODEL [--ask TEXT], see the file's first lines");
  const folder = mkdtempSync(path.join(tmpdir(), "gristmill-chat-"));
  try {
    const bundle = bundleOf(model, folder);
    const system = values.system ? [{ role: "system", content: values.system }] : [];
    const texts = [];
    for (const kind of values.browser.split(",")) {
      texts.push(await answer(kind, bundle, [...system, { role: "user", content: values.ask }]));
    }
    const same = new Set(texts).size === 1;
    console.log(same ? "all say the same" : "they do not say the same");
    return same ? 0 : 1;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

process.exitCode = await main().catch((error) => {
  console.error(error.message);
  return 1;
});
