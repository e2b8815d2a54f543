// Stands in for the runtime where only the page is looked at: same interface, no model, no device. What it pretends to
// be is read from the page's address: ?task=chat&state=...&answer=...; nothing of this is ever part of a bundle.

const params = new URLSearchParams(location.search);
/** Tokens of the context, of which each word is one. */
const CONTEXT = Number(params.get("context") ?? 2048);
/** How many texts still fail: `?fail=2`, with `&early` before their first word. */
let failures = Number(params.get("fail") ?? 0);
const wait = (ms) => new Promise((done) => setTimeout(done, ms));
const TEXT =
  params.get("answer") ??
  "Once upon a time there was a mill beside a quiet river. Every morning the miller opened the sluice, and the " +
  "great stone began to turn. “Slowly,” said the stone, “and the flour will be fine.” So the miller waited, and " +
  "listened, and by noon there was bread enough for all the village.";

class FakeError extends Error {
  constructor(code, message, details = {}) {
    super(message);
    Object.assign(this, { name: "GristmillError", code, details });
  }
}

/** Names of shards are hashes, and as long. */
const SHARD = `weights/${"3f2a".repeat(16)}.bin`;
const ERRORS = {
  "no-webgpu": new FakeError("no-webgpu", "navigator.gpu.requestAdapter() gave no adapter"),
  limit: new FakeError("limit", "weights/embed needs a binding of 272629760 bytes", {
    what: "The tensor token_embedding",
    limit: "maxStorageBufferBindingSize",
    needed: 272629760,
    offered: 134217728,
  }),
  integrity: new FakeError("integrity", `${SHARD}: expected sha256 ${"3f2a".repeat(16)}, found ${"77c0".repeat(16)}`, {
    file: SHARD,
  }),
  network: new FakeError("network", `${SHARD}: HTTP 404`, { file: SHARD, status: 404 }),
  "device-lost": new FakeError("device-lost", "the device was lost: unknown"),
};

const TASKS = {
  see: { kind: "generate", inputs: ["image", "text"], token: 7, placeholder: "<image>" },
  label: { kind: "classify", inputs: ["text"] },
  classify: { kind: "classify", inputs: ["image"] },
  detect: { kind: "detect", inputs: ["image"] },
  compare: { kind: "compare", inputs: ["image", "text"] },
  compareAudio: { kind: "compare", inputs: ["audio", "text"], rate: 48000 },
  transcribe: {
    kind: "transcribe",
    inputs: ["audio"],
    rate: 16000,
    seconds: 30,
    generates: true,
    choices: [
      { name: "language", values: ["de", "en", "fr"], default: null },
      { name: "task", values: ["transcribe", "translate"], default: "transcribe" },
    ],
  },
};

/** Tokens of a prompt. */
function lengthOf(prompt) {
  const words = (text) => text.match(/\S+/g)?.length ?? 0;
  if (typeof prompt === "string") return words(prompt);
  const length = ({ content }) => (typeof content === "string" ? words(content) : content.map(partLength).reduce((a, b) => a + b));
  const partLength = (part) => (part.type === "text" ? words(part.text) : 16);
  return prompt.map(length).reduce((a, b) => a + b, 0);
}

export class GristmillError extends Error {}

const TOTAL = 48_300_000;
/** Like the parts of real models, in different precisions. */
const FORMATS = { "q4.g32": 45_600_000, f32: 2_700_000 };

const KERNELS = [
  "matvec_q4_g32_pair_172x64", "attention_8x1.subgroups", "rms_norm_64", "append_keys", "append_values",
  "matmul_q4_g32_with_a_name_that_is_longer_than_others_49152x2048", "map_apply_rotary", "map_cosine", "map_sine", "argmax",
  "reduce_max", "map_residual", "map_scores", "map_h",
];

let kept = [
  { id: "a", name: "Millstone-135M-Instruct", bytes: 48_312_000, sharedBytes: 0, lastUsed: Date.now() },
  { id: "b", name: "all-MiniLM-L6-v2-with-a-name-that-is-long-and-has-few-spaces", bytes: 23_900_000, sharedBytes: 466_000, lastUsed: Date.now() - 864e5 },
  { id: "", name: "", bytes: 912_000_000, sharedBytes: 0, lastUsed: Date.now() - 40 * 864e5 },
];
export const storedBundles = async () => kept;
export async function deleteStored({ id } = {}) {
  const gone = kept.filter((bundle) => id === undefined || bundle.id === id);
  kept = kept.filter((bundle) => !gone.includes(bundle));
  return gone.reduce((sum, { bytes, sharedBytes }) => sum + bytes - sharedBytes, 0);
}

export class Model {
  // Everything is stored, except where the page is to ask before it loads, or is loading.
  static async inspect() {
    const stored = { start: 0, continue: 0.25, loading: 0.25 }[params.get("state")] ?? 1;
    const { name, architecture, precision, formats, parameters, weightBytes } = new Model().info();
    const facts = { name, architecture, precision, formats, parameters, weightBytes };
    return { id: "a", ...facts, downloadBytes: TOTAL, storedBytes: TOTAL * stored };
  }

