// The measurement, the same for every peer. An adapter is a module with `load(job)`, which gives
//   generate(ids, count, onToken)  continues a prompt greedily from an empty cache, never stops early, and calls
//                                  onToken at each token; resolves to { tokens, own }, if the peer tells
//   embed(ids)                     the vector of a text, of length 1
//   info(), close()

const median = (list) => [...list].sort((a, b) => a - b)[list.length >> 1];

/** Token ids that look random and are the same for every peer. */
function randomIds(count, vocabulary, seed) {
  let state = 12345 + seed * 7919;
  return Int32Array.from({ length: count }, () => {
    state = (Math.imul(state, 1103515245) + 12345) >>> 0;
    // No special tokens: those come first.
    return 300 + ((state >>> 8) % (vocabulary - 400));
  });
}

/** One generation: tokens per second until the first token, and after it. */
async function timeText(session, ids, count) {
  let first = 0;
  let seen = 0;
  const begin = performance.now();
  const told = await session.generate(ids, count, () => {
    seen += 1;
    if (!first) first = performance.now();
  });
  const end = performance.now();
  if (!first) throw new Error(`expected ${count} tokens, found none`);
  const made = told?.tokens?.length ?? seen;
  if (made !== count) throw new Error(`expected ${count} tokens, found ${made}`);
  const prefill = (ids.length / (first - begin)) * 1000;
  return { prefill, decode: ((count - 1) / (end - first)) * 1000, told };
}

async function measureText(session, job) {
  const { shape, prompts, tokens, repeats } = job;
  const results = [];
  // Engines compile again what they find busy; so there is one run that does not count, of every kind of step.
  const warm = await timeText(session, randomIds(128, shape.vocabulary, 0), 16);
  for (const length of prompts) {
    const runs = [];
    for (let i = 0; i < repeats; i++) {
      runs.push(await timeText(session, randomIds(length, shape.vocabulary, i + 1), tokens));
    }
    for (const metric of ["prefill", "decode"]) {
      const values = runs.map((run) => run[metric]);
      const own = runs.map((run) => run.told?.own?.[metric]).filter((value) => value !== undefined);
      results.push({ metric: `${metric}${length}`, unit: "tok/s", values, ...(own.length ? { own } : {}) });
    }
  }
  return { results, probe: Array.from(warm.told?.tokens ?? []) };
}

async function measureVectors(session, job) {
  const words = await (await fetch(`/models/${job.words}`)).json();
  const text = (length, seed) => {
    const ids = randomIds(length, words.length, seed).map((i) => words[i % words.length]);
    // [CLS] and [SEP].
    [ids[0], ids[length - 1]] = [101, 102];
    return ids;
  };
  const results = [];
  let probe = [];
  for (const length of job.lengths) {
    const warm = performance.now();
    let one = Infinity;
    for (let i = 0; i < 3 || (performance.now() - warm < 500 && i < 20); i++) {
      const begin = performance.now();
      const vector = await session.embed(text(length, i));
      one = Math.min(one, performance.now() - begin);
      if (i === 0) probe = Array.from(vector.subarray(0, 8));
    }
    const count = Math.max(3, Math.min(50, Math.round(400 / one)));
    const values = [];
    for (let i = 0; i < job.repeats; i++) {
      const begin = performance.now();
      for (let k = 0; k < count; k++) await session.embed(text(length, 100 + k));
      values.push((performance.now() - begin) / count);
    }
    results.push({ metric: `embed${length}`, unit: "ms", values });
  }
  return { results, probe };
}

/** Runs a job in this page. */
window.measure = async (job) => {
  const adapter = await import(`./${job.peer}.js`);
  const begin = performance.now();
  const session = await adapter.load(job);
  const loadMs = performance.now() - begin;
  const found = await (job.task === "text" ? measureText : measureVectors)(session, job);
  const info = await session.info();
  await session.close();
  for (const result of found.results) result.value = median(result.values);
  return { ...found, info, loadMs };
};
window.ready = true;
