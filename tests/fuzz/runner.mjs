// The process that takes one file after another, and what ends it.

import { fork } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

const WORKER = fileURLToPath(new URL("worker.mjs", import.meta.url));

/** What one file may take. */
const MAX_MS = 5000;
const MAX_BYTES = 2 ** 30;
/** A process that works for so long is ended; on a busy machine it may wait for longer. */
const HANG_MS = 10_000;
const WAIT_MS = 60_000;
const LOOK_MS = 100;
/** The stack is that of a page. */
const LIMITS = ["--max-old-space-size=1024", "--stack-size=984"];
const STDIO = ["ignore", "ignore", "pipe", "ipc"];

/**
 * A process that is replaced after it hung or crashed. It is none of the threads of this one because what the engine of
 * JavaScript cannot go on from ends all of them.
 */
export class Runner {
  /** `bundle` is the page's code, and in `stage` the process notes what it is about to do. */
  constructor(bundle, stage) {
    this.bundle = bundle;
    this.stage = stage;
    this.peak = 0;
    this.child = null;
  }

  async start() {
    this.child = fork(WORKER, [this.bundle, this.stage], { execArgv: LIMITS, serialization: "advanced", stdio: STDIO });
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
    outcome.fault ??= excess(outcome);
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
        failed(fault("hang", `no answer after ${HANG_MS} ms: ${this.doing()}`));
      }, LOOK_MS);
      child.on("message", end);
      child.on("close", (code, signal) => failed(this.crash(signal ?? `code ${code}`)));
      if (input) child.send(input);
    });
  }

  /** What the process was about to do last. */
  doing() {
    return existsSync(this.stage) ? readFileSync(this.stage, "utf8").trim() : "";
  }

  /** The end of the process by what it said. */
  crash(how) {
    const words = /(Fatal JavaScript .*|FATAL ERROR: .*|\w*Error: .*)/.exec(this.said)?.[1] ?? how;
    const frames = this.said.split("\n").filter((line) => /^\s*\d+: 0x/.test(line) && line.includes("v8::"));
    const stack = frames.slice(-4).map((line) => line.replace(/^\s*\d+: 0x[0-9a-f]+ /, "    at "));
    const kind = /out of memory|Allocation failed/.test(words) ? "memory" : "crash";
    return fault(kind, `${words}: ${this.doing()}`, stack.join("\n"));
  }
}

/** What a process has used so far, where the system says it. */
function usage(pid) {
  try {
    // Behind the name, which may hold spaces: ticks of 10 ms, and pages of 4 KiB.
    const [, rest] = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ");
    const fields = rest.split(" ").map(Number);
    return { ms: (fields[11] + fields[12]) * 10, rss: fields[21] * 4096 };
  } catch {
    return {};
  }
}

/** What a file took too much of. */
function excess({ ms, grown, longest }) {
  if (grown > MAX_BYTES) return fault("memory", `${mib(grown)} MiB more`);
  if (ms > MAX_MS) return fault("slow", `more than ${MAX_MS} ms: ${longest.what}`);
  return null;
}

const fault = (kind, message, stack = "") => ({ kind, message, stack });
export const mib = (bytes) => Math.round(bytes / 2 ** 20);
