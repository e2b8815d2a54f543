// Images: what they are, or what is where in them.

import type { Model } from "../../ts/index";
import { announce, h, setState, view } from "../dom";
import type { Facts } from "../panels/facts";
import { dropPlace, onPaste } from "./drop";
import { latest } from "./latest";
import { found } from "./found";
import type { Look } from "./look";
import { reasonOf, scaled } from "./painted";
import { scoreList } from "./scores";
import { report } from "../text/writer";
import { troubleOf, type Trouble } from "../panels/trouble";

/** Most classes that are listed. */
const TOP = 5;

/** The view of a model that looks at images. */
export function imageView(
  model: Model,
  kind: "classify" | "detect",
  facts: Facts,
  failed: (error: Trouble) => void,
): HTMLElement {
  const look = kind === "detect" ? found(model) : classes(model);
  const note = h("p", { class: "note" });
  let current: ImageBitmap | null = null;
  const ask = latest(async () => {
    if (!current) return;
    setState("working");
    const begin = performance.now();
    try {
      const said = await look.ask(current);
      facts.called(performance.now() - begin);
      announce(said);
    } catch (thrown) {
      failed(troubleOf(thrown));
    }
    setState("ready");
    void report(model, facts);
  });

  async function take(file: Blob): Promise<void> {
    note.textContent = "";
    try {
      const next = await createImageBitmap(file, { premultiplyAlpha: "none", colorSpaceConversion: "none" });
      current?.close();
      current = next;
    } catch {
      return tell(await reasonOf(kind === "detect" ? model.detect(file) : model.classify(file)));
    }
    look.begin(current);
    await ask();
  }

  function tell(problem: string): void {
    note.textContent = problem;
    announce(problem);
  }

  const place = dropPlace({
    accept: "image/*",
    hint: "Drop an image on this page or paste one.",
    label: "Choose an image",
    camera: "Take a photo",
    example: "Use the example",
    take: (file) => void take(file),
    problem: tell,
  });
  onPaste(place, (file) => void take(file));
  return view("image", "Image", place, note, ...look.elements);
}

/** What an image is. */
function classes(model: Model): Look {
  const canvas = h("canvas", { hidden: true, role: "img", "aria-label": "The image" });
  const list = scoreList("Classes");
  return {
    elements: [canvas, list.element],
    begin: (image) => scaled(canvas, image),
    async ask(image) {
      const scores = await model.classify(image);
      list.show(scores.slice(0, TOP));
      return scores[0] ? `most likely ${scores[0].label}` : "nothing";
    },
  };
}
