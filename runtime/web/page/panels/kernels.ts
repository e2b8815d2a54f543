// The kernels of a model: what each takes, as a chart and as a table, and what it is. Loaded when somebody looks.

import type { KernelInfo, KernelTime, KernelTimes } from "../../ts/api";
import type { Model } from "../../ts/index";
import { h } from "../dom";
import { drawing, s } from "../svg";
import { openDialog } from "./dialog";
import { sampleCall } from "./sample_call";
import { openShader } from "./shader";
import { table } from "./table";
import { troubleLine, troubleOf } from "./trouble";

/** Bars of the chart; the others are one bar together. */
const MOST_BARS = 12;
/** Names stand in front of bars, or above them where there is less room than this. */
const WIDE = 560;
const NAME_WIDTH = 230;
const VALUE_WIDTH = 110;
/** Characters of a name that fit there. */
const NAME_LENGTH = 30;
const BAR = 16;

/** Opens the window; `closed` is called when it is gone. */
export function openKernels(model: Model, closed: () => void): void {
  const body = openDialog("Kernels", "kernel-times", closed);
  const status = h("p", { role: "status", class: "note" }, "Reading the programs");
  const figures = h("div", {});
  const list = h("div", {});
  const call = sampleCall(model, model.info());
  const measure = h("button", { type: "button", class: "primary" }, "Measure");
  measure.addEventListener("click", () => void attempt(time));
  const intro = call ? `Measure what each kernel takes in a call: ${call.text}.` : "This model takes tensors only.";
  body.append(h("p", { class: "note" }, intro), ...(call ? [measure] : []), status, figures, list);

  let draw = (): void => {};
  // Text in a chart that is scaled would be too small on a phone.
  new ResizeObserver(() => draw()).observe(body);

  async function attempt(task: () => Promise<void>): Promise<void> {
    try {
      await task();
    } catch (thrown) {
      status.textContent = troubleLine(troubleOf(thrown));
    }
  }
  async function read(): Promise<void> {
    const all = await model.kernels();
    status.textContent = `${all.length} kernels in ${model.info().profile}`;
    const rows = all.map((kernel) => [opener(kernel), path(kernel.nodes)]);
    list.replaceChildren(table("Kernels", ["Kernel", "Such as"], rows));
  }
  async function time(): Promise<void> {
    if (!call) return;
    measure.disabled = true;
    status.textContent = "Measuring";
    try {
      // Engines compile what runs often better, and buffers are made once.
      await call.run();
      const times = await model.timeKernels(call.run);
      status.textContent = `${ms(times.ms)} in all kernels, for ${call.text}${clockOf(times)}`;
      draw = () => figures.replaceChildren(bars(times, figures.clientWidth));
      draw();
      const rows = times.kernels.map((kernel) => [
        opener(kernel),
        ms(kernel.ms),
        share(kernel.ms, times.ms),
        String(kernel.steps),
        path(kernel.nodes),
      ]);
      list.replaceChildren(table("Time per kernel", ["Kernel", "Time", "Share", "Steps", "Such as"], rows));
    } finally {
      measure.disabled = false;
    }
  }
  function opener(kernel: KernelInfo): HTMLElement {
    const button = h("button", { type: "button", class: "link" }, kernel.name);
    button.addEventListener("click", () => openShader(model, kernel, () => button.focus()));
    return button;
  }
  void attempt(read);
}

/** How far the times can be trusted. */
function clockOf({ kernels }: KernelTimes): string {
  const gpu = kernels.some(({ backend }) => backend === "webgpu");
  const clock = gpu ? "the adapter’s clock (timestamp-query)" : "the browser’s clock (performance.now)";
  return `, by ${clock}, each step alone. Browsers make clocks coarse: times of short steps are means.`;
}

/** A bar for each of the longest, in a chart of this width. */
function bars({ kernels, ms: all }: KernelTimes, width: number): SVGSVGElement {
  const others = kernels.slice(MOST_BARS);
  const rows = kernels.slice(0, MOST_BARS).map(({ name, ms }) => ({ name, ms }));
  const rest = others.reduce((sum, kernel) => sum + kernel.ms, 0);
  if (others.length > 0) rows.push({ name: `${others.length} others`, ms: rest });
  const most = Math.max(...rows.map(({ ms }) => ms), Number.MIN_VALUE);
  const wide = width >= WIDE;
  const [left, above, row] = wide ? [NAME_WIDTH, 0, BAR + 10] : [0, 18, BAR + 28];
  const room = Math.max(width - left - VALUE_WIDTH, 1);
  const parts = rows.flatMap(({ name, ms: value }, at) => {
    const [top, length] = [at * row, Math.max((value / most) * room, 1)];
    const place = wide ? { x: left - 8, y: top + 16, "text-anchor": "end" } : { x: 0, y: top + 14 };
    return [
      s("text", place, short(name)),
      s("rect", { x: left, y: top + above + 4, width: length, height: BAR }),
      s("text", { x: left + length + 8, y: top + above + 16 }, `${ms(value)}, ${share(value, all)}`),
    ];
  });
  const longest = kernels.slice(0, 3).map((kernel: KernelTime) => `${kernel.name} ${share(kernel.ms, all)}`);
  const text = `${ms(all)} in ${kernels.length} kernels. The longest: ${longest.join(", ")}. The table below has all.`;
  return drawing(width, rows.length * row, "Time per kernel", text, ...parts);
}

function path(nodes: string): HTMLElement {
  return h("span", { class: "path" }, nodes);
}

function short(name: string): string {
  return name.length <= NAME_LENGTH ? name : `${name.slice(0, NAME_LENGTH - 1)}…`;
}

function ms(value: number): string {
  return `${value < 9.95 ? value.toFixed(2) : value.toFixed(value < 99.5 ? 1 : 0)} ms`;
}

function share(part: number, whole: number): string {
  return `${((100 * part) / Math.max(whole, Number.MIN_VALUE)).toFixed(part / whole < 0.0995 ? 1 : 0)} %`;
}
