// Weights into buffers of a device that watches what is mapped, and when.

import assert from "node:assert/strict";
import { test } from "node:test";
import { makeError } from "../ts/errors";
import type { FileRef, Source } from "../ts/load/contract";
import { loadWeights, type Piece, type WeightDevice, type WeightTensor } from "../ts/load/weights";
import { bytesOf, refOf } from "./server";

interface FakeBuffer {
  label: string;
  content: Uint8Array<ArrayBuffer>;
  state: "mapped" | "plain" | "destroyed";
}

/** A device that keeps what it was told. */
function fakeDevice() {
  const buffers: FakeBuffer[] = [];
  const device = { buffers, mostMapped: 0, writes: 0, failAt: "" };
  const make = async (label: string, bytes: number, state: FakeBuffer["state"]): Promise<GPUBuffer> => {
    await new Promise((resolve) => setTimeout(resolve));
    if (label === device.failAt) throw makeError("out-of-memory", "no memory", { what: label });
    const fake: FakeBuffer = { label, content: new Uint8Array(Math.ceil(bytes / 4) * 4 || 4), state };
    buffers.push(fake);
    device.mostMapped = Math.max(device.mostMapped, buffers.filter((b) => b.state === "mapped").length);
    return Object.assign(fake, {
      getMappedRange: () => {
        assert.equal(fake.state, "mapped", label);
        return fake.content.buffer;
      },
      unmap: () => {
        assert.equal(fake.state, "mapped", label);
        fake.state = "plain";
      },
      destroy: () => void (fake.state = "destroyed"),
    }) as unknown as GPUBuffer;
  };
  const weights: WeightDevice = {
    createMapped: (label, bytes) => make(label, bytes, "mapped"),
    create: (label, bytes) => make(label, bytes, "plain"),
    write: async (buffer, offset, content) => {
      await Promise.resolve();
      const fake = buffers.find((b) => b === (buffer as unknown as FakeBuffer));
      assert.ok(fake && fake.state === "plain" && offset % 4 === 0 && content.length % 4 === 0);
      fake.content.set(content, offset);
      device.writes += 1;
    },
  };
  return { device, weights };
}

/** A stream of tensors cut into shards. */
function stream(sizes: number[], shardBytes: number) {
  const contents = sizes.map((bytes, i) => bytesOf(bytes, i + 1));
  const all = new Uint8Array(Buffer.concat(contents));
  const shards: FileRef[] = [];
  const bytes: Uint8Array<ArrayBuffer>[] = [];
  const pieces: Piece[][] = [];
  for (let begin = 0; begin < all.length; begin += shardBytes) {
    const shard = all.slice(begin, begin + shardBytes);
    shards.push(refOf(`w${shards.length}`, shard));
    bytes.push(shard);
    const inside: Piece[] = [];
    let start = 0;
    for (const [tensor, size] of sizes.entries()) {
      const [from, to] = [Math.max(start, begin), Math.min(start + size, begin + shard.length)];
      if (from < to) inside.push({ tensor, offset: from - start, begin: from - begin, end: to - begin });
      start += size;
    }
    pieces.push(inside);
  }
  const tensors: WeightTensor[] = sizes.map((size, i) => ({ bytes: size, label: `t${i}` }));
  return { contents, shards, bytes, pieces, tensors };
}

/** A source that gives shards in any order, and counts how many are asked for at a time. */
function fakeSource(bytes: Uint8Array<ArrayBuffer>[], delay: (index: number) => number) {
  const state = { active: 0, most: 0, asked: [] as number[], failAt: -1 };
  const source: Source = {
    async file(ref, signal) {
      const index = Number(ref.path.slice(1));
      state.asked.push(index);
      state.active += 1;
      state.most = Math.max(state.most, state.active);
      await new Promise((resolve) => setTimeout(resolve, delay(index)));
      state.active -= 1;
      if (signal?.aborted) throw makeError("aborted", "aborted");
      if (index === state.failAt) throw makeError("integrity", "damaged", { file: ref.path });
      return bytes[index] ?? assert.fail();
    },
    manifest: () => assert.fail(),
    needs: () => {},
    settled: () => Promise.resolve(),
  };
  return { source, state };
}

const SIZES = [40, 400, 0, 16, 1200, 8, 64, 4];

