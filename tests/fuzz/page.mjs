// Changed tokenizers and chat templates for the page's own code: the tokenizer in TypeScript, and the template engine as
// WebAssembly. Each must give a result or an error that names the file. It takes what `npm ci` has put into
// runtime/web/node_modules and what `cargo xtask web` has built.

import { fork } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { Random, seedOf } from "./random.mjs";
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
${5} s or 1 GiB, and crashes. The exit code is 1 if there are any.`;

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
const WORKER = fileURLToPath(new URL("worker.mjs", import.meta.url));
/** Where the process notes what it is about to do. */
const STAGE = join(ROOT, "target/fuzz/stage");
const TARGETS = ["tokenizer", "template"];

/** What one file may take. */
const MAX_MS = 5000;
const MAX_BYTES = 2 ** 30;
/** A process that works for so long is ended; on a busy machine it may wait for longer. */
const HANG_MS = 10_000;
const WAIT_MS = 60_000;
const LOOK_MS = 100;
const LIMITS = ["--max-old-space-size=1024", "--stack-size=984"];
const STDIO = ["ignore", "ignore", "pipe", "ipc"];
/** Larger files would take all the time for themselves. */
const MAX_FILE = 1 << 18;

/**
 * A process that is replaced after it hung or crashed. It is none of the threads of this one because what the engine of
 * JavaScript cannot go on from ends all of them.
 */
class Runner {
  constructor(bundle) {
    this.bundle = bundle;
    this.peak = 0;
    this.child = null;
  }

  async start() {
    this.child = fork(WORKER, [this.bundle, STAGE], { execArgv: LIMITS, serialization: "advanced", stdio: STDIO });
    const { child } = this;
    this.said = "";
    child.stderr.on("data", (data) => (this.said = (this.said + data).slice(0, 4000)));
    const { fault } = await this.answer(null);
    if (fault) throw new Error(`the worker does not start: ${fault.message}`);
  }

  async stop() {
    const { child } = this;
    this.child = null;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const gone = new Promise((resolve) => child.once("exit", resolve));
    child.kill("SIGKILL");
    await gone;
  }

  /** What becomes of a file. */
  async run(input) {
    if (!this.child) await this.start();
    const outcome = await this.answer(input);
    this.peak = Math.max(this.peak, outcome.rss ?? 0);
    if (!outcome.fault && outcome.grown > MAX_BYTES) outcome.fault = fault("memory", `${mib(outcome.grown)} MiB more`);
    if (!outcome.fault && outcome.ms > MAX_MS) outcome.fault = fault("slow", `more than ${MAX_MS} ms`);
    // The engine of templates is of no use after a fault.
    if (outcome.fault) await this.stop();
    return outcome;
  }

  /** The answer to a message, or the end of the process. */
  answer(input) {
    const { child } = this;
    const began = performance.now();
    const { ms: before = 0 } = usage(child.pid);
    return new Promise((resolve) => {
      const end = (outcome) => {
        clearInterval(watch);
        for (const name of ["message", "close"]) child.removeAllListeners(name);
        resolve(outcome);
      };
      const failed = (why) => end({ fault: why, ms: performance.now() - began });
      const watch = setInterval(() => {
        const { rss = 0, ms = Infinity } = usage(child.pid);
        this.peak = Math.max(this.peak, rss);
        const waited = performance.now() - began;
        if (waited < HANG_MS || (waited < WAIT_MS && ms - before < HANG_MS)) return;
        failed(fault("hang", `no answer after ${HANG_MS} ms: ${readFileSync(STAGE, "utf8").trim()}`));
      }, LOOK_MS);
      child.on("message", end);
      child.on("close", (code, signal) => failed(crash(this.said, signal ?? `code ${code}`)));
      if (input) child.send(input);
    });
  }
}

/** What a process has used so far, where the system says it. */
function usage(pid) {
  try {
    const fields = readFileSync(`/proc/${pid}/stat`, "utf8")
      .replace(/^.*\) /, "")
      .split(" ")
      .map(Number);
    return { ms: (fields[11] + fields[12]) * 10, rss: fields[21] * 4096 };
  } catch {
    return {};
  }
}

/** The end of a process by what it said. */
function crash(said, how) {
  const words = /(Fatal JavaScript .*|FATAL ERROR: .*|\w*Error: .*)/.exec(said)?.[1] ?? how;
  const frames = said.split("\n").filter((line) => /^\s*\d+: 0x/.test(line) && line.includes("v8::"));
  const stack = frames.slice(-4).map((line) => line.replace(/^\s*\d+: 0x[0-9a-f]+ /, "    at "));
  const stage = readFileSync(STAGE, "utf8").trim();
  return fault(
    /out of memory|Allocation failed/.test(words) ? "memory" : "crash",
    `${words}: ${stage}`,
    stack.join("\n"),
  );
}

const fault = (kind, message, stack = "") => ({ kind, message, stack });
const mib = (bytes) => Math.round(bytes / 2 ** 20);

/** Findings, each once. */
class Findings {
  constructor() {
    this.known = new Set();
    this.count = { tokenizer: 0, template: 0 };
  }

  add(input, { kind, message, stack }) {
    // Frames of files of the page, without where they are on this machine.
    const frames = stack.split("\n").filter((line) => /^\s+at /.test(line));
    const lines = frames.slice(0, 5).map((line) => line.replace(/\(?(file:\/\/)?\/\S*?\/(runtime|tests)\//, "($2/"));
    // Numbers differ from file to file, and so do texts out of it.
    const same = message
      .replace(/["'`].*["'`]/gs, "..")
      .replace(/\d+/g, "N")
      .slice(0, 100);
    const key = [input.target, kind, same, lines[0]].join("|");
    if (this.known.has(key)) return;
    this.known.add(key);
    this.count[input.target] += 1;
    const hash = createHash("sha256").update(input.text).digest("hex").slice(0, 12);
    const path = join(
      OUT,
      `${input.target}-${kind}-${hash}.${input.target === "tokenizer" || input.json ? "json" : "jinja"}`,
    );
    mkdirSync(OUT, { recursive: true });
    writeFileSync(path, input.text);
    console.log(`\n${path.slice(ROOT.length)}\n  from ${input.from}\n  ${kind}: ${message.slice(0, 300)}`);
    for (const line of lines) console.log(line);
  }
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

function readCorpora(paths) {
  const given = paths.length > 0;
  const files = (given ? paths : CORPORA.map((path) => join(ROOT, path)).filter(existsSync)).flatMap(filesOf);
  const inputs = files
    .filter((path) => given || isInput(path))
    .map((path) => {
      const isTemplate = /\.jinja$|template/.test(path.startsWith(ROOT) ? path.slice(ROOT.length) : path);
      const text = new TextDecoder().decode(readFileSync(path));
      return {
        target: TARGETS[Number(isTemplate)],
        json: isTemplate && path.endsWith(".json"),
        text,
        from: basename(path),
      };
    });
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
  const [runner, findings] = [new Runner(await bundled()), new Findings()];
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

function print(rows, { count }, seconds) {
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
