// Threads that the page starts for the worker that has the model, over a channel and a fake of what pages start.

import { ORIGIN } from "./page_scope";

import assert from "node:assert/strict";
import { after, test } from "node:test";
import type { Port } from "../ts/link";
import { openPool } from "../ts/wasm/pool";
import { hostThreads, startByOwner } from "../ts/wasm/threads";

/** Started threads. They answer as real ones do, or break. */
class FakeWorker extends EventTarget {
  static started: FakeWorker[] = [];
  static breaks = false;
  readonly got: string[] = [];
  ended = false;

  constructor() {
    super();
    FakeWorker.started.push(this);
  }

  postMessage(message: { kind: string }): void {
    this.got.push(message.kind);
    if (FakeWorker.breaks) this.dispatchEvent(Object.assign(new Event("error"), { message: "no script" }));
    else if (message.kind === "module") this.say({ kind: "ready" });
    else if (message.kind === "serve") this.say({ kind: "failed", message: "trap" });
  }

  say(data: object): void {
    this.dispatchEvent(new MessageEvent("message", { data }));
  }

  terminate(): void {
    this.ended = true;
  }
}

const { port1: page, port2: worker } = new MessageChannel();
page.start();
worker.start();
Object.assign(globalThis, { Worker: FakeWorker });
startByOwner(worker as unknown as Port);
const endAll = hostThreads(page as unknown as Port, `${ORIGIN}/engine.js`);
after(() => page.close());

const EMPTY = new WebAssembly.Module(Uint8Array.of(0, 97, 115, 109, 1, 0, 0, 0));
const memory = new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true });
const soon = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 20));

test("a pool is started, served and ended by the page", async () => {
  const pool = await openPool(EMPTY, memory, 2);
  assert.equal(pool.size, 2);
  assert.equal(FakeWorker.started.length, 2);
  pool.serve(256);
  assert.match((await pool.failed).message, /a kernel thread failed: trap/);
  await soon();
  for (const thread of FakeWorker.started) assert.deepEqual(thread.got, ["module", "serve"]);
  pool.close();
  pool.close();
  await soon();
  assert.ok(FakeWorker.started.every((thread) => thread.ended));
});

test("a thread whose script cannot be run is told of", async () => {
  FakeWorker.breaks = true;
  FakeWorker.started = [];
  await assert.rejects(openPool(EMPTY, memory, 1), /a kernel thread ended: no script/);
  await soon();
  assert.ok(FakeWorker.started.every((thread) => thread.ended), "none is left");
});

test("when the worker ends, so do its threads", async () => {
  FakeWorker.breaks = false;
  FakeWorker.started = [];
  await openPool(EMPTY, memory, 3);
  endAll();
  assert.deepEqual(
    FakeWorker.started.map((thread) => thread.ended),
    [true, true, true],
  );
});
