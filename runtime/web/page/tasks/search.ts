// Search by meaning: sentences in the order of their likeness to what is typed.

import type { EmbeddingInfo, Model } from "../../ts/index";
import { announce, h, setState } from "../dom";
import type { Facts } from "../panels/facts";
import { latest } from "./latest";
import { troubleOf, type Trouble } from "../panels/trouble";
import { report } from "../text/writer";

const SENTENCES = [
  "The miller opens the sluice and the wheel begins to turn.",
  "Fresh bread smells best early in the morning.",
  "A GPU multiplies matrices very quickly.",
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

/** The prompts for what is searched, the first that the model has. */
const DOCUMENTS = ["document", "passage", "corpus"];
/** How the model compares vectors, more is closer. */
const MEASURES: Record<
  EmbeddingInfo["similarity"],
  { name: string; score: (a: Float32Array, b: Float32Array) => number }
> = {
  cosine: { name: "cosine similarity", score: cosine },
  dot: { name: "dot product", score: dot },
  euclidean: { name: "negative distance", score: (a, b) => -Math.hypot(...difference(a, b)) },
  manhattan: {
    name: "negative sum of differences",
    score: (a, b) => -difference(a, b).reduce((sum, value) => sum + Math.abs(value), 0),
  },
};

/** The view of a model that turns texts into vectors. */
export function searchView(model: Model, facts: Facts, failed: (error: Trouble) => void): HTMLElement {
  const { prompts = {}, similarity = "cosine" } = model.info().embedding ?? {};
  /** Vectors by prompt and text: what is looked for and where are read differently. */
  const vectors = new Map<string, Float32Array>();
  const documents = DOCUMENTS.find((name) => prompts[name]) ?? "document";
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

  /** Vectors of texts behind a prompt, from the model where they are not known yet. */
  async function vectorsOf(texts: string[], promptName: string): Promise<Float32Array[]> {
    const key = (text: string): string => JSON.stringify([promptName, text]);
    const missing = [...new Set(texts)].filter((text) => !vectors.has(key(text)));
    for (let at = 0; at < missing.length; at += BATCH) {
      const batch = missing.slice(at, at + BATCH);
      const begin = performance.now();
      const found = await model.embed(batch, { promptName });
      facts.embedded(batch.length, performance.now() - begin);
      batch.forEach((text, index) => vectors.set(key(text), found[index] ?? new Float32Array()));
      if (missing.length > BATCH)
        note.textContent = `${Math.min(at + BATCH, missing.length)} of ${missing.length} texts embedded`;
    }
    return texts.map((text) => vectors.get(key(text)) ?? new Float32Array());
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
    const [wanted = new Float32Array()] = await vectorsOf([query], "query");
    const found = await vectorsOf(texts, documents);
    const { name, score } = MEASURES[similarity];
    const ranked = texts
      .map((text, index) => ({ text, score: score(wanted, found[index] ?? new Float32Array()) }))
      .sort((a, b) => b.score - a.score);
    const scores = ranked.map(({ score }) => score);
    list.replaceChildren(...ranked.map(({ text, score }) => row(text, score, share(score, scores, similarity))));
    note.textContent = `${texts.length} sentences by ${name}`;
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

/** How much of its bar a score fills. Cosines speak for themselves, other measures have a scale of their own. */
function share(score: number, all: number[], similarity: EmbeddingInfo["similarity"]): number {
  if (similarity === "cosine") return Math.max(score, 0);
  const [least, most] = [Math.min(...all), Math.max(...all)];
  return most > least ? (score - least) / (most - least) : 1;
}

function row(text: string, score: number, filled: number): HTMLElement {
  const bar = h("span", { class: "bar", "aria-hidden": "true" }, h("span", {}));
  (bar.firstChild as HTMLElement).style.width = `${filled * 100}%`;
  return h("li", {}, h("span", { class: "sentence" }, text), bar, h("span", { class: "score" }, score.toFixed(2)));
}

function dot(a: Float32Array, b: Float32Array): number {
  return a.reduce((sum, value, index) => sum + value * (b[index] ?? 0), 0);
}

function cosine(a: Float32Array, b: Float32Array): number {
  const length = Math.sqrt(dot(a, a) * dot(b, b));
  return length > 0 ? dot(a, b) / length : 0;
}

function difference(a: Float32Array, b: Float32Array): Float32Array {
  return a.map((value, index) => value - (b[index] ?? 0));
}
