// How well texts fit to an image, a video or an audio file.

import type { Model, TaskInfo } from "../../ts/index";
import { announce, h, setState, view } from "../dom";
import type { Facts } from "../panels/facts";
import { dropPlace, onPaste } from "./drop";
import { latest } from "./latest";
import { LARGE, painted, reasonOf } from "./painted";
import { recorder } from "./recorder";
import { scoreList } from "./scores";
import { report } from "../text/writer";
import { troubleOf, type Trouble } from "../panels/trouble";

/** What texts are compared with. */
type Medium = "image" | "video" | "audio";

/** What is said of a medium, and the texts that it is compared with at first. */
interface Words {
  accept: string;
  hint: string;
  name: string;
  label: string;
  camera?: string;
  example?: string;
  texts: string[];
}

const MEDIA: Record<Medium, Words> = {
  image: {
    accept: "image/*",
    hint: "Drop an image on this page or paste one.",
    name: "Image",
    label: "Choose an image",
    camera: "Take a photo",
    example: "Use the example",
    texts: ["a photo of a cat", "a photo of a dog", "a photo of a person", "a landscape"],
  },
  video: {
    accept: "video/*",
    hint: "Drop a video on this page.",
    name: "Video",
    label: "Choose a video",
    camera: "Record a video",
    texts: ["somebody cooks", "people dance", "a ball game", "an animal runs"],
  },
  audio: {
    accept: "audio/*,video/*",
    hint: "Drop an audio file on this page.",
    name: "Audio",
    label: "Choose an audio file",
    texts: ["somebody speaks", "music", "a dog barks", "rain"],
  },
};
/** The view of a model that compares something with texts. */
export function fitView(model: Model, task: TaskInfo, facts: Facts, failed: (error: Trouble) => void): HTMLElement {
  const medium: Medium = (["audio", "video"] as const).find((one) => task.inputs.includes(one)) ?? "image";
  const { name, texts: examples, ...words } = MEDIA[medium];
  const shown = h("div", { class: "shown" });
  const list = scoreList("Similarity");
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
      const took = performance.now() - begin;
      const scores = wanted.map((text, at) => ({ label: text, score: fit?.probability[at] ?? 0 }));
      scores.sort((a, b) => b.score - a.score);
      list.show(scores);
      facts.called(took);
      announce(scores[0] ? `best: ${scores[0].label}` : "nothing");
    } catch (thrown) {
      const error = troubleOf(thrown);
      // What is wrong with a file is said beside it.
      if (error.code === "input") tell(error.message);
      else failed(error);
    }
    setState("ready");
    void report(model, facts);
  });

  async function take(file: Blob): Promise<void> {
    note.textContent = "";
    list.element.hidden = true;
    chosen = file;
    current = null;
    try {
      const seen = await display(file);
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
  async function display(file: Blob): Promise<HTMLElement> {
    if (medium === "image") return painted(file, LARGE, "The image");
    URL.revokeObjectURL(address);
    address = URL.createObjectURL(file);
    const attributes = { src: address, controls: true, "aria-label": `The ${name.toLowerCase()}` };
    return medium === "video" ? h("video", { ...attributes, muted: true, playsinline: true }) : h("audio", attributes);
  }

  function tell(problem: string): void {
    note.textContent = problem;
    announce(problem);
  }

  const beside = medium === "audio" ? recorder({ take: (blob) => void take(blob), problem: tell }) : null;
  const place = dropPlace({ ...words, beside, take: (file) => void take(file), problem: tell });
  if (medium === "image") onPaste(place, (file) => void take(file));
  const asked = h("div", { class: "asked" }, h("label", { for: "texts" }, "Texts, one per line"), texts);
  return view("fit", name, place, asked, note, shown, list.element);
}
