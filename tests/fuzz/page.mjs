// Changed tokenizers and chat templates for the page's own code: the tokenizer in TypeScript, and the template engine as
// WebAssembly. Each must give a result or an error that names the file. It takes what `npm ci` has put into
// runtime/web/node_modules and what `cargo xtask web` has built.

import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { Random, seedOf } from "./random.mjs";
import { mib, Runner } from "./runner.mjs";
import { changeTemplate } from "./templates.mjs";
import { changeTokenizer } from "./tokenizers.mjs";

const HELP = `node tests/fuzz/page.mjs [--seconds 60] [--seed 1] [--only tokenizer|template] [CORPUS..]

Gives changed files to the page's tokenizer and template engine. First each file of the corpora as it is, so that
"--seconds 0 FILE" repeats a finding. A corpus is a file or a folder; what has "template" in its path or ends with .jinja
is a chat template, other .json files are tokenizers. Without any, those of the repository are taken.

  --seconds N   how long files are changed
  --seed N      the same changes again
  --only KIND   tokenizer or template
  --help        this text

Findings are written to target/fuzz/page: errors of other kinds than the page's own, files that take more than
5 s or 1 GiB, and crashes. The exit code is 1 if there are any.`;

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const WEB = join(ROOT, "runtime/web");
const OUT = join(ROOT, "target/fuzz/page");
const CORPORA = [
  "tests/fixtures/chat/templates",
  "tests/fixtures/sentences/tokenizer.json",
  "examples",
  "runtime/web/test/fixtures/tokenizers",
  "tests/fuzz/corpus/tokenizer",
  "tests/fuzz/corpus/template",
];
/** Where the process that takes files notes what it is about to do. */
const STAGE = join(ROOT, "target/fuzz/stage");
const TARGETS = ["tokenizer", "template"];

/** Larger files would take all the time for themselves. */
const MAX_FILE = 1 << 18;

/** Findings, each once: what they have in common is the message and the frame that it comes from. */
class Findings {
  constructor() {
    this.known = new Map();
    this.count = { tokenizer: 0, template: 0 };
  }

  add(input, fault) {
    const lines = framesOf(fault.stack);
    const key = [input.target, fault.kind, withoutData(fault.message), lines[0]].join("|");
    const known = this.known.get(key);
    if (known) {
      known.times += 1;
      return;
    }
    const name = nameOf(input, fault.kind);
    this.known.set(key, { name, times: 1 });
    this.count[input.target] += 1;
    mkdirSync(OUT, { recursive: true });
    writeFileSync(join(OUT, name), input.text);
    console.log(`\n${name}\n  from ${input.from}\n  ${fault.kind}: ${fault.message.slice(0, 300)}`);
    for (const line of lines) console.log(line);
  }
}

/** The first frames of a stack, without where the repository is. */
function framesOf(stack) {
  const frames = stack.split("\n").filter((line) => /^\s+at /.test(line));
  return frames.slice(0, 5).map((line) => line.replaceAll("file://", "").replaceAll(ROOT, ""));
}

