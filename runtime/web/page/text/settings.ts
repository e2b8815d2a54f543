// How text is generated, as the reader sets it.

import type { GenerateOptions } from "../../ts/api";
import { h } from "../dom";

/** The settings: their element, and what they say now. */
export interface Settings {
  element: HTMLElement;
  options(): GenerateOptions;
}

/** New settings, with ordinary values and this temperature. */
export function settings(usual = 0.7): Settings {
  const length = numberField("Maximum length", "tokens", { min: 1, max: 100000, step: 1, value: 256 });
  const temperature = slider("Temperature", { min: 0, max: 2, step: 0.05, value: usual });
  const topP = slider("Top-p", { min: 0.05, max: 1, step: 0.05, value: 0.9 });
  const seed = h("input", {
    type: "text",
    inputmode: "numeric",
    pattern: "[0-9]*",
    placeholder: "random",
    name: "seed",
  });
  const element = h(
    "details",
    { class: "settings" },
    h("summary", {}, "Settings"),
    h("div", { class: "fields" }, length.element, temperature.element, topP.element, labelled("Seed", seed)),
    h("p", { class: "note" }, "Temperature 0 always takes the most likely token. Equal seeds give equal texts."),
  );

  return {
    element,
    options() {
      const options: GenerateOptions = {
        maxNewTokens: length.value(),
        temperature: temperature.value(),
        topP: topP.value(),
      };
      if (/^[0-9]+$/.test(seed.value.trim())) options.seed = Number(seed.value);
      return options;
    },
  };
}

interface Field {
  element: HTMLElement;
  value(): number;
}

type Range = { min: number; max: number; step: number; value: number };

function labelled(text: string, input: HTMLElement, after?: HTMLElement): HTMLElement {
  return h("label", {}, h("span", {}, text), input, after);
}

function numberField(text: string, unit: string, range: Range): Field {
  const input = h("input", { type: "number", ...range });
  const value = () => Math.min(Math.max(Math.round(input.valueAsNumber) || range.value, range.min), range.max);
  return { element: labelled(`${text} (${unit})`, input), value };
}

function slider(text: string, range: Range): Field {
  const input = h("input", { type: "range", ...range, input: () => show() });
  const output = h("output");
  const show = () => (output.textContent = input.valueAsNumber.toFixed(2));
  show();
  return { element: labelled(text, input, output), value: () => input.valueAsNumber };
}
