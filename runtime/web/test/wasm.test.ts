// Kernels in linear memory: modules that are not what they should be, memory that grows, runs that end badly.

import assert from "node:assert/strict";
import { test } from "node:test";
import { compare, estimate, recall, remember, verdictKey } from "../ts/choice";
import { makeError, type GristmillError } from "../ts/errors";
import { stopAll } from "../ts/wasm/control";
import { abilities, featuresOf, fitting } from "../ts/wasm/features";
import { KernelInstance } from "../ts/wasm/instance";
import { measureCpu } from "../ts/wasm/measure";
import { compileKernels, instantiate, leastPages, makeMemory } from "../ts/wasm/module";
import { noPool, type Pool } from "../ts/wasm/pool";
import { LONG_SPIN, spinTuner } from "../ts/wasm/spin";
import { memoryStore } from "./memory_store";

/**
 * `(import "gristmill" "memory" (memory 1 65536 shared))`, the globals `heap_base` (1024) and `scratch_bytes` (64), a
 * function `run` that is `unreachable`, and a function `serve`.
 */
const MODULE = Uint8Array.from(
  Buffer.from(
    "AGFzbQEAAAABCwJgAX8Bf2ACf38AAhgBCWdyaXN0bWlsbAZtZW1vcnkCAwGAgAQDAwIAAQYNAn8AQYAIC38AQcAACwcrBAloZWFwX2Jhc2UDAA1z" +
      "Y3JhdGNoX2J5dGVzAwEDcnVuAAAFc2VydmUAAQoIAgMAAAsCAAs=",
    "base64",
  ),
);
/** A module that imports and exports nothing. */
const EMPTY = Uint8Array.of(0, 97, 115, 109, 1, 0, 0, 0);

/** An instance whose kernels are a function. */
function instance(run: (control: number) => number, pool: Pool = noPool()): KernelInstance {
  const { memory, limit } = makeMemory(1, true);
  const exports = { heapBase: 1024, scratchBytes: 64, run };
  return new KernelInstance({ memory, exports, file: "kernels.wasm", pool, limit, cpu: { threads: 1, simd: "baseline" } });
}

test("the pages that a module wants are read from its bytes", () => {
  assert.equal(leastPages(MODULE), 1);
  const more = MODULE.slice();
  // The least number of pages is the byte in front of 65536.
  const at = more.findIndex((_, i) => more[i] === 0x03 && more[i + 1] === 1 && more[i + 2] === 0x80);
  more[at + 1] = 7;
  assert.equal(leastPages(more), 7);
  assert.equal(leastPages(EMPTY), 1);
});

test("a module is held against what it should export", async () => {
  const { memory } = makeMemory(leastPages(MODULE), true);
  const exports = await instantiate(await compileKernels(MODULE, "k.wasm"), memory, "k.wasm");
  assert.deepEqual([exports.heapBase, exports.scratchBytes], [1024, 64]);
  assert.throws(() => exports.run(0), WebAssembly.RuntimeError);

  await assert.rejects(compileKernels(MODULE.slice(0, 60), "k.wasm"), { code: "bundle", details: { file: "k.wasm" } });
  const empty = await compileKernels(EMPTY, "e.wasm");
  await assert.rejects(instantiate(empty, memory, "e.wasm"), { code: "bundle", message: /function `run`|heap_base/ });
  // Memory that is not shared does not fit a module for threads.
  const own = makeMemory(1, false).memory;
  await assert.rejects(instantiate(await compileKernels(MODULE, "k.wasm"), own, "k.wasm"), { code: "bundle" });
});

test("memory grows, and keeps what is in it", () => {
  for (const shared of [true, false]) {
    const { memory, limit } = makeMemory(1, shared);
    assert.ok(limit >= 256 * 65536);
    const exports = { heapBase: 0, scratchBytes: 0, run: () => 0 };
    const made = new KernelInstance({
      memory,
      exports,
      file: "kernels.wasm",
      pool: noPool(),
      limit,
      cpu: { threads: 1, simd: "baseline" },
    });
    made.write(65500, Uint8Array.of(1, 2, 3));
    made.grow(65536);
    assert.equal(made.size, 65536);
    made.grow(65537);
    assert.equal(made.size, 131072);
    made.copy(65500, 131069, 3);
    made.zero(65501, 1);
    const into = new Uint8Array(3);
    made.read(131069, into);
    assert.deepEqual([...into], [1, 2, 3]);
    made.read(65500, into);
    assert.deepEqual([...into], [1, 0, 3]);
    const details = { what: "linear memory", needed: 2 ** 33 };
    assert.throws(() => made.grow(2 ** 33), { code: "out-of-memory", details });
  }
});

test("a run that fails is the last one", async () => {
  let runs = 0;
  const made = instance(() => {
    runs += 1;
    throw new WebAssembly.RuntimeError("unreachable");
  });
  await assert.rejects(made.run(0), { code: "internal", message: /the kernels failed: unreachable/ });
  await assert.rejects(made.run(0), { code: "internal" });
  assert.equal(runs, 1);
  assert.equal(made.loss, null);
});

test("a thread that fails ends the run of the others with its reason", async () => {
  let fail: (error: GristmillError) => void = () => {};
  let closed = 0;
  const failed = new Promise<GristmillError>((resolve) => (fail = resolve));
  const pool: Pool = { size: 1, serve: () => {}, failed, close: () => void (closed += 1) };
  const made = instance(() => {
    // The news is on its way when the run ends.
    setTimeout(() => fail(makeError("internal", "a kernel thread failed: trap")), 5);
    return 1;
  }, pool);
  made.start(256);
  await assert.rejects(made.run(256), { code: "internal", message: /a kernel thread failed: trap/ });
  assert.ok(closed > 0);
});

