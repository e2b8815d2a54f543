// Files over real HTTP, with servers and connections that fail in all the ways they do.

import assert from "node:assert/strict";
import { after, beforeEach, test } from "node:test";
import type { Store } from "../ts/load/contract";
import { openSource, type SourceOptions } from "../ts/load/source";
import { memoryStore } from "./memory_store";
import { bytesOf, cut, good, partial, refOf, startServer, status, whole } from "./server";

const server = await startServer();
after(() => server.close());

const content = bytesOf(200_000);
const ref = refOf("weights/0.bin", content);

beforeEach(() => {
  server.files.clear();
  server.files.set(ref.path, content);
  server.answers.length = 0;
  server.seen.length = 0;
});

/** A source that counts, and does not wait long. */
function open(store: Store | null = null, more: Partial<SourceOptions> = {}) {
  const counted = { network: 0, cache: 0, backwards: 0 };
  const source = openSource({
    base: server.base,
    store,
    backoffMs: 1,
    onBytes: (delta, from) => {
      counted[from] += delta;
      if (delta < 0) counted.backwards -= delta;
    },
    ...more,
  });
  return { source, counted };
}

function ranges(): (string | undefined)[] {
  return server.seen.map((s) => s.range);
}

test("a file is fetched, counted and stored", async () => {
  const store = memoryStore();
  const { source, counted } = open(store);
  assert.deepEqual(await source.file(ref), content);
  await source.settled();
  assert.deepEqual(counted, { network: content.length, cache: 0, backwards: 0 });
  assert.deepEqual(store.contents.get(ref.sha256), new Uint8Array(content));
  const again = open(store);
  assert.deepEqual(await again.source.file(ref), content);
  assert.deepEqual(again.counted, { network: 0, cache: content.length, backwards: 0 });
  assert.equal(server.seen.length, 1);
});

test("damaged stored contents are fetched again and replaced", async () => {
  for (const damaged of [content.slice(0, 100), bytesOf(content.length, 2)]) {
    const store = memoryStore();
    store.contents.set(ref.sha256, damaged);
    const { source, counted } = open(store);
    assert.deepEqual(await source.file(ref), content);
    await source.settled();
    assert.equal(counted.cache, 0);
    assert.deepEqual(store.contents.get(ref.sha256), new Uint8Array(content));
  }
});

test("a broken connection is continued where it broke", async () => {
  server.answers.push(cut(content, 0, 70_000), status(503), cut(content, 70_000, 150_000));
  const { source, counted } = open();
  assert.deepEqual(await source.file(ref), content);
  assert.deepEqual(ranges(), [undefined, "bytes=70000-", "bytes=70000-", "bytes=150000-"]);
  assert.deepEqual(counted, { network: content.length, cache: 0, backwards: 0 });
});

test("a server without ranges sends all again, and no byte is counted twice", async () => {
  server.answers.push(cut(content, 0, 70_000), whole(content));
  const { source, counted } = open();
  assert.deepEqual(await source.file(ref), content);
  assert.deepEqual(counted, { network: content.length, cache: 0, backwards: 70_000 });
});

test("a range other than the one asked for is not used", async () => {
  const wrong = [`bytes 0-${content.length - 1}/${content.length}`, `bytes 70000-299999/300000`, "nonsense"];
  for (const claim of wrong) {
    server.seen.length = 0;
    server.answers.push(cut(content, 0, 70_000), (_, response) => partial(response, content, 70_000, claim));
    const { source, counted } = open();
    assert.deepEqual(await source.file(ref), content);
    assert.deepEqual(ranges(), [undefined, "bytes=70000-", undefined]);
    assert.equal(counted.network, content.length);
  }
});

test("an answer that ends early without an error is continued, too", async () => {
  server.answers.push((_, response) => void response.writeHead(200).end(content.subarray(0, 70_000)));
  const { source } = open();
  assert.deepEqual(await source.file(ref), content);
  assert.deepEqual(ranges(), [undefined, "bytes=70000-"]);
});

test("attempts without progress come to an end", async () => {
  server.answers.push(...Array.from({ length: 9 }, () => status(503)));
  const { source } = open(null, { retries: 4 });
  await assert.rejects(source.file(ref), { code: "network", details: { file: ref.path, status: 503 } });
  assert.equal(server.seen.length, 4);
  // Always from the start, always cut at the same place.
  server.seen.length = 0;
  server.answers.length = 0;
  server.answers.push(...Array.from({ length: 9 }, () => cut(content, 0, 70_000)));
  const expected = { code: "network", message: /weights\/0\.bin: the connection was lost after 70000/ };
  await assert.rejects(source.file(ref), expected);
  assert.ok(server.seen.length <= 6, `${server.seen.length} requests`);
});

test("progress allows further attempts", async () => {
  for (let at = 0; at < 200_000; at += 20_000) server.answers.push(cut(content, at, at + 20_000));
  server.answers.pop();
  const { source } = open(null, { retries: 2 });
  assert.deepEqual(await source.file(ref), content);
  assert.equal(server.seen.length, 10);
});

test("no network at all is an error with the file's name", async () => {
  const closed = await startServer();
  await closed.close();
  const { source } = open(null, { base: closed.base, retries: 2 });
  await assert.rejects(source.file(ref), { name: "NetworkError", details: { file: ref.path } });
});

test("a missing file is reported at once, with a remedy", async () => {
  server.files.clear();
  const { source } = open();
  const expected = { code: "network", details: { file: ref.path, status: 404 }, message: /upload the whole folder/ };
  await assert.rejects(source.file(ref), expected);
  assert.equal(server.seen.length, 1);
  await assert.rejects(source.file({ ...ref, path: "../x" }), { code: "bundle" });
});

