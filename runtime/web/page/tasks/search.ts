// Search by meaning: sentences in the order of their likeness to what is typed.

import type { EmbeddingInfo, Model } from "../../ts/index";
import { announce, h, setState, view } from "../dom";
import type { Facts } from "../panels/facts";
import { batchBar } from "./batches";
import { latest } from "./latest";
import { bar } from "./scores";
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
/** With more new sentences than this, a progress bar is shown. */
const MANY = 32;
/** Most sentences that are listed. */
const SHOWN = 50;

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
  const status = batchBar(() => controller?.abort(), () => void search());
  let controller: AbortController | null = null;
  let timer = 0;

  function later(): void {
    clearTimeout(timer);
    timer = window.setTimeout(() => void search(), PAUSE);
  }

  const key = (promptName: string, text: string): string => JSON.stringify([promptName, text]);

  /** Gets the vectors of texts behind a prompt from the model where they are not known yet. */
  async function embedAll(texts: string[], promptName: string, signal: AbortSignal): Promise<void> {
    const missing = texts.filter((text) => !vectors.has(key(promptName, text)));
    for (let at = 0; at < missing.length; at += BATCH) {
      if (missing.length > MANY) status.progress(texts.length - missing.length + at, texts.length);
      const batch = missing.slice(at, at + BATCH);
      const begin = performance.now();
      const found = await model.embed(batch, { promptName, signal });
      facts.embedded(batch.length, performance.now() - begin);
      batch.forEach((text, index) => vectors.set(key(promptName, text), found[index] ?? new Float32Array()));
    }
  }

  const search = latest(async () => {
    setState("working");
    const { signal } = (controller = new AbortController());
    const query = input.value.trim();
    const texts = lines(sentences.value);
    try {
      if (query !== "" && texts.length > 0) {
        await embedAll([query], "query", signal);
        await embedAll(texts, documents, signal);
      }
      rank(query, texts);
    } catch (thrown) {
      const error = troubleOf(thrown);
      if (error.code === "aborted") rank(query, texts);
      else failed(error);
    }
    controller = null;
    setState("ready");
    void report(model, facts);
  });

  /** Lists the texts whose vectors are known, the closest first. */
  function rank(query: string, texts: string[]): void {
    const wanted = vectors.get(key("query", query));
    const known = texts.filter((text) => vectors.has(key(documents, text)));
    if (!wanted || texts.length === 0) return list.replaceChildren(...texts.slice(0, SHOWN).map((text) => row(text)));
    const { name, score } = MEASURES[similarity];
    const ranked = known
      .map((text) => ({ text, score: score(wanted, vectors.get(key(documents, text)) ?? new Float32Array()) }))
      .sort((a, b) => b.score - a.score);
    const scores = ranked.map(({ score }) => score);
    const shown = ranked.slice(0, SHOWN);
    list.replaceChildren(...shown.map(({ text, score }) => row(text, score, share(score, scores, similarity))));
    if (known.length < texts.length) status.stopped(known.length, texts.length);
    else status.done(`${known.length > SHOWN ? `The closest ${SHOWN} of ` : ""}${known.length} sentences by ${name}`);
    announce(`Closest: ${ranked[0]?.text ?? ""}`);
  }

  // Listed before the first scores come, so that nothing moves.
  rank("", lines(sentences.value));
  void search();
  return view(
    "search",
    "Search by meaning",
    h("label", { for: "query" }, "What are you looking for?"),
    input,
    status.element,
    list,
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

/** A sentence, and its score as soon as there is one. */
function row(text: string, score?: number, filled = 0): HTMLElement {
  const number = h("span", { class: "score" }, score?.toFixed(2));
  return h("li", {}, h("span", { class: "sentence" }, text), bar(filled), number);
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
