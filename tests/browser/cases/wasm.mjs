// Models on the CPU: with all kinds of modules, on one thread and on several, and when kernels fail.

import { createHash } from "node:crypto";
import path from "node:path";

const WASM = ["chromium-no-adapter", "firefox-no-webgpu", "webkit"];
/** What the engine's WebAssembly has, so that a probe that finds less is found out. */
const RELAXED = { "chromium-no-adapter": true, "firefox-no-webgpu": true, webkit: false };
const promptOf = ({ prompt, messages }) => prompt ?? messages;

/**
 * A module like those of bundles: `serve` traps at once, `run` sleeps until it is woken and says that it was stopped.
 *
 *     (func (export "run") (param i32) (result i32)
 *       (drop (memory.atomic.wait32 (i32.add (local.get 0) (i32.const 128)) (i32.const 0) (i64.const -1)))
 *       (i32.const 1))
 *     (func (export "serve") (param i32 i32) unreachable)
 */
const SERVE_TRAPS =
  "AGFzbQEAAAABCwJgAX8Bf2ACf38AAhgBCWdyaXN0bWlsbAZtZW1vcnkCAwGAgAQDAwIAAQYNAn8AQYAIC38AQcAACwcrBAloZWFwX2Jhc2UDAA1z" +
  "Y3JhdGNoX2J5dGVzAwEDcnVuAAAFc2VydmUAAQoZAhMAIABBgAFqQQBCf/4BAgAaQQELAwAACw==";
/** The same, but `run` is `unreachable` and `serve` does nothing. */
const RUN_TRAPS =
  "AGFzbQEAAAABCwJgAX8Bf2ACf38AAhgBCWdyaXN0bWlsbAZtZW1vcnkCAwGAgAQDAwIAAQYNAn8AQYAIC38AQcAACwcrBAloZWFwX2Jhc2UDAA1z" +
  "Y3JhdGNoX2J5dGVzAwEDcnVuAAAFc2VydmUAAQoIAgMAAAsCAAs=";

/** Both at once: `run` sleeps, and `serve` does nothing. */
const SERVE_LEAVES =
  "AGFzbQEAAAABCwJgAX8Bf2ACf38AAhgBCWdyaXN0bWlsbAZtZW1vcnkCAwGAgAQDAwIAAQYNAn8AQYAIC38AQcAACwcrBAloZWFwX2Jhc2UDAA1z" +
  "Y3JhdGNoX2J5dGVzAwEDcnVuAAAFc2VydmUAAQoYAhMAIABBgAFqQQBCf/4BAgAaQQELAgAL";

/** Without threads: `run` is `(loop (br 0))`. */
const RUN_LOOPS =
  "AGFzbQEAAAABBgFgAX8BfwIYAQlncmlzdG1pbGwGbWVtb3J5AgEBgIAEAwIBAAYNAn8AQYAIC38AQcAACwcjAwNydW4AAAloZWFwX2Jhc2UDAA1zY3" +
  "JhdGNoX2J5dGVzAwEKCwEJAANADAALQQAL";

async function sameText(t, page, bundle) {
  const [expected] = bundle.generate;
  const options = { maxNewTokens: expected.tokens.length };
  const { result } = t.ok(await t.call(page, "generate", promptOf(expected), options));
  t.assert.deepEqual(result.tokens, expected.tokens);
}

