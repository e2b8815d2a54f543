// Transcribes an audio file in a browser, with times of words: node tests/browser/speech.mjs BUNDLE FILE.wav
// [--browser chromium] [--backend wasm] [--timestamps word|segment|none] [--language en]. BUNDLE has the target of the backend,
// and runtime and page in it (`gristmill compile MODEL -o BUNDLE`). Prints what is said, a line for each word, and how long it
// took; not part of the tests, because models that understand speech are large.

import { readFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { launch } from "./browsers.mjs";
import { createContext } from "./context.mjs";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    browser: { type: "string", default: "chromium" },
    backend: { type: "string", default: "wasm" },
    timestamps: { type: "string", default: "word" },
    language: { type: "string" },
  },
});
const [folder, file] = positionals;
if (!folder || !file || positionals.length > 2) {
  console.error("usage: node tests/browser/speech.mjs BUNDLE FILE.wav [--browser KIND] [--backend wasm|webgpu]");
  process.exit(2);
}

const clock = (seconds) => seconds.toFixed(2).padStart(6);
const line = ({ start, end, text }) => console.log(`${clock(start)} ${clock(end)} ${text.trim()}`);

const browser = await launch(values.browser);
const t = createContext({ kind: values.browser, browser, bundles: [], out: "", name: "speech" });
try {
  const server = await t.serve(folder, { backend: values.backend, extra: { "test/speech.wav": readFileSync(file) } });
  const page = await t.blank(server);
  const loaded = t.ok(await t.call(page, "load", {}));
  console.error(`loaded in ${(loaded.ms / 1000).toFixed(1)} s; ${loaded.info.backend}, ${loaded.info.profile}`);
  const returnTimestamps = values.timestamps === "word" ? "word" : values.timestamps === "segment";
  const options = { returnTimestamps, ...(values.language && { language: values.language }) };
  const begin = performance.now();
  const { result } = t.ok(await t.call(page, "transcribe", "test/speech.wav", "blob", options));
  console.error(`transcribed in ${((performance.now() - begin) / 1000).toFixed(1)} s`);
  console.log(result.text);
  result.segments.forEach((segment) => (segment.words ?? [segment]).forEach(line));
} finally {
  await t.end();
  await browser.close();
}
