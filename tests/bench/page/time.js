// Timing of something short, by batches that are long beside the steps of a browser's clock.

const turn = () => new Promise((done) => setTimeout(done, 0));

/**
 * Seconds that `run` takes: the best and the median of the batches.
 *
 * @param {() => void} run
 * @param {{ batchMs: number, batches: number, warmMs: number }} options
 */
export async function time(run, { batchMs, batches, warmMs }) {
  // Engines compile again what they find busy, beside the code that runs: it needs calls, and turns in between.
  const warm = performance.now();
  let count = 1;
  let one = Infinity;
  while (performance.now() - warm < warmMs || one === Infinity) {
    const begin = performance.now();
    for (let i = 0; i < count; i++) run();
    const took = performance.now() - begin;
    one = Math.min(one, took / count);
    if (took < batchMs) count *= 2;
    await turn();
  }
  count = Math.max(1, Math.ceil(batchMs / Math.max(one, 1e-6)));
  const seconds = [];
  for (let batch = 0; batch < batches; batch++) {
    const begin = performance.now();
    for (let i = 0; i < count; i++) run();
    seconds.push((performance.now() - begin) / count / 1000);
    await turn();
  }
  seconds.sort((a, b) => a - b);
  return { best: seconds[0], median: seconds[seconds.length >> 1] };
}
