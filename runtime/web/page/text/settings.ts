// How text is generated, as the reader sets it.

import type { GenerateOptions, ModelInfo } from "../../ts/api";
import { announce, h } from "../dom";
import { field, wrongNumber, type Field, type NumberRange } from "./settings/field";
import { keptSettings } from "./settings/kept";

/** The settings: their element, and what they say now. */
export interface Settings {
  element: HTMLElement;
  options(): GenerateOptions;
}

/** The most likely tokens that there are to choose from, by the runtime. */
const CANDIDATES = 64;
/** Largest seed. */
const SEEDS = 2 ** 32 - 1;

/** Settings for a model, with this temperature unless the model comes with another one. They are kept over reloads. */
export function settings({ generation, maxContext }: ModelInfo, temperature = 0.7): Settings {
  const usual = { maxNewTokens: 256, temperature, topP: 0.9, topK: 0, minP: 0, repetitionPenalty: 1, ...generation };
  const fields: Field[] = [
    number("maxNewTokens", "Maximum length", "tokens", "The text ends after so many.", usual.maxNewTokens, {
      min: 1,
      max: maxContext,
      step: 1,
      whole: true,
    }),
    slider("temperature", "Temperature", "0 takes the most likely token; more is more varied.", usual.temperature, {
      min: 0,
      max: 2,
      step: 0.05,
    }),
    slider("topP", "Top-p", "Takes the most likely tokens until they have this probability together.", usual.topP, {
      min: 0.05,
      max: 1,
      step: 0.05,
    }),
    number("topK", "Top-k", "tokens", "Takes only so many of the most likely ones; 0: all.", usual.topK, {
      min: 0,
      max: CANDIDATES,
      step: 1,
      whole: true,
    }),
    number("minP", "Min-p", "", "Drops tokens below this part of the highest probability.", usual.minP, {
      min: 0,
      max: 1,
      step: 0.01,
    }),
    number(
      "repetitionPenalty",
      "Repetition penalty",
      "",
      "Above 1, words come again less often.",
      usual.repetitionPenalty,
      {
        min: 0.1,
        max: 10,
        step: 0.05,
      },
    ),
    field({
      name: "seed",
      label: "Seed",
      hint: "Equal seeds give equal texts; empty: another one each time.",
      usual: "",
      input: h("input", { type: "text", inputmode: "numeric", placeholder: "random", autocomplete: "off" }),
      wrong: (text) => (text.trim() === "" ? null : wrongNumber(text, { min: 0, max: SEEDS, step: 1, whole: true })),
    }),
    field({
      name: "stop",
      label: "Stop texts",
      unit: "one per line",
      hint: "The text ends in front of any of them. \\n means a new line.",
      usual: "",
      input: h("textarea", { rows: 1, placeholder: "None" }),
      wrong: () => null,
    }),
  ];
  const kept = keptSettings();
  const state = h("span");
  const reset = h("button", { type: "button", class: "quiet", click: () => begin({}) }, "Reset settings");
  const element = h(
    "details",
    { class: "settings", input: changed },
    h("summary", {}, "Settings", state),
    h("div", { class: "fields" }, ...fields.map((one) => one.element)),
    reset,
  );

  function changed(): void {
    const wrong = fields.filter((one) => !one.check()).length;
    const others = fields.filter((one) => !one.isUsual());
    kept.write(Object.fromEntries(others.map((one) => [one.name, one.text()])));
    state.textContent = wrong > 0 ? ` · ${wrong} wrong` : others.length > 0 ? ` · ${others.length} changed` : "";
    reset.hidden = wrong === 0 && others.length === 0;
  }

  /** Begins with values, and with the usual ones where they are missing or wrong. */
  function begin(values: Record<string, string>): void {
    const focused = document.activeElement === reset;
    for (const one of fields) one.reset(values[one.name]);
    changed();
    if (focused) {
      element.querySelector("summary")?.focus();
      announce("All settings are as usual");
    }
  }

  begin(kept.read());
  return {
    element,
    options() {
      changed();
      const text = (name: string): string => fields.find((one) => one.name === name)?.text() ?? "";
      const stop = text("stop")
        .split("\n")
        .filter((line) => line.trim() !== "");
      return {
        maxNewTokens: Number(text("maxNewTokens")),
        temperature: Number(text("temperature")),
        topP: Number(text("topP")),
        topK: Number(text("topK")),
        minP: Number(text("minP")),
        repetitionPenalty: Number(text("repetitionPenalty")),
        ...(text("seed").trim() === "" ? {} : { seed: Number(text("seed")) }),
        ...(stop.length === 0 ? {} : { stop: stop.map((line) => line.replaceAll("\\n", "\n")) }),
      };
    },
  };
}

function number(name: string, label: string, unit: string, hint: string, usual: number, range: NumberRange): Field {
  const { min, max, step } = range;
  const input = h("input", { type: "number", min, max, step });
  return field({
    name,
    label,
    unit,
    hint,
    usual: within(usual, range),
    input,
    wrong: (text) => wrongNumber(text, range),
  });
}

function slider(name: string, label: string, hint: string, usual: number, range: NumberRange): Field {
  const { min, max } = range;
  // A slider moves what it is given to one of its steps.
  const steps = usual / range.step;
  const step = Math.abs(steps - Math.round(steps)) < 1e-6 ? range.step : "any";
  const input = h("input", { type: "range", min, max, step });
  const show = (text: string): string => Number(text).toFixed(2);
  return field({
    name,
    label,
    hint,
    usual: within(usual, range),
    input,
    wrong: (text) => wrongNumber(text, range),
    show,
  });
}

/** What a model comes with may be more than the field has. */
function within(value: number, { min, max }: NumberRange): string {
  return String(Math.min(Math.max(value, min), max));
}
