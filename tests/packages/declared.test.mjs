// What the package says of itself: its fields, its files, and its types in all the ways in which TypeScript finds them.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { readFileSync, readdirSync, symlinkSync } from "node:fs";
import path from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";
import { HERE, HOME, INSTALLED, TARBALL, project } from "./package.mjs";

const run = promisify(execFile);

/** Runs a program that was installed here; its output is shown if it fails. */
async function passes(program, ...args) {
  const script = path.join(HERE, "node_modules", program);
  const told = ({ stdout, stderr }) => assert.fail(stdout + stderr);
  await run(process.execPath, [script, ...args], { cwd: HOME }).catch(told);
}

test("publint finds nothing", () => passes("publint/src/cli.js", "run", "--strict", TARBALL));

test("arethetypeswrong finds nothing that a package of modules can do better", () =>
  passes(
    "@arethetypeswrong/cli/dist/index.js",
    ...["--profile", "esm-only", "--no-color", TARBALL],
    // Scripts and WebAssembly that are copied, not imported.
    ...["--exclude-entrypoints", "./engine.js", "./template.js", "./gristmill_web_bg.wasm", "./package.json"],
  ));

test("the package has what it needs, and nothing of the page", () => {
  const files = readdirSync(INSTALLED, { recursive: true }).map((name) => name.replaceAll(path.sep, "/"));
  for (const name of files) assert.match(name, /^[\w./-]+$/, "names without spaces");
  const top = files.filter((name) => !name.startsWith("dist/types/"));
  const scripts = ["engine.js", "gristmill.js", "gristmill_web_bg.wasm", "template.js"];
  const dist = ["LICENSES.txt", ...scripts, "types"].map((name) => `dist/${name}`);
  assert.deepEqual(top.sort(), ["README.md", "dist", ...dist, "package.json"].sort());
  const { exports } = JSON.parse(readFileSync(path.join(INSTALLED, "package.json"), "utf8"));
  for (const target of Object.values(exports)) {
    for (const file of [target].flatMap((t) => (typeof t === "string" ? t : Object.values(t)))) {
      assert.ok(files.includes(file.slice(2)), `${file} is in the package`);
    }
  }
});

const PROGRAM = `
import { Model, GristmillError, type ImageSource, type AudioSource, type LoadOptions } from "gristmill";

const options: LoadOptions = { backend: "auto", baseUrl: "/parts/", onProgress: ({ phase }) => void phase };
export async function use(image: ImageSource, audio: AudioSource): Promise<string> {
  try {
    const model: Model = await Model.load(new URL("https://example.org/dist/"), options);
    const ids: number[] = await model.tokenizer.encode("Hello");
    const { logits } = await model.run("forward", { input_ids: [ids] });
    for await (const piece of model.generate([{ role: "user", content: [{ type: "image", image }] }])) void piece;
    const { text } = await model.transcribe(audio).result;
    return text + (logits?.shape.join() ?? "");
  } catch (e) {
    return e instanceof GristmillError ? e.code : "";
  }
}
// @ts-expect-error: no such option
void Model.load("/dist/", { workerURL: "x" });
`;
/** Where programs run, by what TypeScript knows of it. */
const PLACES = {
  page: { lib: ["ES2022", "DOM"], types: [] },
  worker: { lib: ["ES2022", "WebWorker"], types: [] },
  server: { lib: ["ES2022"], types: ["node"] },
};

for (const [moduleResolution, module] of [["nodenext", "nodenext"], ["node16", "node16"], ["bundler", "esnext"]]) {
  for (const [place, known] of Object.entries(PLACES)) {
    test(`types hold in a ${place}, with moduleResolution ${moduleResolution}`, async () => {
      const strict = { strict: true, exactOptionalPropertyTypes: true, noUncheckedIndexedAccess: true, noEmit: true };
      const compilerOptions = { ...strict, target: "ES2022", module, moduleResolution, skipLibCheck: false, ...known };
      const folder = project(`types-${place}-${moduleResolution}`, {
        "package.json": '{ "type": "module" }',
        "program.ts": PROGRAM,
        "tsconfig.json": JSON.stringify({ compilerOptions, include: ["program.ts"] }),
      });
      symlinkSync(path.join(HERE, "node_modules"), path.join(folder, "node_modules"));
      await passes("typescript/bin/tsc", "--project", folder);
    });
  }
}