test("wrong bytes are fetched once more past the browser's cache, then reported", async () => {
  const modes: (RequestCache | undefined)[] = [];
  const fetching: typeof fetch = (input, init) => {
    modes.push(init?.cache);
    return fetch(input, init);
  };
  server.answers.push(whole(bytesOf(content.length, 2)));
  const once = open(null, { fetch: fetching });
  assert.deepEqual(await once.source.file(ref), content);
  assert.deepEqual(modes, ["default", "reload"]);
  assert.deepEqual(once.counted, { network: content.length, cache: 0, backwards: content.length });

  const store = memoryStore();
  server.files.set(ref.path, bytesOf(content.length, 2));
  const always = open(store);
  await assert.rejects(always.source.file(ref), { name: "IntegrityError", details: { file: ref.path } });
  await always.source.settled();
  assert.equal(always.counted.network, 0);
  assert.equal(store.contents.size, 0);
});

test("a longer file is an integrity error", async () => {
  server.files.set(ref.path, bytesOf(content.length + 1));
  const { source, counted } = open();
  await assert.rejects(source.file(ref), { code: "integrity", message: /found more/, details: { file: ref.path } });
  assert.equal(server.seen.length, 2);
  assert.equal(counted.network, 0);
});

test("a shorter file does not hang", async () => {
  server.files.set(ref.path, content.slice(0, 1000));
  const { source } = open(null, { retries: 3 });
  await assert.rejects(source.file(ref), { code: "network", details: { file: ref.path } });
});

test("aborting ends a download at once, also while it waits", async () => {
  for (const answer of [
    cutNever(content, 1000),
    status(503, { "retry-after": "30" }),
    () => {}, // Never answers.
  ]) {
    const stop = new AbortController();
    server.answers.push(answer);
    const before = server.seen.length;
    const work = open().source.file(ref, stop.signal);
    while (server.seen.length === before) await new Promise((resolve) => setTimeout(resolve, 5));
    setTimeout(() => stop.abort(), 20);
    await assert.rejects(work, { name: "AbortError", code: "aborted" });
  }
  const stopped = AbortSignal.abort();
  const count = server.seen.length;
  await assert.rejects(open().source.file(ref, stopped), { code: "aborted" });
  assert.equal(server.seen.length, count);
});

test("a connection that brings nothing is given up and tried again", async () => {
  server.answers.push(cutNever(content, 70_000));
  const { source } = open(null, { stallMs: 200 });
  assert.deepEqual(await source.file(ref), content);
  assert.deepEqual(ranges(), [undefined, "bytes=70000-"]);
});

/** Sends some bytes and then nothing, without an end. */
function cutNever(body: Uint8Array, to: number): ReturnType<typeof good> {
  return (_, response) => {
    response.writeHead(200, { "content-length": body.length });
    response.write(body.subarray(0, to));
  };
}

test("empty files and odd names work", async () => {
  const empty = refOf("a b#?.txt", new Uint8Array());
  server.files.set("a%20b%23%3F.txt", new Uint8Array());
  assert.equal((await open().source.file(empty)).length, 0);
});

test("a store that writes slowly holds up further downloads", async () => {
  const store = memoryStore();
  let release = (): void => {};
  const gate = new Promise<void>((resolve) => (release = resolve));
  store.put = async () => (await gate, true);
  const big = bytesOf(1 << 20);
  const parts = Array.from({ length: 4 }, (_, i) => refOf(`big${i}`, big));
  for (const part of parts) server.files.set(part.path, big);
  const { source } = open(store, { waitingBytes: 2 << 20 });
  for (const part of parts.slice(0, 3)) await source.file(part);
  const last = source.file(parts[3] ?? ref);
  await new Promise((resolve) => setTimeout(resolve, 50));
  assert.equal(server.seen.length, 3);
  release();
  await last;
  await source.settled();
});

test("the manifest comes from the network, without network as last seen", async () => {
  const manifest = new TextEncoder().encode('{"version": 1}');
  server.files.set("manifest.json", manifest);
  const store = memoryStore();
  const { source } = open(store);
  server.answers.push(cut(manifest, 0, 5), status(500));
  assert.deepEqual(await source.manifest(), manifest);
  await source.settled();
  assert.equal(store.contents.size, 1);

  server.answers.push(status(500));
  assert.deepEqual(await open(store).source.manifest(), manifest);
  // The server's word counts.
  server.answers.push(status(404));
  const gone = { code: "network", details: { file: "manifest.json", status: 404 } };
  await assert.rejects(open(store).source.manifest(), gone);
  // A newer one replaces it.
  const newer = new TextEncoder().encode('{"version": 2}');
  server.files.set("manifest.json", newer);
  const later = open(store).source;
  assert.deepEqual(await later.manifest(), newer);
  await later.settled();
  const closed = (fetching: string): Promise<Response> => Promise.reject(new TypeError(fetching));
  const offline = open(store, { fetch: closed as typeof fetch });
  assert.deepEqual(await offline.source.manifest(), newer);
  // What was stored is not trusted blindly.
  for (const [key, value] of store.contents) store.contents.set(key, value.slice(0, -1));
  await assert.rejects(offline.source.manifest(), { code: "network" });
});

test("files that are needed are protected", () => {
  const store = memoryStore();
  open(store).source.needs([ref]);
  assert.deepEqual([...store.spared], [ref.sha256]);
});
