// On adapters with low limits the steps that exceed them run by WebAssembly, and what comes out stays the same.

import { compare } from "./tensors.mjs";

/** Loads a bundle under one limit, and checks that steps are offloaded. */
async function limited(t, bundle, name, options = {}) {
  const limit = bundle.limits[name];
  const { page, server, loaded } = await t.loaded(bundle, { ...options, limits: { [name]: limit } });
  const { backend, adapter, cpu, offloaded } = loaded.info;
  t.assert.equal(backend, "webgpu");
  t.assert.equal(adapter.limits[name], limit);
  t.assert.ok(offloaded.length > 0, "steps are offloaded");
  for (const line of offloaded) t.assert.ok(line.includes("WebAssembly") && line.includes(String(limit)), line);
  t.assert.ok(cpu.threads >= 1);
  const modules = server.requests(/^wasm\//).map((request) => request.path);
  t.assert.equal(modules.length, 1, "one module");
  t.assert.ok(modules[0].startsWith("wasm/fallbacks."), modules[0]);
  return { page, server, offloaded };
}

export default [
  {
    name: "what exceeds a limit runs by WebAssembly: tensors",
    timeout: 600_000,
    async run(t) {
      const bundles = t.bundles.filter(({ run, limits }) => run.length > 0 && limits);
      t.assert.ok(bundles.length > 0, "no bundle has limits and expected outputs; make the bundles again");
      for (const bundle of bundles) {
        for (const name of Object.keys(bundle.limits)) {
          const { page, server, offloaded } = await limited(t, bundle, name);
          for (const run of bundle.run) {
            const found = t.ok(await t.call(page, "run", run.entry, run.inputs, run.options ?? {}));
            t.note(name, compare(t, `${bundle.name}, ${name}`, run, found).toExponential(1));
          }
          t.note(`${name} moves`, offloaded.length);
          t.ok(await t.call(page, "dispose"));
          await page.close();
          await server.close();
        }
      }
    },
  },
  {
    name: "what exceeds a limit runs by WebAssembly: text",
    timeout: 600_000,
    async run(t) {
      const [bundle] = t.bundles.filter(({ generate, limits }) => generate.length > 0 && limits);
      t.assert.ok(bundle, "no bundle has limits and expected texts; make the bundles again");
      for (const options of [{ threads: 1 }, { threads: 2 }, { worker: false }]) {
        const { page, server } = await limited(t, bundle, "maxStorageBufferBindingSize", options);
        // A long text moves the caches, a short one brings them back.
        for (const expected of [...bundle.generate, bundle.generate[0]]) {
          const load = { maxNewTokens: expected.maxNewTokens };
          const { result, memory } = t.ok(await t.call(page, "generate", expected.prompt, load));
          t.assert.deepEqual(result.tokens, expected.tokens, expected.name);
          t.assert.ok(memory.states > 0 && memory.peak >= memory.total);
        }
        t.ok(await t.call(page, "dispose"));
        await page.close();
        await server.close();
      }
    },
  },
  {
    name: "a lost device is replaced with its kernels beside it",
    timeout: 600_000,
    async run(t) {
      const [bundle] = t.bundles.filter(({ generate, limits }) => generate.length > 0 && limits);
      const { page } = await limited(t, bundle, "maxStorageBufferBindingSize");
      const expected = bundle.generate.at(-1);
      const options = { maxNewTokens: expected.maxNewTokens, loseAt: [20] };
      const { result } = t.ok(await t.call(page, "generate", expected.prompt, options));
      t.assert.deepEqual(result.tokens, expected.tokens);
      t.assert.equal(result.recoveries, 1);
    },
  },
];