/** The files that a server gives instead of those of a bundle, so that its kernels are another module. */
function withKernels({ manifest }, base64) {
  const content = Buffer.from(base64, "base64");
  const info = { sha256: createHash("sha256").update(content).digest("hex"), bytes: content.length };
  const files = Object.entries(manifest.files).map(([name, old]) => [name, /^wasm\//.test(name) ? info : old]);
  const changed = JSON.stringify({ ...manifest, files: Object.fromEntries(files) });
  const modules = Object.keys(manifest.files).filter((name) => /^wasm\//.test(name));
  return { "manifest.json": changed, ...Object.fromEntries(modules.map((name) => [name, content])) };
}

/** Kernels that fail are an error of the call, not a page that hangs; and so is every call after it. */
async function fails(t, base64, words) {
  const bundle = t.bundle("generate");
  const { page } = await t.loaded(bundle, { threads: 2 }, { extra: withKernels(bundle, base64) });
  for (let attempt = 0; attempt < 2; attempt++) {
    const error = t.failed(await t.call(page, "generate", promptOf(bundle.generate[0])), "internal");
    t.assert.match(error.message, words);
  }
}

export default [
  ...[true, false].flatMap((isolate) =>
    ["baseline", "relaxed"].map((simd) => ({
      name: `token ids with ${simd} SIMD, ${isolate ? "isolated" : "not isolated"}`,
      browsers: WASM,
      async run(t) {
        const bundle = t.bundle("generate");
        const server = await t.serve(bundle.folder, { isolate });
        const page = await t.blank(server);
        if (simd === "relaxed" && !RELAXED[t.kind]) {
          t.failed(await t.call(page, "load", { simd }), "unsupported");
          return;
        }
        for (const threads of isolate ? [1, 2, 3] : [2]) {
          const { info } = t.ok(await t.call(page, "load", { simd, threads }));
          const single = !isolate || threads === 1;
          t.assert.equal(info.backend, "wasm");
          t.assert.equal(info.cpu.threads, single ? 1 : threads);
          t.assert.equal(info.cpu.simd, simd);
          t.assert.equal(Boolean(info.cpu.single), single, "says why there is one thread");
          const file = `wasm/${simd}${single ? "" : ".threads"}.wasm`;
          const modules = server.requests(/^wasm\//).map((request) => request.path);
          t.assert.equal(modules.at(-1) ?? file, file);
          await sameText(t, page, bundle);
          t.ok(await t.call(page, "dispose"));
        }
      },
    })),
  ),
  {
    name: "only what the CPU needs is fetched",
    browsers: WASM,
    async run(t) {
      const bundle = t.bundle("generate");
      const { server, loaded } = await t.loaded(bundle, { backend: "auto" });
      const { backend, choice, adapter, profile, cpu } = loaded.info;
      t.assert.deepEqual({ backend, adapter, profile }, { backend: "wasm", adapter: null, profile: "wasm" });
      t.assert.equal(choice.asked, "auto");
      t.assert.match(choice.reason, /WebGPU/);
      t.note("cpu", cpu);
      t.assert.equal(cpu.simd, RELAXED[t.kind] ? "relaxed" : "baseline");
      t.assert.equal(server.requests(/^wasm\//).length, 1, "one module");
      t.assert.deepEqual(server.requests(/^shaders\//), []);
      const programs = server.requests(/^programs\//).map((request) => request.path);
      t.assert.deepEqual(programs, ["programs/wasm.json"]);
    },
  },
  {
    name: "in the page's main thread there is one thread",
    browsers: WASM,
    async run(t) {
      const bundle = t.bundle("generate");
      const { page, loaded } = await t.loaded(bundle, { worker: false });
      t.assert.equal(loaded.info.cpu.threads, 1);
      t.assert.match(loaded.info.cpu.single, /main thread/);
      await sameText(t, page, bundle);
      const [expected] = bundle.generate;
      const options = { maxNewTokens: 400, ignoreEos: true, abortAt: 3 };
      const { result } = t.ok(await t.call(page, "generate", promptOf(expected), options));
      t.assert.equal(result.reason, "aborted");
      t.assert.ok(result.tokens.length < 400, "it ended early");
    },
  },
  {
    name: "a trap in a thread is an error",
    browsers: WASM,
    run: (t) => fails(t, SERVE_TRAPS, /a kernel thread failed/),
  },
  {
    name: "a thread that leaves its work is an error",
    browsers: WASM,
    run: (t) => fails(t, SERVE_LEAVES, /it stopped working/),
  },
  // The other thread may be the first to notice.
  { name: "a trap in a run is an error", browsers: WASM, run: (t) => fails(t, RUN_TRAPS, /the kernels failed|a kernel thread failed/) },
  {
    name: "an abort ends kernels that never end",
    // Patience takes as long everywhere.
    browsers: ["chromium-no-adapter"],
    async run(t) {
      const bundle = t.bundle("generate");
      const { page } = await t.loaded(bundle, { threads: 1 }, { extra: withKernels(bundle, RUN_LOOPS) });
      const call = t.call(page, "generate", promptOf(bundle.generate[0]), { abortBusy: true });
      t.assert.match(t.failed(await call, "aborted").message, /did not respond within 20 s.*load it again/);
      t.failed(await t.call(page, "generate", promptOf(bundle.generate[0])), "aborted");
      t.ok(await t.call(page, "dispose"));
    },
  },
  {
    name: "a damaged module is refused",
    browsers: WASM,
    async run(t) {
      const bundle = t.bundle("generate");
      const server = await t.serve(bundle.folder);
      server.faults.push({ path: /^wasm\//, flip: 100 });
      const error = t.failed(await t.call(await t.blank(server), "load"), "integrity");
      t.assert.match(error.details.file, /^wasm\//);
      t.assert.deepEqual(server.requests(/^weights\//), [], "no weights are asked for");
    },
  },
  {
    name: "two models at once, each with its threads",
    browsers: WASM,
    async run(t) {
      const bundles = [t.bundle("generate"), t.bundle("embed")];
      const server = await t.serve(path.dirname(bundles[0].folder), { extra: { "empty.html": "<title>two</title>" } });
      const page = await t.page(`${server.url}empty.html`);
      const [expected] = bundles[0].generate;
      const names = bundles.map(({ name }) => name);
      const work = async (folders, prompt, maxNewTokens) => {
        const { Model } = await import(`/${folders[0]}/runtime/gristmill.js`);
        const load = (folder) => Model.load(`/${folder}/`, { threads: 2 });
        const [writer, embedder] = await Promise.all(folders.map(load));
        const [{ tokens }, [vector]] = await Promise.all([
          writer.generate(prompt, { maxNewTokens }).result,
          embedder.embed(["a tale"]),
        ]);
        await Promise.all([writer.dispose(), embedder.dispose()]);
        return { tokens, length: vector.length };
      };
      const found = await page.evaluate(work, names, promptOf(expected), expected.tokens.length);
      t.assert.deepEqual(found.tokens, expected.tokens);
      t.assert.ok(found.length > 0);
    },
  },
];
