// What is kept of a download that was ended, and how the next one goes on from there.

import assert from "node:assert/strict";
import { after, beforeEach, test } from "node:test";
import { ownerOf } from "../ts/load/portions";
import { openSource } from "../ts/load/source";
import { memoryStore } from "./memory_store";
import { bytesOf, cut, partial, refOf, startServer, status, whole } from "./server";

const server = await startServer();
after(() => server.close());

const PART = 2 << 20;
const content = bytesOf(2 * PART + 1000);
const ref = refOf("weights/0.bin", content);

beforeEach(() => {
  server.files.clear();
  server.files.set(ref.path, content);
  server.answers.length = 0;
  server.seen.length = 0;
});

function open(store = memoryStore()) {
  const counted = { network: 0, cache: 0 };
  const onBytes = (delta: number, from: "network" | "cache"): void => void (counted[from] += delta);
  return { store, counted, source: openSource({ base: server.base, store, backoffMs: 1, retries: 1, onBytes }) };
}

const portionsIn = (store: ReturnType<typeof memoryStore>): [string, number][] =>
  [...store.contents].filter(([key]) => ownerOf(key) !== key).map(([key, part]) => [key.slice(65), part.length]);

/** A store with the first so many bytes, as a visit leaves them whose connection broke. */
async function interrupted(bytes: number) {
  const found = open();
  server.answers.push(cut(content, 0, bytes));
  await assert.rejects(found.source.file(ref), { code: "network" });
  await found.source.settled();
  server.seen.length = 0;
  return found.store;
}

test("what came before an error is kept, and the next visit fetches the rest", async () => {
  const store = await interrupted(PART + 500);
  assert.deepEqual(portionsIn(store), [["0", PART], ["1", 500]]);
  const { source, counted } = open(store);
  assert.deepEqual(await source.file(ref), content);
  await source.settled();
  assert.deepEqual(server.seen.map((s) => s.range), [`bytes=${PART + 500}-`]);
  assert.deepEqual(counted, { network: content.length - PART - 500, cache: PART + 500 });
  assert.deepEqual([...store.contents.keys()], [ref.sha256], "the parts went when the whole was there");
});

test("what came before an abort is kept by the time that all is settled", async () => {
  const { source, store } = open();
  const stop = new AbortController();
  server.answers.push((_, response) => {
    response.writeHead(200, { "content-length": content.length });
    response.write(content.subarray(0, 3000));
  });
  const loading = source.file(ref, stop.signal);
  while (server.seen.length === 0) await new Promise((resolve) => setTimeout(resolve, 5));
  await new Promise((resolve) => setTimeout(resolve, 50));
  stop.abort();
  await assert.rejects(loading, { code: "aborted" });
  await source.settled();
  assert.deepEqual(portionsIn(store), [["0", 3000]]);
});

test("parts are kept while the download goes on", async () => {
  const { source, store } = open();
  let goOn = (): void => {};
  server.answers.push((_, response) => {
    response.writeHead(200, { "content-length": content.length });
    response.write(content.subarray(0, PART + 10));
    goOn = () => response.end(content.subarray(PART + 10));
  });
  const loading = source.file(ref);
  while (portionsIn(store).length === 0) await new Promise((resolve) => setTimeout(resolve, 5));
  assert.ok((portionsIn(store)[0]?.[1] ?? 0) >= PART);
  goOn();
  assert.deepEqual(await loading, content);
});

test("a file that was there but for its last step needs no request", async () => {
  const store = memoryStore();
  for (let index = 0; index < 3; index++) {
    await store.put(`${ref.sha256}-${index}`, content.subarray(index * PART, (index + 1) * PART));
  }
  const { source } = open(store);
  assert.deepEqual(await source.file(ref), content);
  assert.equal(server.seen.length, 0);
});

test("a server that does not take ranges sends all again", async () => {
  const store = await interrupted(PART + 500);
  server.answers.push(whole(content));
  const { source, counted } = open(store);
  assert.deepEqual(await source.file(ref), content);
  assert.deepEqual(counted, { network: content.length, cache: 0 });
});

test("damaged parts are thrown away, and all is fetched again", async () => {
  const store = await interrupted(PART + 500);
  const part = store.contents.get(`${ref.sha256}-0`) ?? assert.fail();
  part[17] = (part[17] ?? 0) ^ 1;
  const { source, counted } = open(store);
  assert.deepEqual(await source.file(ref), content);
  await source.settled();
  assert.deepEqual(server.seen.map((s) => s.range), [`bytes=${PART + 500}-`, undefined]);
  assert.deepEqual(counted, { network: content.length, cache: 0 });
  assert.deepEqual(portionsIn(store), []);
});

test("parts of a wrong size are not used", async () => {
  const store = memoryStore();
  await store.put(`${ref.sha256}-0`, bytesOf(PART + 1));
  const { source } = open(store);
  assert.deepEqual(await source.file(ref), content);
  assert.deepEqual(server.seen.map((s) => s.range), [undefined]);
});

test("a file that changed on the server is an error, and leaves no parts", async () => {
  const store = await interrupted(PART);
  const other = bytesOf(content.length, 9);
  server.answers.push((_, response) => partial(response, other, PART), whole(other), whole(other));
  await assert.rejects(open(store).source.file(ref), { code: "integrity" });
  assert.deepEqual(portionsIn(store), []);
});

test("a store that takes nothing is not asked again and again", async () => {
  let asked = 0;
  const store = { ...memoryStore(), put: () => Promise.resolve(++asked < 0) };
  const { source } = open(store as ReturnType<typeof memoryStore>);
  server.answers.push(cut(content, 0, 2 * PART + 100), status(404));
  await assert.rejects(source.file(ref));
  assert.equal(asked, 1);
});
