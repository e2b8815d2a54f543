// How the time of a whole run is spread over its steps.

import { loadEntry } from "./bundle.js";
import { time } from "./time.js";

const turn = () => new Promise((done) => setTimeout(done, 0));

/**
 * Runs an entry again and again for so many seconds. Clocks of browsers step by more than a short kernel takes; the
 * mean over many runs is right all the same.
 */
export async function profile({ seconds, batchMs, batches, warmMs, ...options }) {
  const { calls, runAll } = await loadEntry("/bundle/", options);
  const whole = await time(runAll, { batchMs, batches, warmMs });
  const spent = new Float64Array(calls.length);
  let runs = 0;
  for (const begin = performance.now(); performance.now() - begin < seconds * 1000; runs++) {
    let last = performance.now();
    for (let i = 0; i < calls.length; i++) {
      calls[i].run();
      const now = performance.now();
      spent[i] += now - last;
      last = now;
    }
    if (runs % 8 === 7) await turn();
  }
  return {
    whole,
    runs,
    steps: calls.map(({ run: _, ...step }, i) => ({ ...step, seconds: spent[i] / runs / 1000 })),
  };
}
