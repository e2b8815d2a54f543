// The server that breaks on demand has to break exactly as told: node --test tests/browser/server.test.mjs

import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, before, beforeEach, test } from "node:test";
import { serve } from "./server.mjs";

const content = randomBytes(300_000);
let folder;
let server;

before(async () => {
  folder = mkdtempSync(path.join(tmpdir(), "gristmill-server-"));
  writeFileSync(path.join(folder, "a.bin"), content);
  writeFileSync(path.join(folder, "index.html"), "<!doctype html>");
  server = await serve(folder, { extra: { "more/page.html": "hello" } });
});
after(async () => {
  await server.close();
  rmSync(folder, { recursive: true });
});
beforeEach(() => server.reset());

const get = (name, headers = {}) => fetch(server.url + name, { headers });
const bytesOf = async (response) => Buffer.from(await response.arrayBuffer());
const hash = (bytes) => createHash("sha256").update(bytes).digest("hex");

test("sends files, isolated, and counts", async () => {
  const response = await get("a.bin");
  assert.equal(hash(await bytesOf(response)), hash(content));
  assert.equal(response.headers.get("cross-origin-embedder-policy"), "require-corp");
  assert.equal(await (await get("")).text(), "<!doctype html>");
  assert.equal(await (await get("more/page.html")).text(), "hello");
  assert.equal((await get("b.bin")).status, 404);
  assert.deepEqual(
    server.log.map(({ status }) => status),
    [200, 200, 200, 404],
  );
  assert.equal(server.requests(/a\.bin/).length, 1);
  assert.ok(server.bytes() >= content.length);
});

test("does not leave its folder", async () => {
  assert.equal((await get("%2e%2e/%2e%2e/etc/passwd")).status, 404);
  assert.equal((await get("..%2f..%2fetc%2fpasswd")).status, 404);
});

test("sends ranges", async () => {
  const middle = await get("a.bin", { range: "bytes=1000-1999" });
  assert.equal(middle.status, 206);
  assert.equal(middle.headers.get("content-range"), "bytes 1000-1999/300000");
  assert.deepEqual(await bytesOf(middle), content.subarray(1000, 2000));
  assert.deepEqual(await bytesOf(await get("a.bin", { range: "bytes=299990-" })), content.subarray(299_990));
  assert.deepEqual(await bytesOf(await get("a.bin", { range: "bytes=-10" })), content.subarray(299_990));
  assert.equal((await get("a.bin", { range: "bytes=300000-" })).status, 416);
});

test("cuts once, then sends the rest", async () => {
  server.faults.push({ path: /a\.bin/, cutAfter: 100_000, times: 1, until: server.asked("more/read") });
  let read = 0;
  await assert.rejects(async () => {
    for await (const chunk of (await get("a.bin")).body) {
      read += chunk.length;
      if (read === 100_000) await get("more/read");
    }
  });
  assert.equal(read, 100_000, "what was sent before the cut has arrived");
  const rest = await get("a.bin", { range: "bytes=100000-" });
  assert.deepEqual(await bytesOf(rest), content.subarray(100_000));
});

test("damages one byte, wherever a range begins", async () => {
  server.faults.push({ path: /a\.bin/, flip: 150_000 });
  const whole = await bytesOf(await get("a.bin"));
  const differs = [...whole.keys()].filter((at) => whole[at] !== content[at]);
  assert.deepEqual(differs, [150_000]);
  const part = await bytesOf(await get("a.bin", { range: "bytes=149999-150001" }));
  assert.notEqual(part[1], content[150_000]);
});

test("what is damaged is sent though the browser has the file", async () => {
  const { headers } = await get("a.bin");
  const known = { "if-none-match": headers.get("etag") };
  assert.equal((await get("a.bin", known)).status, 304);
  server.faults.push({ path: /a\.bin/, flip: 0 });
  assert.equal((await get("a.bin", known)).status, 200);
});

test("no two servers have the same address, nor one that is taken", async () => {
  const first = await serve(folder);
  await first.close();
  const other = createServer().listen(first.port + 1, "127.0.0.1");
  await once(other, "listening");
  const second = await serve(folder);
  assert.ok(second.port > first.port + 1, `${first.port}, then ${second.port}`);
  assert.equal((await fetch(second.url)).status, 200);
  await Promise.all([second.close(), new Promise((done) => other.close(done))]);
});

test("refuses, and is gone", async () => {
  server.faults.push({ path: /a\.bin/, status: 503, times: 1 });
  assert.equal((await get("a.bin")).status, 503);
  assert.equal((await get("a.bin")).status, 200);
  server.setOff(true);
  await assert.rejects(get("a.bin"));
  server.setOff(false);
  assert.equal((await get("a.bin")).status, 200);
});

test("adds headers, other types, and a script that comes first", async () => {
  const other = mkdtempSync(path.join(tmpdir(), "gristmill-server-"));
  mkdirSync(path.join(other, "runtime"));
  writeFileSync(path.join(other, "index.html"), '<script type="module" src="page.js"></script>');
  writeFileSync(path.join(other, "runtime/engine.js"), "work();");
  const extra = { "blank.html": "<script>blank()</script>" };
  const changed = await serve(other, { extra, headers: { "content-security-policy": "none" }, first: "first();" });
  try {
    const text = async (name) => (await fetch(changed.url + name)).text();
    assert.match(await text(""), /^<script src="test\/first\.js"><\/script><script type="module"/);
    assert.match(await text("blank.html"), /^<script src="test\/first\.js"><\/script><script>blank/);
    assert.equal(await text("runtime/engine.js"), 'import "../test/first.js";work();');
    assert.equal(await text("test/first.js"), "first();");
    changed.faults.push({ path: /engine/, type: "text/html", times: 1 });
    const response = await fetch(`${changed.url}runtime/engine.js`);
    assert.equal(response.headers.get("content-type"), "text/html");
    assert.equal(response.headers.get("content-security-policy"), "none");
  } finally {
    await changed.close();
    rmSync(other, { recursive: true });
  }
});
