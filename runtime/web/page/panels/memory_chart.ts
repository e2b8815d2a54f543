// A chart of memory over time. Loaded when somebody looks.

import { bytes, h } from "../dom";
import { drawing, s } from "../svg";
import { table } from "./table";
import type { MemoryLog, MemorySample } from "./memory_log";

const [WIDTH, HEIGHT] = [320, 120];
const PARTS = ["weights", "states", "rest"] as const;
const WORDS: Record<(typeof PARTS)[number], string> = {
  weights: "Weights",
  states: "States",
  rest: "Scratch and runtime",
};
/** Rows of the table; more are a chart, not a table. */
const MOST_ROWS = 30;

/** The chart with a legend and a table; it follows the log. */
export function memoryChart(log: MemoryLog): HTMLElement {
  const chart = h("div", {});
  const words = h("figcaption", {});
  const numbers = h("div", {});
  const details = h("details", {}, h("summary", {}, "As a table"), numbers);
  const legend = h(
    "ul",
    { class: "legend" },
    ...PARTS.map((part) => h("li", {}, h("span", { class: `swatch ${part}`, "aria-hidden": "true" }), WORDS[part])),
  );
  const draw = (): void => {
    chart.replaceChildren(drawn(log.samples));
    words.textContent = summary(log.samples);
    if (details.open) numbers.replaceChildren(tableOf(log.samples));
  };
  details.addEventListener("toggle", draw);
  log.listen(draw);
  draw();
  return h("figure", { class: "memory" }, chart, words, legend, details);
}

const total = (sample: MemorySample): number => sample.weights + sample.states + sample.rest;
const seconds = (ms: number): string => `${(ms / 1e3).toFixed(0)} s`;

/** What the chart says without its parts. */
function summary(samples: readonly MemorySample[]): string {
  const last = samples.at(-1);
  const [first] = samples;
  if (!first || !last) return "No sample yet";
  return `${bytes(total(last))} now, ${bytes(Math.max(...samples.map(total)))} at most, in ${seconds(last.at - first.at)}`;
}

/** Areas on top of one another. */
function drawn(samples: readonly MemorySample[]): SVGSVGElement {
  const [first] = samples;
  const last = samples.at(-1);
  if (!first || !last) return drawing(WIDTH, HEIGHT, "Memory over time", "There is no sample yet.");
  const most = Math.max(...samples.map(total), 1);
  const span = Math.max(last.at - first.at, 1);
  // One sample is a line from edge to edge.
  const points = samples.length === 1 ? [first, { ...first, at: first.at + span }] : samples;
  const x = (at: number): string => (((at - first.at) / span) * WIDTH).toFixed(1);
  const y = (value: number): string => (HEIGHT - (value / most) * HEIGHT).toFixed(1);
  const below = points.map(() => 0);
  const areas = PARTS.map((part) => {
    const floor = points.map((point, at) => `${x(point.at)},${y(below[at] ?? 0)}`).reverse();
    points.forEach((point, at) => (below[at] = (below[at] ?? 0) + point[part]));
    const ceiling = points.map((point, at) => `${x(point.at)},${y(below[at] ?? 0)}`);
    return s("polygon", { points: [...ceiling, ...floor].join(" "), class: part });
  });
  const text = `${summary(samples)}: ${PARTS.map((part) => `${WORDS[part].toLowerCase()} ${bytes(last[part])}`).join(", ")}`;
  const svg = drawing(WIDTH, HEIGHT, "Memory over time", text, ...areas);
  svg.setAttribute("preserveAspectRatio", "none");
  return svg;
}

function tableOf(samples: readonly MemorySample[]): HTMLElement {
  const [first] = samples;
  const every = Math.max(Math.ceil(samples.length / MOST_ROWS), 1);
  const some = samples.filter((_, at) => at % every === 0 || at === samples.length - 1);
  const rows = some.map((sample) => [
    seconds(sample.at - (first?.at ?? 0)),
    ...PARTS.map((part) => bytes(sample[part])),
    bytes(total(sample)),
  ]);
  return table("Memory over time", ["Time", ...PARTS.map((part) => WORDS[part]), "Together"], rows);
}
