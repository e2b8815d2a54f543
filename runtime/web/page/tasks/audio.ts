// Audio files: what is said in a file, or into the microphone.

import type { ChoiceInfo, Model, TaskInfo, TranscribeOptions, TranscribeResult } from "../../ts/index";
import { follower } from "../text/follow";
import { announce, h, setState, time, view } from "../dom";
import type { Facts } from "../panels/facts";
import { dropPlace } from "./drop";
import { recorder } from "./recorder";
import { report } from "../text/writer";
import { troubleOf, type Trouble } from "../panels/trouble";

/** The view of a model that writes down audio files. */
export function audioView(
  model: Model,
  task: TaskInfo,
  facts: Facts,
  failed: (error: Trouble) => void,
): HTMLElement {
  const player = h("audio", { controls: true, hidden: true, "aria-label": "The audio file" });
  const text = h("p", { class: "text" });
  const note = h("p", { class: "note" });
  const said = h("article", { class: "story", "aria-label": "Transcript", hidden: true }, text, note);
  const stop = h("button", { type: "button", class: "stop", hidden: true, click: () => controller?.abort() }, "Stop");
  const record = recorder({ take, problem: tell });
  const follow = follower();
  const choices = (task.choices ?? []).filter(isKnown).map(choice);
  let controller: AbortController | null = null;
  let next: Blob | null = null;

  /** Writes down an audio file; one that is being written down ends. */
  function take(blob: Blob): void {
    next = blob;
    if (controller) controller.abort();
    else void write();
  }

  async function write(): Promise<void> {
    for (let blob = next; blob; blob = next) {
      next = null;
      show(blob);
      setState("working");
      await listen(blob);
      setState("ready");
    }
  }

  function show(blob: Blob): void {
    if (player.src) URL.revokeObjectURL(player.src);
    player.src = URL.createObjectURL(blob);
    player.hidden = said.hidden = false;
    text.textContent = note.textContent = "";
  }

  async function listen(blob: Blob): Promise<void> {
    const begin = performance.now();
    const own = (controller = new AbortController());
    text.setAttribute("aria-busy", "true");
    stop.hidden = false;
    let whole = 0;
    const onProgress = (done: number, total: number): void => {
      whole = total;
      note.textContent = `${clock(done)} of ${clock(total)}`;
    };
    try {
      const wishes = Object.assign({}, ...choices.map(({ wish }) => wish())) as TranscribeOptions;
      const stream = model.transcribe(blob, { ...wishes, signal: own.signal, onProgress });
      for await (const piece of stream) {
        text.append(piece);
        follow(said);
      }
      const result = await stream.result;
      const took = performance.now() - begin;
      facts.called(took, `for ${clock(whole)} of audio`);
      note.textContent = summary(result, whole, took);
      announce(result.text || "No speech");
    } catch (thrown) {
      const error = troubleOf(thrown);
      // What is wrong with a file is said beside it.
      if (error.code === "input") tell(error.message);
      else failed(error);
    }
    text.removeAttribute("aria-busy");
    stop.hidden = true;
    controller = null;
    follow(said);
    void report(model, facts);
  }

  function tell(problem: string): void {
    said.hidden = false;
    note.textContent = problem;
    announce(problem);
  }

  const place = dropPlace({
    accept: "audio/*,video/*",
    hint: "Drop an audio file on this page.",
    label: "Choose an audio file",
    beside: record,
    take,
    problem: tell,
  });
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") controller?.abort();
  });
  const tools = h("div", { class: "buttons" }, stop, ...choices.map(({ element }) => element));
  return view("audio", "Audio", place, tools, player, said);
}

/** A choice that `transcribe` has an option for. */
function isKnown({ name }: ChoiceInfo): boolean {
  return name === "language" || name === "task";
}

/** A list to choose from, and what it says now. */
function choice({ name, values, default: usual }: ChoiceInfo): { element: HTMLElement; wish(): TranscribeOptions } {
  const select = h("select", { id: `choose-${name}` });
  if (usual === null) select.append(h("option", { value: "" }, "detect"));
  const shown = values.map((value) => ({ value, text: name === "language" ? languageName(value) : value }));
  if (name === "language") shown.sort((a, b) => a.text.localeCompare(b.text));
  select.append(...shown.map(({ value, text }) => h("option", { value, selected: value === usual }, text)));
  const label = `${name.slice(0, 1).toUpperCase()}${name.slice(1)}`;
  const element = h("label", { for: select.id }, label, " ", select);
  return { element, wish: () => (select.value ? { [name]: select.value } : {}) };
}

/** The line under a text. */
function summary(result: TranscribeResult, seconds: number, milliseconds: number): string {
  const how = result.reason === "aborted" ? "stopped" : result.text === "" ? "no speech" : "";
  const { language, ...others } = result.choices;
  const chosen = [language && languageName(language), ...Object.values(others)];
  return [`${clock(seconds)} in ${time(milliseconds)}`, ...chosen, how].filter(Boolean).join(" · ");
}

/** The name of a language in that of the page: `German` for `de`; the code itself if the browser knows none. */
function languageName(code: string): string {
  try {
    return new Intl.DisplayNames(document.documentElement.lang, { type: "language" }).of(code) ?? code;
  } catch {
    return code;
  }
}

/** Seconds as people read them: `0:07`, `12:30`. */
function clock(seconds: number): string {
  const whole = Math.round(seconds);
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}`;
}
