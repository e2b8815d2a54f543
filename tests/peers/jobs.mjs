// Everything that is measured, by id, and the pairs of which the table gives ratios.

/** Sizes that adapters need, by language model. */
const SHAPES = {
  S: { layers: 6, kvHeads: 6, head: 48, vocabulary: 32000 },
  M: { layers: 12, kvHeads: 12, head: 64, vocabulary: 32000 },
  L: { layers: 30, kvHeads: 3, head: 64, vocabulary: 49152 },
};
/** Prompts in tokens. */
const PROMPTS = [128, 512];
/** Texts for the encoder, in tokens. */
const LENGTHS = [16, 64, 128];

/** Where each peer finds a language model, by the name of its weights. */
const TEXT = {
  gristmill: { q4: "gristmill-q4/", q2: "gristmill-q2/" },
  wllama: { q4_0: "q4_0.gguf" },
  ort: { q4: "q4.onnx", f32: "f32.onnx" },
};
const ENCODER = {
  gristmill: { q8: "gristmill-q8/", f32: "gristmill-f32/" },
  ort: { int8: "int8.onnx", f32: "f32.onnx" },
};

/**
 * Pairs of the project's aims: `metrics` of `ours` are to be at least `aim` times as fast as those of `theirs`.
 * Names are without the number of threads, which is the same for both.
 */
export const PAIRS = [
  ...["S", "M", "L"].flatMap((model) => [
    { ours: `${model}/gristmill/q4`, theirs: `${model}/wllama/q4_0`, metrics: /^decode/, aim: 3 },
    { ours: `${model}/gristmill/q4`, theirs: `${model}/ort/q4`, metrics: /^prefill/, aim: 1.5 },
    { ours: `${model}/gristmill/q4`, theirs: `${model}/ort/f32`, metrics: /^prefill/, aim: 1.5 },
    { ours: `${model}/gristmill/q2`, theirs: `${model}/gristmill/q4`, metrics: /^decode/, aim: 1 },
  ]),
  { ours: "E/gristmill/q8", theirs: "E/ort/int8", metrics: /^embed/, aim: 1 },
  { ours: "E/gristmill/f32", theirs: "E/ort/f32", metrics: /^embed/, aim: 1 },
];

/** All jobs for these numbers of threads. */
export function jobs(threads) {
  const found = [];
  for (const count of threads) {
    for (const [model, shape] of Object.entries(SHAPES)) {
      for (const [peer, weights, file] of files(TEXT)) {
        // 32-bit floats of the larger ones are not written: they say nothing new, and slowly.
        if (weights === "f32" && model !== "S") continue;
        const job = { id: `${model}/${peer}/${weights}/${count}`, peer, weights, threads: count, task: "text" };
        const tokens = peer === "ort" && model !== "S" ? 8 : 64;
        const repeats = model === "S" ? 3 : 1;
        found.push({ ...job, file: `${model}/${file}`, shape, prompts: PROMPTS, tokens, repeats });
      }
    }
    for (const [peer, weights, file] of files(ENCODER)) {
      const job = { id: `E/${peer}/${weights}/${count}`, peer, weights, threads: count, task: "vector" };
      found.push({ ...job, file: `E/${file}`, words: "E/words.json", lengths: LENGTHS, repeats: 5 });
    }
  }
  return found;
}

function files(table) {
  return Object.entries(table).flatMap(([peer, kinds]) =>
    Object.entries(kinds).map(([weights, file]) => [peer, weights, file]),
  );
}