  static async load(_url, { onProgress, signal } = {}) {
    const total = TOTAL;
    const progress = {
      phase: "weights",
      loadedBytes: 0,
      totalBytes: total,
      cachedBytes: 0,
      kernels: 0,
      totalKernels: 31,
    };
    onProgress?.({ ...progress, phase: "start", totalBytes: 0, totalKernels: 0 });
    const stop = params.get("state") === "loading" ? 0.62 : 1;
    for (let share = 0; share <= stop + 1e-9; share += 0.02) {
      if (signal?.aborted) throw new FakeError("aborted", "aborted by the caller");
      const loadedBytes = Math.round(total * share);
      onProgress?.({
        ...progress,
        loadedBytes,
        cachedBytes: Math.min(loadedBytes, total * 0.25),
        kernels: Math.round(31 * share),
      });
      await wait(5);
    }
    if (stop < 1)
      await new Promise((_, reject) =>
        signal.addEventListener("abort", () => reject(new FakeError("aborted", "aborted"))),
      );
    if (params.has("error")) throw ERRORS[params.get("error")];
    return new Model();
  }

  info() {
    const task = params.get("task") ?? "generate";
    const tasks = {
      chat: ["run", "generate", "chat"],
      generate: ["run", "generate"],
      answer: ["run", "generate"],
      embed: ["run", "embed"],
      see: ["run", "generate", "chat"],
      label: ["run", "classify"],
      classify: ["run", "classify"],
      detect: ["run", "detect"],
      compare: ["run", "compare"],
      compareAudio: ["run", "compare"],
      transcribe: ["run", "transcribe"],
      run: ["run"],
    }[task];
    return {
      name: {
        chat: "Millstone-135M-Instruct",
        generate: "stories260K",
        answer: "translator",
        embed: "all-MiniLM-L6-v2",
        see: "Millstone-2B-Vision",
        label: "praise-or-blame",
        classify: "kinds-of-things",
        detect: "detector-of-things",
        compare: "images-and-texts",
        compareAudio: "audio-and-texts",
        transcribe: "speech-to-text",
        run: "tiny-encoder",
      }[task],
      architecture: "Fake",
      precision: "text",
      formats: FORMATS,
      parameters: 134515008,
      weightBytes: TOTAL,
      maxContext: CONTEXT,
      generation: {},
      components: [{ name: "model", bytes: 48300000 }],
      tasks,
      entries: [
        {
          name: "encode",
          role: task === "answer" ? "encode" : "tensors",
          inputs: [
            { name: "input_ids", elem: "i32", shape: ["B", "T"] },
            { name: "attention_mask", elem: "i32", shape: ["B", "T"], optional: true },
          ],
          outputs: [{ name: "last_hidden_state", elem: "f32", shape: ["B", "T", "384"] }],
          components: ["model"],
          task: TASKS[task] ?? null,
        },
      ],
      backend: "webgpu",
      choice: { backend: "webgpu", asked: "auto", reason: "the bundle has no WebAssembly", estimates: null },
      cpu: null,
      offloaded: [],
      profile: "chrome",
      adapter: {
        vendor: "google",
        architecture: "swiftshader",
        description: "",
        fallback: true,
        features: ["subgroups", "shader-f16"],
        limits: {
          maxBufferSize: 1073741824,
          maxStorageBufferBindingSize: 1073741824,
          maxComputeInvocationsPerWorkgroup: 256,
        },
      },
      version: "0.1.0",
    };
  }

  // States grow for as long as one asks.
  asked = 0;
  async memory() {
    const states = Math.min(2e6 + 1.5e6 * this.asked++, 14e6);
    const total = 48.3e6 + states + 4e6;
    return { weights: 48.3e6, states, scratch: 4e6, total, peak: Math.max(total, 66.1e6), wasm: 1.6e6 };
  }

  async kernels() {
    return KERNELS.map((name, at) => {
      return { name, nodes: `layers.0.part_${at}/linear`, backend: "webgpu", file: `shaders/chrome/${name}.wgsl` };
    });
  }

  async timeKernels(work) {
    await work();
    const kernels = (await this.kernels()).map((kernel, at) => ({ ...kernel, steps: 30 * (at + 1), ms: 41.7 / (at + 1) ** 2 }));
    return { ms: kernels.reduce((sum, { ms }) => sum + ms, 0), kernels };
  }

  async shader() {
    const sums = Array.from({ length: 24 }, (_, at) => `  sum += f32(codes[${at}u + id.x * 24u] & 15u) * scales[id.x] * values[id.y * 24u + ${at}u];`);
    return `@group(0) @binding(1) var<storage, read> codes: array<u32>;\n\n@compute @workgroup_size(64)\nfn main(@builtin(global_invocation_id) id: vec3u) {\n  var sum = 0.0;\n${sums.join("\n")}\n}\n`;
  }

