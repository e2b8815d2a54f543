// How well texts fit to an image, a video or an audio file.

import type { Model, TaskInfo } from "../../ts/index";
import { announce, h, setState, time } from "../dom";
import { dropPlace, onPaste } from "./drop";
import { latest } from "./latest";
import { painted, reasonOf } from "./painted";
import { recorder } from "./recorder";
import { scoreTable } from "./scores";
import { troubleOf, type Trouble } from "../panels/trouble";

/** What texts are compared with. */
type Medium = "image" | "video" | "audio";

const MEDIA: Record<Medium, { accept: string; hint: string; label: string; texts: string[] }> = {
  image: {
    accept: "image/*",
    hint: "Drop an image here, paste one, or choose a file.",
    label: "Image",
    texts: ["a photo of a cat", "a photo of a dog", "a photo of a person", "a landscape"],
  },
  video: {
    accept: "video/*",
    hint: "Drop a video here, or choose a file.",
    label: "Video",
    texts: ["somebody cooks", "people dance", "a ball game", "an animal runs"],
  },
  audio: {
    accept: "audio/*,video/*",
    hint: "Drop an audio file here, or choose a file.",
    label: "Audio",
    texts: ["somebody speaks", "music", "a dog barks", "rain"],
  },
};
/** Most pixels on a side of an image that is shown. */
const SHOWN = 1280;

/** The view of a model that compares something with texts. */
export function fitView(model: Model, task: TaskInfo, failed: (error: Trouble) => void): HTMLElement {
  const medium: Medium = (["audio", "video"] as const).find((one) => task.inputs.includes(one)) ?? "image";
  const { accept, hint, label, texts: examples } = MEDIA[medium];
  const shown = h("div", { class: "shown" });
  const table = scoreTable("Similarity");
  const note = h("p", { class: "note" });
  const texts = h("textarea", { id: "texts", rows: 5, spellcheck: "false", change: () => void ask() });
  texts.value = examples.join("\n");
  /** What came last, and the same once it is shown. */
  let chosen: Blob | null = null;
  let current: Blob | null = null;
  let address = "";

  const ask = latest(async () => {
    const lines = texts.value.split("\n").map((line) => line.trim());
    const wanted = lines.filter((line) => line !== "");
    if (!current || wanted.length === 0) return;
    setState("working");
    const begin = performance.now();
    try {
      const [fit] = await model.compare([medium === "video" ? { video: current } : current], wanted);
      const scores = wanted.map((text, at) => ({ label: text, score: fit?.probability[at] ?? 0 }));
      scores.sort((a, b) => b.score - a.score);
      table.show(scores);
      note.textContent = time(performance.now() - begin);
      announce(scores[0] ? `best: ${scores[0].label}` : "nothing");
    } catch (thrown) {
      const error = troubleOf(thrown);
      // What is wrong with a file is said beside it.
      if (error.code === "input") tell(error.message);
      else failed(error);
    }
    setState("ready");
  });

  async function take(file: Blob): Promise<void> {
    note.textContent = "";
    table.element.hidden = true;
    chosen = file;
    current = null;
    try {
      const seen = await view(file);
      // Another file may have come meanwhile.
      if (chosen !== file) return;
      shown.replaceChildren(seen);
    } catch {
      shown.replaceChildren();
      return tell(await reasonOf(model.compare([file], ["an image"])));
    }
    current = file;
    await ask();
  }

  /** Something to look at, or to listen to. */
  async function view(file: Blob): Promise<HTMLElement> {
    if (medium === "image") return painted(file, SHOWN, "The image");
    URL.revokeObjectURL(address);
    address = URL.createObjectURL(file);
    const attributes = { src: address, controls: true, "aria-label": `The ${label.toLowerCase()}` };
    return medium === "video" ? h("video", { ...attributes, muted: true, playsinline: true }) : h("audio", attributes);
  }

  function tell(problem: string): void {
    note.textContent = problem;
    announce(problem);
  }

  const place = dropPlace({ id: "medium", accept, hint, take: (file) => void take(file) });
  if (medium === "image") onPaste(place, (file) => void take(file));
  const microphone = medium === "audio" ? recorder({ take: (blob) => void take(blob), problem: tell }) : null;
  const tools = microphone && h("div", { class: "buttons" }, microphone);
  const asked = h("div", { class: "asked" }, h("label", { for: "texts" }, "Texts, one per line"), texts);
  return h("section", { class: "fit", "aria-label": label }, place, tools, asked, shown, table.element, note);
}
