// This project, by its public interface.

/** Loads a bundle, with the runtime that lies in it, or another one. */
export async function load(job) {
  const base = new URL(`/models/${job.file}`, location.href).href;
  const { Model } = await import(`${job.runtime ?? `${base}runtime/`}gristmill.js`);
  const model = await Model.load(base, { backend: "wasm", threads: job.threads, cache: false });

  const { cpu } = model.info();
  if (cpu?.threads !== job.threads) {
    throw new Error(`expected ${job.threads} threads, found ${cpu?.threads} (${cpu?.single})`);
  }

  /** The models' tokenizer makes token 17 of the word `t17`. */
  async function generate(ids, count, onToken) {
    const prompt = Array.from(ids, (id) => `t${id}`).join(" ");
    const stream = model.generate(prompt, { maxNewTokens: count, ignoreEos: true });
    for await (const _ of stream) onToken();
    const { tokens, promptTokens, prefillMs, decodeMs } = await stream.result;
    if (promptTokens !== ids.length) {
      throw new Error(`expected a prompt of ${ids.length} tokens, found ${promptTokens}`);
    }
    const own = { prefill: (promptTokens / prefillMs) * 1000, decode: ((tokens.length - 1) / decodeMs) * 1000 };
    return { tokens, own };
  }

  async function embed(ids) {
    const inputs = { input_ids: { data: Int32Array.from(ids), shape: [1, ids.length] } };
    return (await model.run("embed", inputs)).sentence_embedding.data;
  }

  function info() {
    const { version, backend, profile } = model.info();
    return { version, backend, profile, cpu };
  }

  return { generate, embed, info, close: () => model.dispose() };
}