  tokenizer = { encode: async (text) => Array.from({ length: lengthOf(text) }, (_, id) => id) };

  generate(prompt, options = {}) {
    const { maxNewTokens = 256, signal } = options;
    // For tests of what the page asks for.
    globalThis.asked = { prompt, options };
    let finish;
    let fail;
    const result = new Promise((done, no) => ([finish, fail] = [done, no]));
    // What the page sent, for tests.
    (window.prompts ??= []).push(prompt);
    const promptTokens = lengthOf(prompt);
    const text = typeof prompt === "string" && TEXT.startsWith(prompt) ? TEXT.slice(prompt.length) : TEXT;
    const room = CONTEXT - promptTokens;
    const words = text.match(/\s*\S+/g).slice(0, Math.min(maxNewTokens, Math.max(0, room)));
    const endless = params.get("state") === "streaming";
    const error =
      room < 0
        ? new FakeError("input", `${promptTokens} tokens do not fit into a context of ${CONTEXT}`, {
            limit: "maxContext",
            needed: promptTokens,
            offered: CONTEXT,
          })
        : failures > 0
          ? new FakeError("out-of-memory", "the device has no memory left")
          : null;
    const failAt = room < 0 || params.has("early") ? 0 : 9;
    if (error) failures -= 1;
    async function* pieces() {
      const said = [];
      await wait(30);
      for (const word of [...words, ""]) {
        if (error && said.length === failAt) {
          fail(error);
          throw error;
        }
        if (word === "") break;
        said.push(word);
        yield word;
        while (endless && said.length === 30 && !signal?.aborted) await wait(10);
        if (signal?.aborted) break;
        await wait(8);
      }
      const cut = said.length === room ? "context" : said.length === maxNewTokens ? "length" : "end";
      finish({
        text: said.join(""),
        tokens: said.map((_, i) => i),
        promptTokens,
        prefillMs: 212,
        decodeMs: said.length * 40,
        reason: signal?.aborted ? "aborted" : cut,
        recoveries: 0,
      });
    }
    return Object.assign(pieces(), { result });
  }

  // Counts of letter pairs: enough for an order that changes as one types.
  async embed(texts, { signal } = {}) {
    await wait(20);
    // Stops at a hundred texts until it is let go.
    while (params.get("state") === "embedding" && this.embedded > 100 && !window.goOn && !signal?.aborted) await wait(10);
    if (signal?.aborted) throw new FakeError("aborted", "aborted by the caller");
    this.embedded = (this.embedded ?? 0) + texts.length;
    return texts.map((text) => {
      const vector = new Float32Array(64);
      const lower = text.toLowerCase();
      for (let at = 0; at + 1 < lower.length; at++)
        vector[(lower.charCodeAt(at) * 7 + lower.charCodeAt(at + 1)) % 64] += 1;
      return vector;
    });
  }

  async classify() {
    await wait(20);
    return [
      { label: "praise", class: 0, score: 0.83 },
      { label: "something between praise and blame, or neither", class: 2, score: 0.12 },
      { label: "blame", class: 1, score: 0.05 },
    ];
  }

  // Boxes that reach beyond the image, as those of models do, and a label that is long.
  async detect(image, { threshold = 0.5 } = {}) {
    await wait(20);
    window.detections = (window.detections ?? 0) + 1;
    const { width, height } = image;
    const found = [
      { label: "mill", class: 3, score: 0.987, box: [width * 0.1, height * 0.2, width * 0.6, height * 0.9] },
      { label: "cat", class: 5, score: 0.82, box: [width * 0.3, height * 0.5, width * 0.48, height * 1.02] },
      {
        label: "a wheel that turns in the water of the river",
        class: 4,
        score: 0.61,
        box: [width * 0.7, -9, width + 50, height / 2],
      },
      { label: "cat", class: 5, score: 0.55, box: [width * 0.8, height * 0.62, width * 0.95, height * 0.8] },
      { label: "person", class: 0, score: 0.34, box: [width * 0.02, height * 0.6, width * 0.09, height * 0.97] },
      { label: "sun", class: 9, score: 0.12, box: [-5, 0, width * 0.12, height * 0.15] },
    ];
    return found.filter(({ score }) => score > threshold);
  }

  async compare(_images, texts) {
    await wait(20);
    const probability = texts.map((_, at) => 2 ** -at / (2 - 2 ** (1 - texts.length)));
    return [{ similarity: texts.map((_, at) => 25 - at), probability }];
  }

  // An audio file of a minute and a half, whatever it is.
  transcribe(_audio, { signal, onProgress, language = "en", task }) {
    const stream = this.generate("", { signal });
    const choices = { language, task };
    const transcribed = ({ text, reason }) => ({ text: text.trim(), segments: [], choices, reason, recoveries: 0 });
    const result = stream.result.then(transcribed);
    onProgress(30, 90);
    return Object.assign({ [Symbol.asyncIterator]: () => stream }, { result });
  }

  dispose() {}
}
