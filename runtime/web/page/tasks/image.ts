// Images: what they are, or what is where in them.

import type { Detection, Model } from "../../ts/index";
import { announce, h, setState, time } from "../dom";
import { dropPlace, onPaste } from "./drop";
import { latest } from "./latest";
import { reasonOf } from "./painted";
import { scoreTable } from "./scores";
import { troubleOf, type Trouble } from "../panels/trouble";

/** Most classes that are listed. */
const TOP = 5;
/** Colours of boxes, by class. */
const COLOURS = ["#c82828", "#1e6ec8", "#14823c", "#aa3caa", "#be6400", "#007d82"];

/** The view of a model that looks at images. */
export function imageView(model: Model, kind: "classify" | "detect", failed: (error: Trouble) => void): HTMLElement {
  const canvas = h("canvas", { hidden: true, role: "img", "aria-label": "The image" });
  const table = scoreTable(kind === "detect" ? "Objects" : "Classes");
  const note = h("p", { class: "note" });
  const look = latest(async () => {
    if (!current) return;
    setState("working");
    const begin = performance.now();
    try {
      await show(current);
      note.textContent = time(performance.now() - begin);
    } catch (thrown) {
      failed(troubleOf(thrown));
    }
    setState("ready");
  });
  let current: ImageBitmap | null = null;

  async function take(file: Blob): Promise<void> {
    try {
      const next = await createImageBitmap(file, { premultiplyAlpha: "none", colorSpaceConversion: "none" });
      current?.close();
      current = next;
    } catch {
      note.textContent = await reasonOf(kind === "detect" ? model.detect(file) : model.classify(file));
      return;
    }
    draw([]);
    await look();
  }

  async function show(image: ImageBitmap): Promise<void> {
    if (kind === "detect") {
      const found = await model.detect(image);
      draw(found);
      table.show(found);
      return announce(`${found.length} found`);
    }
    const scores = await model.classify(image);
    table.show(scores.slice(0, TOP));
    announce(scores[0] ? `most likely ${scores[0].label}` : "nothing");
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

  const place = dropPlace({
    id: "image",
    accept: "image/*",
    hint: "Drop an image here, paste one, or choose a file.",
    take: (file) => void take(file),
  });
  onPaste(place, (file) => void take(file));
  return h("section", { class: "image", "aria-label": "Image" }, place, canvas, table.element, note);
}
