// The figures in the margin: how fast, how large, on what.

import type { AdapterInfo, GenerateResult, LoadProgress, MemoryInfo, ModelInfo, CpuInfo } from "../../ts/api";
import type { Model } from "../../ts/index";
import { byId, bytes, count, h, speed, time } from "../dom";
import { memoryLog, type MemoryLog } from "./memory_log";
import { weightsName } from "./precision";
import { storageButton } from "./storage_button";

/** What the margin can show. */
export interface Facts {
  /** Tokens per second, of the answer as it comes. */
  rate(tokens: number, milliseconds: number): void;
  /** How much of a long prompt has been computed. */
  prompt(done: number, total: number): void;
  /** Milliseconds until the first token. */
  first(milliseconds: number): void;
  /** What a finished generation brought. */
  result(result: GenerateResult): void;
  /** Milliseconds that a call took, and what it was for. */
  called(milliseconds: number, note?: string): void;
  /** Milliseconds that a batch of texts took. */
  embedded(texts: number, milliseconds: number): void;
  memory(memory: MemoryInfo): void;
}

/** Fills the margin for a loaded model. */
export function showFacts(model: Model, progress: LoadProgress | undefined, loadMs: number): Facts {
  const info = model.info();
  const log = memoryLog();
  const generates = info.tasks.includes("generate") || info.tasks.includes("chat");
  const calls = info.tasks.some((task) => task !== "run");
  const embeds = info.tasks.includes("embed");
  const main = figure(generates ? "tokens / s" : embeds ? "per text" : calls ? "last call" : "weights", "big");
  const first = figure("first token");
  const prompt = figure("prompt");
  const memory = figure("memory");
  const loaded = figure("loaded in");
  if (!calls) main.set(bytes(info.weightBytes));
  loaded.set(time(loadMs), fromCache(progress));
  const list = h("dl", { class: "figures" }, main.element);
  if (generates) list.append(first.element, prompt.element);
  list.append(memory.element, loaded.element);
  const facts = byId("facts");
  facts.replaceChildren(
    h("h2", { class: "hidden" }, "Figures"),
    list,
    machine(info, model, log),
    storageButton(),
  );
  facts.hidden = false;

  return {
    rate: (tokens, milliseconds) => main.set(speed((tokens * 1e3) / milliseconds)),
    prompt: (done, total) => prompt.set(String(total), done < total ? `tokens, ${done} done` : "tokens"),
    first: (milliseconds) => first.set(time(milliseconds)),
    result(result) {
      const others = result.tokens.length - 1;
      if (others > 0 && result.decodeMs > 0) main.set(speed((others * 1e3) / result.decodeMs));
      first.set(time(result.prefillMs));
      prompt.set(`${result.promptTokens}`, result.promptTokens === 1 ? "token" : "tokens");
    },
    called: (milliseconds, note) => main.set(time(milliseconds), note),
    embedded: (texts, milliseconds) => main.set(time(milliseconds / Math.max(texts, 1))),
    memory(now) {
      memory.set(bytes(now.total + now.wasm), `peak ${bytes(now.peak + now.wasm)}`);
      log.note(now, performance.now());
    },
  };
}

function fromCache(progress: LoadProgress | undefined): string {
  if (!progress || progress.totalBytes === 0) return "";
  if (progress.cachedBytes >= progress.totalBytes) return "all from cache";
  return progress.cachedBytes > 0
    ? `${bytes(progress.totalBytes - progress.cachedBytes)} downloaded`
    : bytes(progress.totalBytes);
}

interface Figure {
  element: HTMLElement;
  set(value: string, note?: string): void;
}

function figure(label: string, kind = ""): Figure {
  const value = h("span", { class: "value" }, "–");
  const note = h("span", { class: "note" });
  return {
    element: h("div", { class: kind || undefined }, h("dt", {}, label), h("dd", {}, value, " ", note)),
    set(text, more = "") {
      value.textContent = text;
      note.textContent = more;
    },
  };
}

/** What runs the model, and on what. */
export function placeName({ backend, adapter, cpu }: ModelInfo): string {
  if (backend === "wasm" && cpu) {
    return `WebAssembly on ${cpu.threads} ${cpu.threads === 1 ? "thread" : "threads"}`;
  }
  return `WebGPU on ${adapter ? adapterName(adapter) : "an unnamed adapter"}`;
}

/** The adapter, as far as the browser names it. */
function adapterName(adapter: AdapterInfo): string {
  const name =
    adapter.description || [adapter.vendor, adapter.architecture].filter(Boolean).join(" ") || "an unnamed adapter";
  return adapter.fallback ? `${name} (on the CPU)` : name;
}

/** The panel with what the browser tells about the device. */
function machine(info: ModelInfo, model: Model, log: MemoryLog): HTMLElement {
  const { adapter, cpu, choice } = info;
  const charts = h("div", {});
  const element = h(
    "details",
    { class: "machine" },
    h("summary", {}, "Device and model"),
    charts,
    table([
      ["Runs on", info.backend === "webgpu" ? "WebGPU" : "WebAssembly"],
      ["Reason", choice.reason],
      ...(adapter ? [["Adapter", adapterName(adapter)] as const] : []),
      ...info.offloaded.map((steps) => ["Beyond its limits", steps] as const),
      ...(cpu ? cpuRows(cpu) : []),
      ["Programs", info.profile],
      ["Precision", weightsName(info.formats)],
      ...Object.entries(info.formats).map(([format, size]) => [format, bytes(size)] as const),
      ["Policy", info.precision],
      ["Parameters", count(info.parameters)],
      ["Weights", bytes(info.weightBytes)],
      ["Context", `${info.maxContext} tokens`],
      ["Isolated", window.crossOriginIsolated ? "yes" : "no"],
      ["Runtime", info.version],
    ]),
    ...(adapter ? adapterTables(adapter) : []),
  );
  const draw = async (): Promise<void> => charts.replaceChildren((await import("./figures")).figures(model, log));
  element.addEventListener("toggle", () => void draw(), { once: true });
  return element;
}

function cpuRows({ threads, simd, single }: CpuInfo): (readonly [string, string])[] {
  const rows = [["Threads", single ? `${threads}: ${single}` : String(threads)] as const];
  return [...rows, ["SIMD", simd === "relaxed" ? "relaxed" : "baseline"] as const];
}

function adapterTables({ features, limits }: AdapterInfo): HTMLElement[] {
  const sorted = Object.entries(limits).sort(([a], [b]) => a.localeCompare(b));
  return [
    h("h3", {}, "Features in use"),
    h("p", {}, features.length > 0 ? features.join(", ") : "core only"),
    h("h3", {}, "Limits"),
    table(sorted.map(([limit, value]) => [limit, String(value)] as const)),
  ];
}

function table(rows: (readonly [string, string])[]): HTMLElement {
  const list = rows.map(([name, value]) => h("tr", {}, h("th", { scope: "row" }, name), h("td", {}, value)));
  return h("table", {}, h("tbody", {}, ...list));
}
