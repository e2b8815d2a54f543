// Calls over real message ports.

import assert from "node:assert/strict";
import { after, test } from "node:test";
import { makeError } from "../ts/errors";
import { connect, serve, type Handlers, type Port } from "../ts/link";

interface Calls {
  add: { args: [number, number]; result: number };
  fail: { args: string; result: never };
  count: { args: number; result: string; event: number };
  wait: { args: null; result: string };
  bytes: { args: Uint8Array; result: Uint8Array };
  uncopyable: { args: null; result: () => void };
}

const handlers: Handlers<Calls> = {
  add: ([a, b]) => Promise.resolve(a + b),
  fail: (text) => Promise.reject(makeError("network", text, { file: "x", status: 404 })),
  async count(most, { emit, signal }) {
    for (let i = 0; i < most; i++) {
      if (signal.aborted) return `aborted at ${i}`;
      emit(i);
      if (i % 10 === 9) await new Promise((resolve) => setTimeout(resolve));
    }
    return "done";
  },
  wait: (_, { signal }) =>
    new Promise((resolve) => {
      if (signal.aborted) resolve("aborted");
      signal.addEventListener("abort", () => resolve("aborted"));
    }),
  bytes(content, { transfer }) {
    transfer([content.buffer as ArrayBuffer]);
    return Promise.resolve(content);
  },
  uncopyable: () => Promise.resolve(() => {}),
};

const open: MessageChannel[] = [];
after(() => {
  for (const channel of open) channel.port1.close();
});

function link() {
  const channel = new MessageChannel();
  open.push(channel);
  const stop = serve<Calls>(channel.port2 as unknown as Port, handlers);
  return { link: connect<Calls>(channel.port1 as unknown as Port), channel, stop };
}

test("results and errors come back as what they were", async () => {
  const { link: l } = link();
  assert.deepEqual(await Promise.all([l.call("add", [1, 2]), l.call("add", [3, 4])]), [3, 7]);
  const expected = { name: "NetworkError", code: "network", message: "gone", details: { file: "x", status: 404 } };
  await assert.rejects(l.call("fail", "gone"), expected);
  await assert.rejects(l.call("uncopyable", null), { code: "internal" });
  const unknown = l as unknown as { call(name: string, args: null): Promise<unknown> };
  await assert.rejects(unknown.call("toString", null), { message: /unknown call toString/ });
});

test("events come in order, before the result", async () => {
  const { link: l } = link();
  const events: number[] = [];
  assert.equal(await l.call("count", 25, { onEvent: (e) => void events.push(e) }), "done");
  assert.deepEqual(events, Array.from({ length: 25 }, (_, i) => i));
});

test("streams are ordered and end with the result", async () => {
  const { link: l } = link();
  const stream = l.stream("count", 25);
  const events: number[] = [];
  for await (const e of stream) {
    events.push(e);
    if (e === 3) await new Promise((resolve) => setTimeout(resolve, 20));
  }
  assert.deepEqual(events, Array.from({ length: 25 }, (_, i) => i));
  assert.equal(await stream.result, "done");
  const failing = l.stream("fail", "gone");
  await assert.rejects(async () => {
    for await (const _ of failing) assert.fail();
  }, { code: "network" });
});

test("leaving a stream aborts its call", async () => {
  const { link: l } = link();
  const stream = l.stream("count", 1e6);
  for await (const e of stream) if (e === 15) break;
  assert.match(await stream.result, /^aborted at/);
});

test("aborts reach the handler, also those from before the call", async () => {
  const { link: l } = link();
  const stop = new AbortController();
  const waiting = l.call("wait", null, { signal: stop.signal });
  setTimeout(() => stop.abort(), 5);
  assert.equal(await waiting, "aborted");
  assert.equal(await l.call("wait", null, { signal: AbortSignal.abort() }), "aborted");
  const stream = l.stream("wait", null, { signal: AbortSignal.abort() });
  assert.equal(await stream.result, "aborted");
});

test("bytes are handed over, not copied", async () => {
  const { link: l } = link();
  const content = new Uint8Array([1, 2, 3]);
  const back = await l.call("bytes", content, { transfer: [content.buffer] });
  assert.equal(content.length, 0);
  assert.deepEqual([...back], [1, 2, 3]);
});

test("when the other end dies everything pending rejects, and later calls too", async () => {
  for (const [type, init, message] of [
    ["error", { message: "boom" }, /worker failed: boom/],
    ["error", {}, /could not be loaded/],
    ["messageerror", {}, /could not be read/],
  ] as const) {
    const { link: l, channel } = link();
    const pending = l.call("wait", null);
    const stream = l.stream("wait", null);
    channel.port1.dispatchEvent(Object.assign(new Event(type), init));
    await assert.rejects(pending, { code: "internal", message });
    await assert.rejects(stream.result, { message });
    await assert.rejects(l.call("add", [1, 2]), { message });
  }
  const { link: l, channel } = link();
  const pending = l.call("wait", null);
  channel.port2.close();
  await assert.rejects(pending, { message: /has ended/ });
});

test("an end that does not respond is given up, but only after an abort", async () => {
  const channel = new MessageChannel();
  open.push(channel);
  let given = 0;
  const l = connect<Calls>(channel.port1 as unknown as Port, () => void given++, 30);
  const stop = new AbortController();
  const [stopped, other] = [l.call("wait", null, { signal: stop.signal }), l.call("wait", null)];
  await new Promise((resolve) => setTimeout(resolve, 60));
  stop.abort();
  for (const call of [stopped, other]) await assert.rejects(call, { code: "aborted", message: /within 0.03 s/ });
  await assert.rejects(l.call("add", [1, 2]), { code: "aborted" });
  assert.equal(given, 1);
});

test("an end that responds may take its time", async () => {
  const channel = new MessageChannel();
  open.push(channel);
  const slow: Handlers<Calls> = { ...handlers, wait: () => new Promise((resolve) => setTimeout(resolve, 90, "late")) };
  serve<Calls>(channel.port2 as unknown as Port, slow);
  const l = connect<Calls>(channel.port1 as unknown as Port, () => assert.fail("it was given up"), 30);
  assert.equal(await l.call("wait", null, { signal: AbortSignal.abort() }), "late");
});

test("a closed link rejects with the reason given", async () => {
  const { link: l, stop } = link();
  const pending = l.call("wait", null);
  l.close(makeError("aborted", "disposed"));
  await assert.rejects(pending, { name: "AbortError", message: "disposed" });
  stop();
});

test("a stream is left at once while nothing comes, and its call is aborted", async () => {
  const { link: l } = link();
  const stream = l.stream("wait", null);
  const iterator = stream[Symbol.asyncIterator]();
  const next = iterator.next();
  await iterator.return?.();
  assert.deepEqual(await next, { value: undefined, done: true });
  assert.equal(await stream.result, "aborted");
});
