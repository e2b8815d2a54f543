// What the page makes of texts: reads lines of JSON with a folded `json` and `texts`, and prints the rows of each, as
// examples/tokenize.rs does for the native runtime. It takes what `npm ci` has put into runtime/web/node_modules.

import { createRequire } from "node:module";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

const web = fileURLToPath(new URL("../../runtime/web/", import.meta.url));
const { build } = createRequire(join(web, "package.json"))("esbuild");
const out = mkdtempSync(join(tmpdir(), "gristmill-tokenizer-"));
try {
  const outfile = join(out, "tokenizer.mjs");
  await build({ entryPoints: [join(web, "ts/text/tokenizer.ts")], outfile, bundle: true, format: "esm", logLevel: "warning" });
  const { makeTokenizer } = await import(pathToFileURL(outfile).href);
  for (const line of readFileSync(process.argv[2], "utf8").split("\n").filter(Boolean)) {
    const { json, texts } = JSON.parse(line);
    console.log(JSON.stringify(answer(makeTokenizer, json, texts)));
  }
} finally {
  rmSync(out, { recursive: true, force: true });
}

function answer(makeTokenizer, json, texts) {
  try {
    const tokenizer = makeTokenizer(json);
    const rows = texts.map((text) => {
      try {
        const ids = tokenizer.encode(text, true);
        return [ids, tokenizer.encode(text, false), tokenizer.decode(ids)];
      } catch (e) {
        return String(e.message);
      }
    });
    return { rows };
  } catch (e) {
    return { error: String(e.message) };
  }
}
