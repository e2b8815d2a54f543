// From lines of measurements to tables.

import { readFileSync } from "node:fs";
import { PAIRS } from "./jobs.mjs";

/** Lines of a file of run.mjs. */
export function readLines(file) {
  return readFileSync(file, "utf8").split("\n").filter(Boolean).map((line) => JSON.parse(line));
}

const middle = (list) => {
  const sorted = [...list].sort((a, b) => a - b);
  return (sorted[(sorted.length - 1) >> 1] + sorted[sorted.length >> 1]) / 2;
};
const short = (value) => Number(value.toPrecision(3)).toString();

/** A table in Markdown. */
function table(head, rows) {
  const line = (cells) => `| ${cells.join(" | ")} |`;
  return [line(head), line(head.map(() => "---")), ...rows.map(line)].join("\n");
}

/** Lines by key, in order of appearance. */
function groupBy(lines, key) {
  const groups = new Map();
  for (const line of lines) groups.set(key(line), [...(groups.get(key(line)) ?? []), line]);
  return groups;
}

/** Medians of everything that was measured, ratios of the pairs, and what failed. */
export function summarize(lines) {
  const good = lines.filter(({ error }) => !error);
  const parts = [];
  for (const [browser, own] of groupBy(good, (line) => line.browser)) {
    parts.push(`## ${browser} (${own[0].version})\n\n${medians(own)}\n\n${ratios(own)}${agreement(own)}`);
  }
  const failed = [...groupBy(lines.filter(({ error }) => error), ({ id }) => id)];
  if (failed.length) {
    const list = failed.map(([id, [{ error }]]) => `- ${id}: ${error.split("\n")[0]}`);
    parts.push(`Failed:\n\n${list.join("\n")}`);
  }
  return parts.join("\n\n");
}

function medians(lines) {
  const metrics = [...new Set(lines.map(({ metric, unit }) => `${metric} ${unit}`))];
  const kinds = groupBy(metrics, (name) => name.startsWith("embed"));
  const tables = [...kinds.values()].map((names) => {
    const rows = [];
    for (const [id, own] of groupBy(lines, (line) => line.id)) {
      const cells = names.map((name) => {
        const found = own.filter(({ metric, unit }) => name === `${metric} ${unit}`);
        return found.length ? short(middle(found.map(({ value }) => value))) : "-";
      });
      if (cells.every((cell) => cell === "-")) continue;
      const loads = own.flatMap(({ loadBefore, loadAfter }) => [loadBefore, loadAfter]);
      const load = `${Math.min(...loads).toFixed(1)} to ${Math.max(...loads).toFixed(1)}`;
      rows.push([id, ...cells, new Set(own.map(({ at }) => at)).size, load]);
    }
    return table(["model/peer/weights/threads", ...names, "visits", "load"], rows);
  });
  return tables.join("\n\n");
}

/** How much faster, each value against the one of the same pass. */
function ratios(lines) {
  const rows = [];
  const threads = new Set(lines.map(({ id }) => id.split("/").at(-1)));
  for (const count of threads) {
    for (const { ours, theirs, metrics, aim } of PAIRS) {
      const of = (name) => lines.filter(({ id, metric }) => id === `${name}/${count}` && metrics.test(metric));
      const others = of(theirs);
      for (const [metric, own] of groupBy(of(ours), (line) => line.metric)) {
        const found = [];
        for (const line of own) {
          const same = (candidate) => ["metric", "run", "pass"].every((key) => candidate[key] === line[key]);
          const other = others.find(same);
          // Milliseconds are better when they are few.
          if (other) found.push(line.unit === "ms" ? other.value / line.value : line.value / other.value);
        }
        if (found.length === 0) continue;
        const ratio = middle(found);
        const range = `${short(Math.min(...found))} to ${short(Math.max(...found))}`;
        rows.push([`${ours}/${count}`, theirs, metric, short(ratio), range, aim, ratio >= aim ? "yes" : "no"]);
      }
    }
  }
  if (rows.length === 0) return "No pair was measured whole, so there are no ratios.";
  return table(["ours", "theirs", "metric", "times as fast", "over passes", "aim", "reached"], rows);
}

/** Whether both did the same work: what the encoder gives in 32-bit floats is equal but for rounding. */
function agreement(lines) {
  const probe = (name) => lines.find(({ id }) => id.startsWith(`${name}/`))?.probe;
  const [ours, theirs] = [probe("E/gristmill/f32"), probe("E/ort/f32")];
  if (!ours || !theirs) return "";
  const most = Math.max(...ours.map((value, i) => Math.abs(value - theirs[i])));
  const verdict = most < 1e-4 ? "the same vectors" : "DIFFERENT VECTORS, so do not compare";
  return `\n\nE/f32: ${verdict} (differences up to ${most.toExponential(1)}).`;
}
