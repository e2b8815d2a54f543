// Search by meaning: sentences in the order of their likeness to what is typed.

import type { Model } from "../ts/index";
import { announce, h, setState } from "./dom";
import type { Facts } from "./facts";
import { latest } from "./latest";
import { troubleOf, type Trouble } from "./trouble";
import { report } from "./writer";

const SENTENCES = [
  "The miller opens the sluice and the wheel begins to turn.",
  "Fresh bread smells best early in the morning.",
  "A graphics card multiplies matrices very quickly.",
  "She tuned the old violin before the concert.",
  "The train to the coast leaves at half past nine.",
  "Heavy rain is expected in the mountains tonight.",
  "Two cats are sleeping on the warm roof.",
  "He forgot his password and could not log in.",
  "The recipe asks for flour, water, salt and time.",
  "Planets move around the sun on ellipses.",
  "The patient should rest and drink plenty of water.",
  "Their team won the match in the last minute.",
];
const QUERY = "baking something at home";
/** Milliseconds without a key press before the model is asked. */
const PAUSE = 250;
/** Sentences that go to the model at once, so that the first are seen soon. */
const BATCH = 8;

/** The view of a model that turns texts into vectors. */
export function searchView(model: Model, facts: Facts, failed: (error: Trouble) => void): HTMLElement {
  const vectors = new Map<string, Float32Array>();
  const input = h("input", { id: "query", type: "search", value: QUERY, autocomplete: "off", input: later });
  const list = h("ol", { class: "ranking" });
  const sentences = h("textarea", { id: "sentences", rows: 12, spellcheck: "false", input: later });
  sentences.value = SENTENCES.join("\n");
  const note = h("p", { class: "note" });
  let timer = 0;

  function later(): void {
    clearTimeout(timer);
    timer = window.setTimeout(() => void search(), PAUSE);
  }

  /** Vectors of texts, unit length, from the model where they are not known yet. */
  async function vectorsOf(texts: string[]): Promise<void> {
    const missing = [...new Set(texts)].filter((text) => !vectors.has(text));
    for (let at = 0; at < missing.length; at += BATCH) {
      const batch = missing.slice(at, at + BATCH);
      const begin = performance.now();
      const found = await model.embed(batch);
      facts.embedded(batch.length, performance.now() - begin);
      batch.forEach((text, index) => vectors.set(text, unit(found[index] ?? new Float32Array())));
      if (missing.length > BATCH)
        note.textContent = `${Math.min(at + BATCH, missing.length)} of ${missing.length} texts read`;
    }
  }

  const search = latest(async () => {
    setState("working");
    try {
      await rank(input.value.trim(), lines(sentences.value));
    } catch (thrown) {
      failed(troubleOf(thrown));
    }
    setState("ready");
    void report(model, facts);
  });

  async function rank(query: string, texts: string[]): Promise<void> {
    if (query === "" || texts.length === 0) return list.replaceChildren();
    await vectorsOf([query, ...texts]);
    const wanted = vectors.get(query) ?? new Float32Array();
    const ranked = texts
      .map((text) => ({ text, score: dot(wanted, vectors.get(text) ?? new Float32Array()) }))
      .sort((a, b) => b.score - a.score);
    list.replaceChildren(...ranked.map(({ text, score }) => row(text, score)));
    note.textContent = `${texts.length} sentences by cosine similarity`;
    announce(`Closest: ${ranked[0]?.text ?? ""}`);
  }

  void search();
  return h(
    "section",
    { class: "search", "aria-label": "Search by meaning" },
    h("label", { for: "query" }, "What are you looking for?"),
    input,
    list,
    note,
    h("details", {}, h("summary", {}, "Sentences"), h("label", { for: "sentences" }, "One per line"), sentences),
  );
}

function lines(text: string): string[] {
  return [...new Set(text.split("\n").map((line) => line.trim()))].filter(Boolean);
}

function row(text: string, score: number): HTMLElement {
  const bar = h("span", { class: "bar", "aria-hidden": "true" }, h("span", {}));
  (bar.firstChild as HTMLElement).style.width = `${Math.max(score, 0) * 100}%`;
  return h("li", {}, h("span", { class: "sentence" }, text), bar, h("span", { class: "score" }, score.toFixed(2)));
}

function unit(vector: Float32Array): Float32Array {
  const length = Math.hypot(...vector);
  return length > 0 ? vector.map((value) => value / length) : vector;
}

function dot(a: Float32Array, b: Float32Array): number {
  return a.reduce((sum, value, index) => sum + value * (b[index] ?? 0), 0);
}