test("stopping wakes who sleeps on either word", () => {
  const { memory } = makeMemory(1, true);
  const words = new Int32Array(memory.buffer);
  stopAll(memory, 512);
  assert.equal(words[(512 + 4) >> 2], 1);
  for (const offset of [0, 128]) assert.equal(words[(512 + offset) >> 2], 1, "whoever is about to sleep does not");
});

test("threads stop looking where it takes longer", () => {
  const spins = (longMs: number, shortMs: number): number[] => {
    const tuner = spinTuner();
    return Array.from({ length: 100 }, (_, i) => {
      // Two programs in turn; the other one is no measure for this.
      const spin = tuner.next(i % 2 === 0 ? 60 : 70);
      tuner.took((i % 2 === 0 ? 1 : 50) * (spin === LONG_SPIN ? longMs : shortMs));
      return spin;
    });
  };
  assert.ok(spins(10, 1).slice(20).every((spin) => spin < LONG_SPIN));
  const busy = spins(1, 1.2);
  assert.equal(busy.filter((spin) => spin < LONG_SPIN).length, 6, "three times for each program");
  assert.equal(busy.at(-1), LONG_SPIN);
});

test("runs let messages in now and then", async () => {
  const made = instance(() => 0);
  let fired = false;
  setTimeout(() => (fired = true), 1);
  const end = performance.now() + 2000;
  while (!fired && performance.now() < end) await made.run(0);
  assert.ok(fired);
});

test("an instance that is taken away is lost, one that is closed says so", async () => {
  const made = instance(() => 0);
  made.fail(makeError("device-lost", "taken away"));
  assert.equal(made.loss?.code, "device-lost");
  await assert.rejects(made.run(0), { code: "device-lost" });
});

test("abilities are found out", () => {
  const found = abilities({ threads: 3, simd: "baseline" });
  assert.equal(found.simd, true);
  assert.equal(found.relaxed, false);
  // In Node.js threads share memory without further ado.
  assert.equal(found.threads, 3);
  assert.equal(found.single, "");
  assert.match(abilities({ threads: 1, simd: "auto" }).single, /one thread was requested/);
  assert.deepEqual(featuresOf({ ...found, relaxed: true, threads: 2 }), ["relaxed-simd", "threads"]);
  assert.deepEqual(featuresOf({ ...found, threads: 1 }), []);
});

test("small models get few threads, unless the caller wants more", () => {
  const found = { simd: true, relaxed: true, threads: 8, single: "" };
  const auto = { threads: null, simd: "auto" } as const;
  const cost = (bytes: number, tokens: number | null) => ({ steps: 100, bytes, weights: bytes, tokens });
  assert.equal(fitting(found, auto, cost(300_000, 1)).threads, 1);
  assert.match(fitting(found, auto, cost(300_000, 1)).single, /small/);
  assert.equal(fitting(found, auto, cost(10_000_000, 1)).threads, 3);
  assert.equal(fitting(found, auto, cost(10_000_000, null)).threads, 8, "whole texts are more work");
  assert.equal(fitting(found, { ...auto, threads: 8 }, cost(300_000, 1)).threads, 8);
});

test("the CPU is measured", async () => {
  const { gflops, gbps } = await measureCpu();
  assert.ok(gflops > 0 && gbps > 0 && Number.isFinite(gflops) && Number.isFinite(gbps), `${gflops} ${gbps}`);
});

const PROCESSOR = { gflops: 12, gbps: 15 };
const FOUR = { threads: 4, simd: "relaxed" } as const;

test("small models run on the CPU, large ones on a GPU", () => {
  const laptop = { latencyMs: 0.4, dispatchMs: 0.01, gbps: 60, gflops: 800 };
  const encoder = { steps: 90, bytes: 23e6, weights: 11e6, tokens: null };
  const writer = { steps: 250, bytes: 600e6, weights: 1.1e9, tokens: 1 };
  const tiny = { steps: 60, bytes: 3e5, weights: 3e5, tokens: 1 };
  const side = (cost: typeof encoder | typeof writer): string =>
    compare(estimate(cost, laptop, PROCESSOR, FOUR)).backend;
  assert.equal(side(writer), "webgpu");
  assert.equal(side(tiny), "wasm");
  const slow = { ...laptop, dispatchMs: 0.2 };
  assert.equal(compare(estimate(encoder, slow, PROCESSOR, FOUR)).backend, "wasm");
  // Nothing is known but that results come late: texts that are taken at once wait for them.
  const blind = { latencyMs: 100, dispatchMs: NaN, gbps: NaN, gflops: NaN };
  assert.equal(compare(estimate(encoder, blind, PROCESSOR, FOUR)).backend, "wasm");
  assert.equal(compare(estimate(writer, blind, PROCESSOR, FOUR)).backend, "webgpu");
});

test("a verdict is remembered, and a damaged one is not believed", async () => {
  const store = memoryStore();
  const key = await verdictKey(["adapter", ["shard"]]);
  assert.notEqual(key, await verdictKey(["adapter", ["other"]]));
  assert.equal(await recall(store, key), null);
  const choice = compare({ webgpuMs: 9, wasmMs: 3 });
  assert.equal(choice.backend, "wasm");
  await remember(store, key, choice);
  assert.deepEqual(await recall(store, key), choice);
  for (const wrong of ["", "{}", "null", '{"webgpuMs": -1, "wasmMs": 1}', '{"webgpuMs": "1", "wasmMs": 1}']) {
    await store.put(key, new TextEncoder().encode(wrong));
    assert.equal(await recall(store, key), null, wrong);
  }
  assert.equal(await recall(null, key), null);
});
