// The package in Node.js, Bun and Deno: all of them load bundles from folders and from servers, in a worker or not, on one
// thread or several, and give what the native runtime gives.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { existsSync, symlinkSync } from "node:fs";
import path from "node:path";
import { after, before, test } from "node:test";
import { pathToFileURL } from "node:url";
import { promisify } from "node:util";
import { BUNDLES, readBundles, vector } from "../browser/bundles.mjs";
import { serve } from "../browser/server.mjs";
import { HERE, examples, project } from "./package.mjs";

const run = promisify(execFile);
/** Vectors by WebAssembly may differ by this much from the native ones. */
const TOLERANCE = 1e-2;
const node = (version) => path.join(HERE, `node_modules/node${version}-linux-x64/bin/node`);
/** Versions of Node.js from npm, which has them for one kind of machine only. */
const HAS_NODES = process.platform === "linux" && process.arch === "x64";
if (!HAS_NODES) console.warn("NOT TESTED here: Node.js 20.16 and 22, which npm has for Linux on x64 only");
const SERVERS = {
  ...(HAS_NODES && { "Node.js 20.16": [node(20)], "Node.js 22": [node(22)] }),
  "this Node.js": [process.execPath],
  Bun: [path.join(HERE, "node_modules/.bin/bun")],
  // What a model needs of Deno: files, a server, and the number of cores.
  Deno: [path.join(HERE, "node_modules/.bin/deno"), "run", "--allow-read", "--allow-net=127.0.0.1", "--allow-sys=cpus"],
};

const bundles = new Map(readBundles(BUNDLES).map((bundle) => [bundle.name, { ...bundle, ...bundle.wasm }]));
const [writer, chats, embedder] = ["stories260K", "chat", "embedder"].map((name) => bundles.get(name));
let server;
before(async () => (server = await serve(embedder.folder)));
after(() => server.close());

/** Runs in all of them: does tasks one after the other, and prints what came of each. */
const USE = `
import { Model } from "gristmill";
const found = [];
for (const { url, options, prompt, maxNewTokens, texts } of JSON.parse(process.argv[2])) {
  try {
    const model = await Model.load(url, { backend: "wasm", ...options });
    const { cpu } = model.info();
    if (texts) found.push({ cpu, vectors: (await model.embed(texts)).map((v) => Array.from(v)) });
    else {
      let streamed = "";
      const stream = model.generate(prompt, { maxNewTokens });
      for await (const piece of stream) streamed += piece;
      const { text, tokens } = await stream.result;
      const ids = await model.tokenizer.encode(text, { addSpecialTokens: false });
      found.push({ cpu, streamed, text, tokens, decoded: await model.tokenizer.decode(ids) });
    }
    await model.dispose();
  } catch ({ name, code, message }) {
    found.push({ name, code, message });
  }
}
console.log(JSON.stringify(found));
`;

const folder = project("servers", { "use.mjs": USE, "example.mjs": examples().server });
symlinkSync(writer.folder, path.join(folder, "dist"));
const writes = ({ generate: [{ prompt, messages, tokens }] }) => ({ prompt: prompt ?? messages, maxNewTokens: tokens.length });
const wishes = embedder.embed.find(({ promptName }) => !promptName);
const TASKS = [
  { url: "dist", ...writes(writer) },
  { url: writer.folder, options: { threads: 2, worker: true }, ...writes(writer) },
  { url: pathToFileURL(writer.folder).href, options: { threads: 2, worker: false }, ...writes(writer) },
  { url: chats.folder, ...writes(chats) },
];

for (const [name, [program, ...args]] of Object.entries(SERVERS)) {
  test(`${name}: texts, vectors and errors`, async () => {
    assert.ok(existsSync(program), `${program} is missing: npm ci --prefix tests/packages`);
    const tasks = [...TASKS, { url: server.url, texts: wishes.texts }, { url: "nowhere" }];
    const { stdout } = await run(program, [...args, "use.mjs", JSON.stringify(tasks)], { cwd: folder });
    const found = JSON.parse(stdout);
    for (const [index, expected] of [writer, writer, writer, chats].entries()) {
      const [{ text, tokens }] = expected.generate;
      const { cpu, ...written } = found[index];
      assert.deepEqual(written, { streamed: text, text, tokens, decoded: text });
      assert.equal(cpu.threads, tasks[index].options?.threads ?? 1);
    }
    const [, , , , { vectors }, missing] = found;
    assert.equal(vectors.length, wishes.vectors.length);
    for (const [index, expected] of wishes.vectors.map(vector).entries()) {
      assert.equal(vectors[index].length, expected.length);
      expected.forEach((value, at) => assert.ok(Math.abs(value - vectors[index][at]) < TOLERANCE, `${index}, ${at}`));
    }
    assert.equal(missing.code, "network");
    assert.match(missing.message, /nowhere\/manifest\.json/);
  });

  test(`${name}: the example of the README`, async () => {
    const { stdout } = await run(program, [...args, "example.mjs"], { cwd: folder });
    const [{ text }] = writer.generate;
    assert.equal(stdout.trim(), text.trim());
  });
}
