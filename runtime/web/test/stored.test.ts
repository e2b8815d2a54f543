// What a store has of bundles, told by their manifests.

import assert from "node:assert/strict";
import { test } from "node:test";
import { openSource } from "../ts/load/source";
import { deleteStored, describe, storedBundles } from "../ts/stored";
import { memoryStore } from "./memory_store";

const utf8 = (text: string): Uint8Array<ArrayBuffer> => new TextEncoder().encode(text);
const key = (digit: string): string => digit.repeat(64);
const BASE = new URL("https://models.example/");

/** A manifest of shards with these sizes, by a digit that their hashes consist of. */
function manifestOf(name: string, shards: Record<string, number>): Uint8Array<ArrayBuffer> {
  const model = { name, architecture: "a", precision: "text", parameters: 7 };
  const listed = Object.entries(shards).map(([digit, bytes]) => ({ sha256: key(digit), bytes }));
  const tensors = [{ precision: "q4.g32", bytes: 90 }, { precision: "f32", bytes: 10 }, { precision: "q4.g32", bytes: 1 }];
  const files = { "tokenizer.json": { sha256: key("e"), bytes: 5 }, "graph.json": { sha256: key("f"), bytes: 8 } };
  return utf8(JSON.stringify({ model, tensors, shards: listed, files }));
}

/** A store that has seen these bundles. */
async function seen(bundles: Record<string, Record<string, number>>) {
  const store = memoryStore();
  for (const [name, shards] of Object.entries(bundles)) {
    const manifest = manifestOf(name, shards);
    const answer = (): Promise<Response> => Promise.resolve(new Response(manifest));
    const source = openSource({ base: new URL(`${name}/`, BASE), store, fetch: answer });
    await source.manifest();
    await source.settled();
  }
  return store;
}

test("a bundle is described by its manifest and what is stored of it", async () => {
  const store = await seen({});
  const before = await describe(manifestOf("one", { a: 100, b: 50 }), "id", store);
  assert.equal(before.downloadBytes, 155, "weights and tokenizer, and nothing else");
  assert.equal(before.storedBytes, 0);
  assert.deepEqual(before.formats, { "q4.g32": 91, f32: 10 });
  await store.put(key("a"), new Uint8Array(100));
  await store.put(key("f"), new Uint8Array(8));
  // Parts of a file that was not fetched to its end count, but not more than the file has.
  await store.put(`${key("b")}-0`, new Uint8Array(20));
  assert.equal((await describe(manifestOf("one", { a: 100, b: 50 }), "id", store)).storedBytes, 120);
  await store.put(`${key("b")}-1`, new Uint8Array(40));
  assert.equal((await describe(manifestOf("one", { a: 100, b: 50 }), "id", store)).storedBytes, 150);
  assert.equal((await describe(manifestOf("one", { a: 100 }), "id", null)).storedBytes, 0);
  const twice = manifestOf("one", { a: 100, e: 5 });
  assert.equal((await describe(twice, "id", null)).downloadBytes, 105, "equal contents are one file");
});

test("what is no manifest is refused", async () => {
  for (const text of ["", "[]", "{}", '{"model": {}}']) {
    await assert.rejects(describe(utf8(text), "id", null), { code: "bundle", details: { file: "manifest.json" } });
  }
});

test("deleting a bundle keeps what others consist of", async () => {
  const store = await seen({ one: { a: 100, b: 50 }, two: { b: 50, c: 70 }, unused: { d: 9 } });
  for (const [digit, bytes] of Object.entries({ a: 100, b: 50, c: 70, 9: 1000 })) {
    await store.put(key(digit), new Uint8Array(bytes));
  }
  await store.put(`${key("9")}-0`, new Uint8Array(11));
  await store.put("choice-x", new Uint8Array(3));
  const all = await storedBundles(store);
  const [one, two, others] = ["one", "two", ""].map((name) => all.find((bundle) => bundle.name === name));
  assert.equal(all.length, 3, "a bundle of which only the manifest is stored is not told");
  assert.ok(one && two && others);
  assert.deepEqual([one.sharedBytes, two.sharedBytes], [50, 50]);
  assert.equal(others.bytes, 1011, "files that no manifest lists");
  const manifestBytes = one.bytes - 150;
  assert.equal(await deleteStored(store, one.id), 100 + manifestBytes);
  assert.ok(!store.contents.has(key("a")) && store.contents.has(key("b")));
  assert.equal(await deleteStored(store, others.id), 1011);
  const [left, ...more] = await storedBundles(store);
  assert.deepEqual(more, []);
  assert.equal(left?.name, "two");
  assert.equal(left.sharedBytes, 0);
  assert.equal(await deleteStored(store, "unknown"), 0);
  await deleteStored(store, null);
  assert.equal(store.contents.size, 0);
});
