// Texts: of which classes they are.

import type { Model } from "../../ts/index";
import { announce, h, setState, view } from "../dom";
import type { Facts } from "../panels/facts";
import { latest } from "./latest";
import { scoreList } from "./scores";
import { report } from "../text/writer";
import { troubleOf, type Trouble } from "../panels/trouble";

const TEXT = "The bread from this mill is the best I have ever had.";
/** Most classes that are listed. */
const TOP = 8;
/** Milliseconds without a key press before the model is asked. */
const PAUSE = 250;

/** The view of a model that puts texts into classes. */
export function labelView(model: Model, facts: Facts, failed: (error: Trouble) => void): HTMLElement {
  const list = scoreList("Classes");
  const box = h("textarea", { id: "labelled", rows: 4, input: later });
  box.value = TEXT;
  let timer = 0;

  function later(): void {
    clearTimeout(timer);
    timer = window.setTimeout(() => void ask(), PAUSE);
  }

  const ask = latest(async () => {
    const text = box.value.trim();
    if (text === "") {
      list.element.hidden = true;
      return;
    }
    setState("working");
    const begin = performance.now();
    try {
      const scores = await model.classify({ text });
      facts.called(performance.now() - begin);
      list.show(scores.slice(0, TOP));
      announce(scores[0] ? `most likely ${scores[0].label}` : "nothing");
    } catch (thrown) {
      failed(troubleOf(thrown));
    }
    setState("ready");
    void report(model, facts);
  });

  void ask();
  const question = h("label", { for: box.id }, "Text to classify");
  return view("label", "Text", question, box, list.element);
}
