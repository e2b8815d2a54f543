// The page of a bundle: loads the model beside it and shows what that model can do.

import "./page.css";
import { Model } from "../ts/index";
import type { BundleInfo, LoadProgress, ModelInfo, TaskInfo } from "../ts/api";
import { chatView } from "./text/chat";
import { announce, byId, bytes, count, h, setState } from "./dom";
import { entriesView } from "./tasks/entries";
import { placeName, showFacts } from "./panels/facts";
import { fitView } from "./tasks/fit";
import { labelView } from "./tasks/label";
import { imageView } from "./tasks/image";
import { askToKeep, keptText } from "./panels/keep";
import { weightsName } from "./panels/precision";
import { progressPanel } from "./panels/progress";
import { searchView } from "./tasks/search";
import { isLarge, startPanel, startsAtOnce } from "./panels/start";
import { audioView } from "./tasks/audio";
import { storyView } from "./text/story";
import { troubleLine, troubleOf, troublePanel, type Trouble } from "./panels/trouble";
import { createWriter, report } from "./text/writer";

/** The folder of the bundle: the one that has index.html. */
const BUNDLE = new URL(".", document.baseURI);

/** Says what the model is, and loads it: at once, or when the reader wants that, if much of it is to be fetched. */
async function begin(wanted = startsAtOnce()): Promise<void> {
  setState("loading");
  const controller = new AbortController();
  byId("main").replaceChildren(progressPanel(() => controller.abort()).element);
  try {
    const bundle = await Model.inspect(BUNDLE.href, { signal: controller.signal });
    title(bundle);
    if (wanted || !isLarge(bundle)) return await load(bundle);
    setState("asking");
    byId("main").replaceChildren(startPanel(bundle, () => void load(bundle), () => void begin()));
  } catch (thrown) {
    fail(troubleOf(thrown));
  }
}

async function load(bundle: BundleInfo): Promise<void> {
  const controller = new AbortController();
  const panel = progressPanel(() => controller.abort(), bundle.storedBytes);
  byId("main").replaceChildren(panel.element);
  setState("loading");
  if (isLarge(bundle)) void askToKeep().then((answer) => panel.note(keptText(answer)));
  const begun = performance.now();
  let progress: LoadProgress | undefined;
  let banner: HTMLElement | null = null;
  let moved = (): void => {};
  function onProgress(now: LoadProgress): void {
    panel.show(now);
    if (now.phase !== "recover") progress = now;
    // A device that is lost later is replaced while the view stays: the panel comes back on top of it.
    if (now.phase === "recover" && !panel.element.isConnected) byId("main").prepend((banner = panel.element));
    if (now.phase === "ready" || now.phase === "lost") banner?.remove();
    if (now.phase === "ready") moved();
    // What went wrong before is mended.
    if (now.phase === "ready") document.querySelector(".problem")?.replaceChildren();
  }
  try {
    const model = await Model.load(BUNDLE.href, { onProgress, signal: controller.signal, backend: wish() });
    show(model, progress, performance.now() - begun);
    // Another device may have taken the place of one that was lost.
    moved = () => title(model.info());
  } catch (thrown) {
    const trouble = troubleOf(thrown);
    // Who did not end it wants it still.
    fail(trouble, trouble.code !== "aborted");
  }
}

function show(model: Model, progress: LoadProgress | undefined, loadMs: number): void {
  const info = model.info();
  title(info);
  const facts = showFacts(model, progress, loadMs);
  const problem = h("p", { class: "problem", role: "alert" });
  /** Every error concerns one call only: what is on the page stays, and the model is there for the next one. */
  function failed(error: Trouble): void {
    problem.textContent = troubleLine(error);
  }
  const writer = createWriter(model, facts, failed);
  const views: HTMLElement[] = [];
  const task = (kind: TaskInfo["kind"], inputs: TaskInfo["inputs"][number]): TaskInfo | undefined =>
    info.entries.flatMap((entry) => entry.task ?? []).find((one) => one.kind === kind && one.inputs.includes(inputs));
  const sees = task("generate", "image") !== undefined;
  if (info.tasks.includes("chat")) views.push(chatView(writer, info, sees, BUNDLE.href));
  else if (info.tasks.includes("generate")) {
    const answers = info.entries.some(({ role }) => role === "encode");
    views.push(storyView(writer, info, { sees, answers }));
  }
  if (info.tasks.includes("embed")) views.push(searchView(model, facts, failed));
  for (const kind of ["classify", "detect"] as const) {
    if (info.tasks.includes(kind) && task(kind, "image")) views.push(imageView(model, kind, facts, failed));
  }
  if (info.tasks.includes("classify") && task("classify", "text")) views.push(labelView(model, facts, failed));
  const compares = info.tasks.includes("compare") && task("compare", "text");
  if (compares) views.push(fitView(model, compares, facts, failed));
  const speech = info.tasks.includes("transcribe") && task("transcribe", "audio");
  if (speech) views.push(audioView(model, speech, facts, failed));
  if (views.length === 0) views.push(entriesView(info));
  setState(info.tasks.includes("embed") ? "working" : "ready");
  byId("main").replaceChildren(problem, ...views);
  announce(`${info.name} is ready`);
  // On a phone the keyboard would hide the page as soon as it is there.
  const first = byId("main").querySelector<HTMLElement>("textarea, input, .drop button");
  if (!matchMedia("(pointer: coarse)").matches) first?.focus();
  void report(model, facts);
}

/** What the address asks for: `?backend=wasm`. */
function wish(): "auto" | "webgpu" | "wasm" {
  const asked = new URLSearchParams(location.search).get("backend");
  return asked === "webgpu" || asked === "wasm" ? asked : "auto";
}

/** What the model is, and what runs it as soon as that is known. */
function title(info: BundleInfo | ModelInfo): void {
  document.title = `${info.name} · gristmill`;
  byId("name").textContent = info.name;
  const parts = [`${count(info.parameters)} parameters`, weightsName(info.formats), bytes(info.weightBytes)];
  if ("backend" in info) parts.push(`runs on ${placeName(info)}`);
  byId("subtitle").textContent = parts.join(" · ");
}

function fail(error: Trouble, wanted?: boolean): void {
  setState("error");
  byId("facts").hidden = true;
  const panel = troublePanel(error, () => void begin(wanted));
  byId("main").replaceChildren(panel);
  panel.querySelector("h2")?.focus();
}

// Keeps the page itself for visits without a network. The model's files are kept by the runtime.
if (window.isSecureContext) navigator.serviceWorker?.register("sw.js").catch(() => undefined);
void begin();
