// Models come and go without leaving anything behind: what the browser's processes hold does not grow.

import { readFileSync } from "node:fs";

/** Cycles in all, and with `--all`. A leak of a whole model is seen after a few of them. */
const [FEW, MANY] = [24, 200];
/** Aborted loads. */
const ABORTED = 50;
/** Looks at memory in a run. The first third of a run warms up: caches of the browser, optimized code. */
const LOOKS = 12;
/** Memory may differ by this factor: what a process holds is never equal to the byte. */
const FLAT = 1.02;

/** Runs in the page: loads, uses and disposes of the model so many times. */
async function cycles(options, text, times) {
  const { Model } = await import("/runtime/gristmill.js");
  for (let i = 0; i < times; i++) {
    const model = await Model.load("/", options);
    const stream = model.generate(text, { maxNewTokens: 3 });
    for await (const piece of stream) void piece;
    await model.dispose();
  }
}

/** Runs in the page: ends loads at all moments of the time that a load takes. Gives how many were ended. */
async function abortedLoads(options, times) {
  const { Model } = await import("/runtime/gristmill.js");
  const begin = performance.now();
  await (await Model.load("/", options)).dispose();
  const whole = performance.now() - begin;
  let ended = 0;
  for (let i = 0; i < times; i++) {
    const controller = new AbortController();
    setTimeout(() => controller.abort(), (whole * i) / times);
    try {
      await (await Model.load("/", { ...options, signal: controller.signal })).dispose();
    } catch (error) {
      if (error.code !== "aborted") throw error;
      ended += 1;
    }
  }
  return ended;
}

/**
 * Memory of the processes that a page's models are in: the page's own, with all its workers and every WebAssembly memory,
 * and the one that talks to the GPU.
 */
async function watch(t) {
  const browser = await t.launch();
  const server = await t.serve(t.bundle("generate").folder);
  const page = await t.blank(server, { from: browser });
  const session = await page.createCDPSession();
  const top = await browser.browser.target().createCDPSession();
  // The driver has the browser keep what pages fetch.
  await page._client().send("Network.disable");
  const look = async () => {
    await session.send("HeapProfiler.collectGarbage");
    await top.send("Memory.simulatePressureNotification", { level: "critical" });
    await page.evaluate(() => new Promise((done) => requestAnimationFrame(() => setTimeout(done, 100))));
    await session.send("HeapProfiler.collectGarbage");
    const { processInfo } = await top.send("SystemInfo.getProcessInfo");
    // Other tabs have done nothing.
    const busiest = processInfo.filter(({ type }) => type === "renderer").sort((a, b) => b.cpuTime - a.cpuTime)[0];
    const graphics = processInfo.find(({ type }) => type === "GPU");
    return [busiest, graphics].map(({ id }) => resident(id));
  };
  return { page, look };
}

/** Megabytes of a process that are in memory. */
function resident(id) {
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${id}/status`, "utf8"))[1]) / 1024;
}

/** Does something in rounds, and looks after each. The least of several looks counts: noise only adds. */
async function flat(t, round) {
  const { page, look } = await watch(t);
  const looks = [];
  for (let i = 0; i < LOOKS; i++) {
    await round(page);
    looks.push(await look());
  }
  const sum = ([own, graphics]) => own + graphics;
  const least = (from, to) => Math.min(...looks.slice(from, to).map(sum));
  const third = LOOKS / 3;
  const [early, late] = [least(third, 2 * third), least(2 * third, LOOKS)];
  t.note("MB", looks.map((pair) => pair.map((size) => size.toFixed(0)).join("+")).join(" "));
  t.note("growth", `${((late / early - 1) * 100).toFixed(1)} %`);
  t.assert.ok(late <= early * FLAT, `memory grew from ${early.toFixed(1)} to ${late.toFixed(1)} MB`);
}

const MODES = [
  { worker: true, where: "in workers" },
  { worker: false, where: "in the page" },
];

export default MODES.flatMap(({ worker, where }) => [
  {
    name: `models come and go ${where}`,
    browsers: ["chromium-lavapipe", "chromium-no-adapter"],
    timeout: 600_000,
    async run(t) {
      const [{ prompt, messages }] = t.bundle("generate").generate;
      const times = Math.ceil((t.all ? MANY : FEW) / LOOKS);
      const options = { worker, backend: t.backend };
      t.note("cycles", times * LOOKS);
      await flat(t, (page) => page.evaluate(cycles, options, prompt ?? messages, times));
    },
  },
  {
    name: `loads are ended ${where}`,
    browsers: ["chromium-lavapipe", "chromium-no-adapter"],
    timeout: 600_000,
    async run(t) {
      const times = Math.ceil(ABORTED / LOOKS);
      const options = { worker, backend: t.backend };
      let ended = 0;
      await flat(t, async (page) => {
        ended += await page.evaluate(abortedLoads, options, times);
      });
      t.note("ended", `${ended} of ${times * LOOKS}`);
      t.assert.ok(ended >= (times * LOOKS) / 2, `only ${ended} loads were ended before they were done`);
    },
  },
]);
