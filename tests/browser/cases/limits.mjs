// What cannot fit is refused before it is downloaded.

const NAME = "a.tensor.too.large";
const MIB = 1 << 20;
/** More than any adapter binds at once. */
const BYTES = 6 * 1024 * MIB;
const SHARD = 32 * MIB;

/** The manifest of a bundle with one tensor more in its only component, and shards for it that are nowhere. */
function enlarge(manifest) {
  const stream = manifest.shards.reduce((sum, { bytes }) => sum + bytes, 0);
  const offset = Math.ceil(stream / 256) * 256;
  const shards = [...manifest.shards];
  for (let left = offset + BYTES - stream, index = 0; left > 0; left -= SHARD, index++) {
    shards.push({ sha256: index.toString(16).padStart(64, "0"), bytes: Math.min(left, SHARD) });
  }
  const tensor = { name: NAME, shape: [BYTES / 4], precision: "f32", offset, bytes: BYTES };
  const tensors = [...manifest.tensors, tensor];
  const [component] = manifest.components;
  const components = [{ ...component, tensors: tensors.length, shards: shards.length }];
  return { ...manifest, shards, tensors, components };
}

export default [
  {
    name: "a bundle that 32 bits cannot address is refused before the download",
    browsers: ["chromium-no-adapter", "firefox-no-webgpu", "webkit"],
    async run(t) {
      const bundle = t.bundle("generate");
      const manifest = JSON.stringify(enlarge(bundle.manifest));
      const server = await t.serve(bundle.folder, { extra: { "manifest.json": manifest } });
      const page = await t.blank(server);
      const error = t.failed(await t.call(page, "load"), "limit");
      t.assert.deepEqual(server.requests(/^(weights|wasm)\//), [], "neither weights nor kernels are asked for");
      t.assert.ok(error.details.needed >= BYTES && error.details.offered <= 2 ** 32, error.message);
      t.assert.match(error.message, /--precision/, "the message says what to do");
      t.note("message", error.message);
    },
  },
  {
    name: "a tensor that no buffer holds is refused before the download",
    async run(t) {
      const bundle = t.bundle("generate");
      const manifest = JSON.stringify(enlarge(bundle.manifest));
      const server = await t.serve(bundle.folder, { extra: { "manifest.json": manifest } });
      const page = await t.blank(server);
      const error = t.failed(await t.call(page, "load"), "limit");
      t.assert.equal(error.name, "LimitError");
      t.assert.deepEqual(server.requests(/^weights\//), [], "no weights are asked for");
      const { what, limit, needed, offered } = error.details;
      t.note("limit", `${limit} ${offered}`);
      t.assert.ok(what.includes(NAME), `details.what names the tensor, found ${what}`);
      const actual = await page.evaluate(async (name) => (await navigator.gpu.requestAdapter()).limits[name], limit);
      t.assert.match(limit, /^max(StorageBufferBinding|Buffer)Size$/);
      t.assert.deepEqual({ needed, offered }, { needed: BYTES, offered: actual });
      for (const part of [NAME, String(BYTES), String(offered)]) t.assert.ok(error.message.includes(part), part);
      t.assert.match(error.message, /--precision|another adapter/, "the message says what to do");
      t.note("message", error.message);
    },
  },
];