/** A message without what differs from file to file. */
function withoutData(message) {
  const data = /["'`\/].*["'`\/]/gs;
  return message.replace(data, "..").replace(/\d+/g, "N").slice(0, 100);
}

function nameOf({ target, json, text }, kind) {
  const hash = createHash("sha256").update(text).digest("hex").slice(0, 12);
  return `${target}-${kind}-${hash}.${target === "tokenizer" || json ? "json" : "jinja"}`;
}

/** All files of a corpus. */
function filesOf(path) {
  if (!statSync(path).isDirectory()) return [path];
  return readdirSync(path)
    .sort()
    .flatMap((name) => filesOf(join(path, name)));
}

/** Whether a file of the repository's examples and corpora is one to change. */
function isInput(path) {
  const { size } = statSync(path);
  const named = path.includes("examples") ? basename(path) === "tokenizer.json" : !/\.(md|py)$/.test(path);
  return named && size <= MAX_FILE;
}

function readInput(path) {
  const isTemplate = /\.jinja$|template/.test(path.startsWith(ROOT) ? path.slice(ROOT.length) : path);
  const text = new TextDecoder().decode(readFileSync(path));
  const json = isTemplate && path.endsWith(".json");
  return { target: isTemplate ? "template" : "tokenizer", json, text, from: basename(path) };
}

function readCorpora(paths) {
  const given = paths.length > 0;
  const files = (given ? paths : CORPORA.map((path) => join(ROOT, path)).filter(existsSync)).flatMap(filesOf);
  const inputs = files.filter((path) => given || isInput(path)).map(readInput);
  return Object.fromEntries(TARGETS.map((target) => [target, inputs.filter((input) => input.target === target)]));
}

/** The file of an execution. */
function made(corpus, target, seed, execution) {
  const random = new Random(seedOf(seed, execution));
  const [one, other] = [random.pick(corpus), random.pick(corpus)];
  const from = `${one.from}, --seed ${seed}, execution ${execution}`;
  if (target === "template") return { target, from, ...changeTemplate(random, one, other) };
  return { target, from, json: false, text: changeTokenizer(random, one.text, other.text) };
}

/** The page's code as one file. */
async function bundled() {
  if (!existsSync(join(WEB, "pkg/template/module.js"))) throw new Error("there is no template engine: cargo xtask web");
  const { build } = createRequire(join(WEB, "package.json"))("esbuild");
  const contents = `export { loadText } from "./text/files"; export { GristmillError } from "./errors";`;
  const outfile = join(OUT, "../page.bundle.mjs");
  await build({
    stdin: { contents, resolveDir: join(WEB, "ts"), loader: "ts" },
    outfile,
    bundle: true,
    format: "esm",
    target: "node20",
    sourcemap: "inline",
    logLevel: "warning",
  });
  return outfile;
}

/** Runs a file and counts what became of it. */
async function execute(runner, input, row, findings) {
  let outcome = await runner.run(input);
  // Whatever else the machine had to do is no fault of the file.
  if (outcome.fault?.kind === "slow" || outcome.fault?.kind === "memory") outcome = await runner.run(input);
  row.executions += 1;
  if (outcome.accepted) row.accepted += 1;
  else if (!outcome.fault) row.refused += 1;
  row.slowest = Math.max(row.slowest, outcome.ms);
  if (outcome.fault) findings.add(input, outcome.fault);
}

async function fuzz({ seconds, seed, targets, corpora }) {
  const [runner, findings] = [new Runner(await bundled(), STAGE), new Findings()];
  const rows = targets.map((target) => ({ target, executions: 0, accepted: 0, refused: 0, slowest: 0, peak: 0 }));
  const one = async (row, input) => {
    runner.peak = 0;
    await execute(runner, input, row, findings);
    row.peak = Math.max(row.peak, runner.peak);
  };
  const began = performance.now();
  for (const row of rows) for (const input of corpora[row.target]) await one(row, input);
  for (let i = 0; performance.now() - began < seconds * 1000; i++) {
    const row = rows[i % rows.length];
    await one(row, made(corpora[row.target], row.target, seed, i));
  }
  await runner.stop();
  print(rows, findings, (performance.now() - began) / 1000);
  return rows.every(({ target }) => findings.count[target] === 0);
}

function print(rows, { count, known }, seconds) {
  if (known.size > 0) console.log("\nFindings, and how many files led to them:");
  for (const { name, times } of known.values()) console.log(`  ${name} ${times}`);
  console.log(
    "\n| target | executions | accepted | refused | findings | slowest ms | peak MiB |\n| --- " +
      "| --: ".repeat(6) +
      "|",
  );
  for (const { target, executions, accepted, refused, slowest, peak } of rows) {
    const cells = [target, executions, accepted, refused, count[target], Math.round(slowest), mib(peak)];
    console.log(`| ${cells.join(" | ")} |`);
  }
  const all = rows.reduce((sum, row) => sum + row.executions, 0);
  if (seconds > 0) console.log(`\n${(all / seconds).toFixed(0)} executions per second`);
}

function options() {
  const text = (value) => ({ type: "string", default: value });
  const { values, positionals } = parseArgs({
    options: { seconds: text("60"), seed: text("1"), only: { type: "string" }, help: { type: "boolean" } },
    allowPositionals: true,
  });
  if (values.help) return null;
  const [seconds, seed] = [Number(values.seconds), Number(values.seed)];
  if (!(seconds >= 0) || !Number.isInteger(seed)) throw new Error("--seconds and --seed are numbers");
  if (values.only !== undefined && !TARGETS.includes(values.only)) throw new Error("--only is tokenizer or template");
  const corpora = readCorpora(positionals);
  const targets = TARGETS.filter((t) => (values.only ?? t) === t && corpora[t].length > 0);
  if (targets.length === 0) throw new Error("there are no files to change");
  return { seconds, seed, targets, corpora };
}

try {
  const chosen = options();
  if (chosen === null) console.log(HELP);
  else process.exitCode = (await fuzz(chosen)) ? 0 : 1;
} catch (e) {
  console.error(`page.mjs: ${e.message}`);
  process.exitCode = 2;
}