test("tensors arrive whole, in whatever order the shards do", async () => {
  for (const shardBytes of [64, 100, 1000, 5000]) {
    const s = stream(SIZES, shardBytes);
    const { source, state } = fakeSource(s.bytes, (i) => (i * 7) % 5);
    const { device, weights } = fakeDevice();
    const loaded = await loadWeights({ ...s, source, device: weights, mapBytes: 1000, inFlight: 3 });
    for (const [i, buffer] of loaded.entries()) {
      const fake = device.buffers.find((b) => b.label === `t${i}`);
      assert.ok(fake && fake === (buffer as unknown as FakeBuffer));
      assert.deepEqual(fake.content.subarray(0, SIZES[i]), s.contents[i]);
    }
    assert.equal(device.buffers.length, SIZES.length);
    assert.ok(device.buffers.every((b) => b.state !== "destroyed"));
    assert.deepEqual(state.asked, s.shards.map((_, i) => i));
    assert.ok(state.most <= 3);
    assert.ok(device.writes > 0);
  }
});

test("buffers are unmapped as soon as they are complete", async () => {
  const s = stream(Array.from({ length: 40 }, () => 100), 100);
  const { source } = fakeSource(s.bytes, () => 1);
  const { device, weights } = fakeDevice();
  await loadWeights({ ...s, source, device: weights, inFlight: 2 });
  assert.ok(device.mostMapped <= 2, `${device.mostMapped}`);
  assert.ok(device.buffers.every((b) => b.state === "plain"));
});

test("the bytes in memory are bounded", async () => {
  const s = stream([4000], 100);
  for (const [inFlightBytes, most] of [[250, 2], [10, 1], [1e9, 4]] as const) {
    const { source, state } = fakeSource(s.bytes, () => 1);
    await loadWeights({ ...s, source, device: fakeDevice().weights, inFlightBytes });
    assert.equal(state.most, most);
  }
});

test("a model without weights has no buffers", async () => {
  const { source } = fakeSource([], () => 0);
  const { weights } = fakeDevice();
  assert.deepEqual(await loadWeights({ source, shards: [], pieces: [], tensors: [], device: weights }), []);
});

test("a failure leaves no buffer behind", async () => {
  const s = stream(SIZES, 64);
  const damaged = fakeSource(s.bytes, () => 1);
  damaged.state.failAt = 9;
  const one = fakeDevice();
  const work = loadWeights({ ...s, source: damaged.source, device: one.weights });
  await assert.rejects(work, { code: "integrity", details: { file: "w9" } });
  assert.ok(one.device.buffers.length > 0 && one.device.buffers.every((b) => b.state === "destroyed"));
  assert.ok(damaged.state.asked.length < s.shards.length);

  const two = fakeDevice();
  two.device.failAt = "t4";
  const { source } = fakeSource(s.bytes, () => 1);
  await assert.rejects(loadWeights({ ...s, source, device: two.weights }), { code: "out-of-memory" });
  assert.ok(two.device.buffers.length > 0 && two.device.buffers.every((b) => b.state === "destroyed"));
});

test("an abort leaves no buffer behind", async () => {
  const s = stream(SIZES, 64);
  const stop = new AbortController();
  const { source, state } = fakeSource(s.bytes, (i) => {
    if (i === 8) stop.abort();
    return 1;
  });
  const { device, weights } = fakeDevice();
  const work = loadWeights({ ...s, source, device: weights, signal: stop.signal });
  await assert.rejects(work, { name: "AbortError" });
  assert.ok(device.buffers.length > 0 && device.buffers.every((b) => b.state === "destroyed"));
  assert.equal(state.asked.length, 9);
  const none = loadWeights({ ...s, source, device: weights, signal: AbortSignal.abort() });
  await assert.rejects(none, { name: "AbortError" });
  assert.equal(state.asked.length, 9);
});

test("pieces that do not fit are refused before anything is fetched", async () => {
  const damage: [(pieces: Piece[][]) => void, RegExp][] = [
    [(p) => p.pop(), /expected pieces for/],
    [(p) => Object.assign(p[0]?.[0] ?? {}, { end: 65 }), /are not in w0/],
    [(p) => Object.assign(p[0]?.[0] ?? {}, { begin: -1 }), /are not in w0/],
    [(p) => Object.assign(p[0]?.[0] ?? {}, { tensor: 99 }), /are not in w0/],
    [(p) => Object.assign(p[0]?.[0] ?? {}, { offset: 4 }), /t0: expected bytes from 0, found bytes from 4/],
    [(p) => p[0]?.pop(), /t1: expected bytes from 0/],
    [(p) => p[p.length - 1]?.pop(), /t7: expected 4 bytes, found 0/],
  ];
  for (const [change, message] of damage) {
    const s = stream(SIZES, 64);
    change(s.pieces);
    const { source, state } = fakeSource(s.bytes, () => 0);
    const work = loadWeights({ ...s, source, device: fakeDevice().weights });
    await assert.rejects(work, { code: "bundle", message });
    assert.equal(state.asked.length, 0);
  }
});
