// wllama: llama.cpp as WebAssembly.

const BASE = "/nm/@wllama/wllama/esm/";

/** Loads a GGUF file. */
export async function load(job) {
  const { Wllama } = await import(`${BASE}index.js`);
  // What llama.cpp says is shown only if it fails.
  const log = [];
  const keep = (...words) => {
    log.push(words.join(" ").slice(0, 300));
    if (log.length > 30) log.shift();
  };
  const logger = { debug: keep, log: keep, warn: keep, error: keep };
  const engine = new Wllama({ default: `${BASE}wasm/wllama.wasm` }, { logger });
  const explain = (error) => {
    throw new Error(`${error}\n${log.join("\n")}`);
  };
  const blob = await (await fetch(`/models/${job.file}`)).blob();
  const sizes = { n_ctx: 768, n_batch: 512, n_ubatch: 512, n_parallel: 1 };
  await engine.loadModel([blob], { ...sizes, n_threads: job.threads, n_gpu_layers: 0, warmup: false }).catch(explain);

  /** Its prompts are texts; the models' tokenizer makes token 17 of `t000017`. */
  async function generate(ids, count, onToken) {
    let last;
    const prompt = Array.from(ids, (id) => `t${String(id).padStart(6, "0")}`).join("");
    const greedy = { temperature: 0, samplers: ["top_k"], top_k: 1, ignore_eos: true, cache_prompt: false };
    const onData = (data) => {
      last = data;
      if (data.choices?.length && data.choices[0].finish_reason == null) onToken();
    };
    const limit = { max_tokens: count, n_predict: count };
    await engine.createCompletion({ prompt, ...limit, ...greedy, stream: true, onData }).catch(explain);
    const timings = last?.timings;
    if (!timings) throw new Error("expected timings at the end, found none");
    if (timings.prompt_n !== ids.length || timings.predicted_n !== count) {
      const found = `${timings.prompt_n} and ${timings.predicted_n}`;
      throw new Error(`expected a prompt of ${ids.length} tokens and ${count} new ones, found ${found}`);
    }
    const own = { prefill: timings.prompt_per_second, decode: timings.predicted_per_second };
    return { tokens: { length: timings.predicted_n }, own };
  }

  const info = () => ({ version: Wllama.getLibllamaVersion(), threads: engine.getNumThreads() });
  return { generate, info, close: () => engine.exit() };
}
