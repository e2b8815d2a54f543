// Pictures: what is in them, what is where, or how well texts fit.

import type { ClassScore, Detection, Model, TaskInfo } from "../ts/index";
import { announce, h, setState, time } from "./dom";
import { troubleOf, type Trouble } from "./trouble";

/** Most classes that are listed. */
const TOP = 5;
/** Colours of boxes, by class. */
const COLOURS = ["#c82828", "#1e6ec8", "#14823c", "#aa3caa", "#be6400", "#007d82"];
const TEXTS = ["a photo of a cat", "a photo of a dog", "a photo of a person", "a landscape"];

/** The view of a model that looks at pictures. */
export function pictureView(model: Model, kind: TaskInfo["kind"], failed: (error: Trouble) => void): HTMLElement {
  const file = h("input", { type: "file", accept: "image/*", id: "picture", change: chosen });
  const canvas = h("canvas", { hidden: true, role: "img", "aria-label": "The picture" });
  const rows = h("tbody");
  const table = h("table", { class: "scores", hidden: true }, h("caption", {}, caption(kind)), rows);
  const note = h("p", { class: "note" });
  const texts = h("textarea", { id: "texts", rows: 5, spellcheck: "false", change: () => void look() });
  texts.value = TEXTS.join("\n");
  let current: ImageBitmap | null = null;
  let running = false;
  let again = false;

  function chosen(): void {
    void take(file.files?.[0]);
  }

  async function take(blob: Blob | null | undefined): Promise<void> {
    if (!blob) return;
    try {
      const next = await createImageBitmap(blob, { premultiplyAlpha: "none", colorSpaceConversion: "none" });
      current?.close();
      current = next;
    } catch {
      note.textContent = "This file is no picture that the browser knows.";
      return;
    }
    draw([]);
    await look();
  }

  /** Looks at the picture; once more afterwards if another one was chosen meanwhile. */
  async function look(): Promise<void> {
    again = running;
    if (running || !current) return;
    running = true;
    setState("working");
    const begin = performance.now();
    try {
      await show(current);
      note.textContent = time(performance.now() - begin);
    } catch (thrown) {
      failed(troubleOf(thrown));
    }
    running = false;
    setState("ready");
    if (again) await look();
  }

  async function show(picture: ImageBitmap): Promise<void> {
    if (kind === "detect") {
      const found = await model.detect(picture);
      draw(found);
      list(found);
      return announce(`${found.length} found`);
    }
    const scores = kind === "classify" ? await model.classify(picture) : await fits(picture);
    list(scores.slice(0, Math.max(TOP, kind === "compare" ? scores.length : 0)));
    announce(scores[0] ? `most likely ${scores[0].label}` : "nothing");
  }

  /** The texts as classes. */
  async function fits(picture: ImageBitmap): Promise<ClassScore[]> {
    const lines = texts.value.split("\n").map((line) => line.trim());
    const wanted = lines.filter((line) => line !== "");
    if (wanted.length === 0) return [];
    const [fit] = await model.compare([picture], wanted);
    const scores = wanted.map((label, at) => ({ label, class: at, score: fit?.probability[at] ?? 0 }));
    return scores.sort((a, b) => b.score - a.score);
  }

  function list(scores: ClassScore[]): void {
    table.hidden = false;
    const row = ({ label, score }: ClassScore): HTMLElement =>
      h(
        "tr",
        {},
        h("th", { scope: "row" }, label),
        h("td", {}, h("meter", { min: 0, max: 1, value: score })),
        h("td", {}, `${(100 * score).toFixed(1)} %`),
      );
    rows.replaceChildren(...scores.map(row));
    if (scores.length === 0) rows.append(h("tr", {}, h("td", {}, "nothing")));
  }

  function draw(found: Detection[]): void {
    const context = canvas.getContext("2d");
    if (!current || !context) return;
    canvas.hidden = false;
    canvas.width = current.width;
    canvas.height = current.height;
    context.drawImage(current, 0, 0);
    const size = Math.max(12, canvas.width / 28);
    context.lineWidth = Math.max(2, canvas.width / 250);
    context.font = `${size}px sans-serif`;
    context.textBaseline = "top";
    // The most certain one on top.
    for (const { label, score, class: number, box } of [...found].reverse()) {
      const [left, top, right, bottom] = box;
      const text = `${label} ${(100 * score).toFixed(0)} %`;
      context.fillStyle = context.strokeStyle = COLOURS[number % COLOURS.length] ?? "#000";
      context.strokeRect(left, top, right - left, bottom - top);
      context.fillRect(left, top, context.measureText(text).width + size / 2, size * 1.2);
      context.fillStyle = "#fff";
      context.fillText(text, left + size / 4, top + size / 10);
    }
  }

  const drop: HTMLLabelElement = h(
    "label",
    {
      class: "drop",
      for: "picture",
      dragover: (event) => (event.preventDefault(), drop.classList.add("over")),
      dragleave: () => drop.classList.remove("over"),
      drop: (event) => {
        event.preventDefault();
        drop.classList.remove("over");
        void take((event as DragEvent).dataTransfer?.files[0]);
      },
    },
    h("span", {}, "Drop a picture here, paste one, or choose a file. It does not leave this device."),
    file,
  );
  document.addEventListener("paste", (event) => {
    const pasted = [...(event.clipboardData?.files ?? [])].find((one) => one.type.startsWith("image/"));
    void take(pasted);
  });
  const question = h("label", { for: "texts" }, "Texts, one per line");
  const asked = kind === "compare" ? h("div", { class: "asked" }, question, texts) : null;
  return h("section", { class: "picture", "aria-label": "Picture" }, drop, asked, canvas, table, note);
}

function caption(kind: TaskInfo["kind"]): string {
  if (kind === "detect") return "What is in it";
  return kind === "classify" ? "What it is" : "Which text fits";
}
