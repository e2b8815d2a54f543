// onnxruntime-web on WebAssembly.

const BASE = "/nm/onnxruntime-web/dist/";

/** Loads an ONNX model. */
export async function load(job) {
  const ort = await import(`${BASE}ort.wasm.min.mjs`);
  Object.assign(ort.env.wasm, { wasmPaths: BASE, numThreads: job.threads });
  ort.env.logLevel = "error";
  const bytes = new Uint8Array(await (await fetch(`/models/${job.file}`)).arrayBuffer());
  const options = { executionProviders: ["wasm"], graphOptimizationLevel: "all" };
  const session = await ort.InferenceSession.create(bytes, options);
  const int64 = (ids) => new ort.Tensor("int64", BigInt64Array.from(ids, BigInt), [1, ids.length]);
  const filled = (value, length) => int64(new Int32Array(length).fill(value));

  function emptyCache() {
    const { layers, kvHeads, head } = job.shape;
    const empty = () => new ort.Tensor("float32", new Float32Array(0), [1, kvHeads, 0, head]);
    const names = Array.from({ length: layers }, (_, i) => [`${i}.key`, `${i}.value`]).flat();
    return Object.fromEntries(names.map((name) => [name, empty()]));
  }

  async function generate(ids, count, onToken) {
    let cache = emptyCache();
    let next = ids;
    const tokens = [];
    for (let step = 0; step < count; step++) {
      const past = Object.entries(cache).map(([name, tensor]) => [`past_key_values.${name}`, tensor]);
      const mask = filled(1, ids.length + step);
      const feeds = { input_ids: int64(next), attention_mask: mask, ...Object.fromEntries(past) };
      const outputs = await session.run(feeds);
      cache = Object.fromEntries(Object.keys(cache).map((name) => [name, outputs[`present.${name}`]]));
      tokens.push(best(outputs.logits.data));
      next = [tokens.at(-1)];
      onToken();
    }
    return { tokens };
  }

  async function embed(ids) {
    const feeds = { input_ids: int64(ids), attention_mask: filled(1, ids.length) };
    const outputs = await session.run({ ...feeds, token_type_ids: filled(0, ids.length) });
    return pool(outputs.last_hidden_state.data, ids.length);
  }

  const info = () => ({ version: ort.env.versions.web, threads: ort.env.wasm.numThreads });
  return { generate, embed, info, close: () => session.release() };
}

function best(logits) {
  let at = 0;
  for (let i = 1; i < logits.length; i++) if (logits[i] > logits[at]) at = i;
  return at;
}

/** The mean of rows, at length 1. */
function pool(rows, count) {
  const width = rows.length / count;
  const vector = new Float32Array(width);
  for (let i = 0; i < rows.length; i++) vector[i % width] += rows[i];
  const length = Math.hypot(...vector);
  return vector.map((value) => value / length);
}
