// Compiles a model in Node.js with the module of `cargo xtask compiler`:
//
//     node compile.mjs MODEL OUT [OPTIONS]
//
// MODEL is a model directory or a GGUF file, OUT a directory that does not exist, OPTIONS the JSON of `CompileOptions`
// (`src/types.ts`). Prints JSON: the report as a text, and what was said meanwhile. What `gristmill compile` would refuse ends with its
// message on stderr.

import * as fs from "node:fs";
import * as path from "node:path";

const [model, out, options = "{}"] = process.argv.slice(2);
const pkg = new URL("../pkg/", import.meta.url);
const compiler = await import(new URL("gristmill_compiler_web.js", pkg));
compiler.initSync({ module: fs.readFileSync(new URL("gristmill_compiler_web_bg.wasm", pkg)) });

/** The result, or undefined if there is no such file. */
function ifThere(work) {
  try {
    return work();
  } catch (error) {
    if (error.code === "ENOENT" || error.code === "ENOTDIR") return undefined;
    throw error;
  }
}

/** The files of a model: whole directories are read in ranges, as everywhere. */
function modelFiles(model) {
  const whole = fs.statSync(model).isFile();
  const root = whole ? path.dirname(model) : model;
  const open = new Map();
  const at = (file) => path.join(root, file);
  const isFile = (file) => ifThere(() => fs.statSync(file))?.isFile() ?? false;
  return {
    name: root,
    file: whole ? path.basename(model) : undefined,
    list: (folder) => ifThere(() => fs.readdirSync(at(folder)).filter((name) => isFile(path.join(at(folder), name)))),
    size: (file) => ifThere(() => fs.statSync(at(file)).size),
    read(file, offset, length) {
      if (!open.has(file)) open.set(file, fs.openSync(at(file)));
      const bytes = new Uint8Array(length);
      return bytes.subarray(0, fs.readSync(open.get(file), bytes, 0, length, offset));
    },
  };
}

/** Writes a bundle, and notes the order of its files. */
function bundleFiles(out) {
  const order = [];
  const unfinished = path.join(out, "unfinished");
  const place = (file) => {
    order.push(file);
    fs.mkdirSync(path.dirname(path.join(out, file)), { recursive: true });
    return path.join(out, file);
  };
  fs.mkdirSync(out);
  return {
    order,
    add: (file, content) => fs.writeFileSync(place(file), content),
    append: (content) => fs.appendFileSync(unfinished, content),
    name: (file) => fs.renameSync(unfinished, place(file)),
  };
}

const said = { stages: [], warnings: [], notes: [], bytes: [0, 0] };
const progress = {
  stage: (name) => said.stages.push(name),
  bytes: (done, total) => (said.bytes = [done, total]),
  warning: (text) => said.warnings.push(text),
  note: (text) => said.notes.push(text),
};
const bundle = bundleFiles(out);
try {
  const begin = performance.now();
  const report = compiler.compile(modelFiles(model), bundle, options, progress);
  const milliseconds = performance.now() - begin;
  console.log(JSON.stringify({ report, ...said, order: bundle.order, milliseconds }));
} catch (error) {
  if (!(error instanceof Error)) throw new Error(`what is thrown is no Error: ${error}`);
  console.error(error.message);
  process.exit(1);
}
