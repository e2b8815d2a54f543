// A field of the settings: its name, its unit, a word of explanation, and what is wrong with what stands in it.

import { h } from "../../dom";

/** What a field is for. */
export interface FieldOptions {
  name: string;
  label: string;
  /** In what it is counted. */
  unit?: string;
  /** What it does, in a few words. */
  hint: string;
  /** What it says at first. */
  usual: string;
  input: HTMLInputElement | HTMLTextAreaElement;
  /** What is wrong with a text, or null. */
  wrong(text: string): string | null;
  /** How the value is shown beside the field, where the field itself does not show it. */
  show?(text: string): string;
}

/** A field. */
export interface Field {
  name: string;
  element: HTMLElement;
  /** What it says, or said when that was right. */
  text(): string;
  /** Begins anew: with a text if it is right, else as usual. */
  reset(text?: string): void;
  isUsual(): boolean;
  /** Looks at what stands there now, and tells what is wrong with it; says whether it is right. */
  check(): boolean;
}

/** A new field. */
export function field(options: FieldOptions): Field {
  const { name, input, usual } = options;
  const ids = { hint: `about-${name}`, wrong: `wrong-${name}` };
  const output = options.show ? h("output") : null;
  const wrong = h("p", { id: ids.wrong, class: "wrong", role: "alert" });
  let right = usual;
  input.name = name;
  input.setAttribute("aria-describedby", `${ids.hint} ${ids.wrong}`);

  function check(): boolean {
    // A number field that has something else in it says that it is empty.
    const problem = input.validity.badInput ? "Expected a number." : options.wrong(input.value);
    if (problem === null) right = input.value;
    const told = problem === null ? "" : `${problem} Until then it is ${right === "" ? "empty" : right}.`;
    if (wrong.textContent !== told) wrong.textContent = told;
    input.setAttribute("aria-invalid", String(problem !== null));
    if (output) output.textContent = options.show?.(right) ?? "";
    return problem === null;
  }

  function reset(text = usual): void {
    right = usual;
    input.value = options.wrong(text) === null ? text : usual;
    check();
  }

  reset();
  const unit = options.unit ? ` (${options.unit})` : "";
  return {
    name,
    element: h(
      "div",
      { class: "field" },
      h("label", {}, h("span", {}, `${options.label}${unit}`), input, output),
      h("p", { id: ids.hint, class: "note" }, options.hint),
      wrong,
    ),
    text() {
      check();
      return right;
    },
    reset,
    isUsual: () => right === usual,
    check,
  };
}

/** The values of a number. */
export interface NumberRange {
  min: number;
  max: number;
  step: number;
  /** Only whole numbers. */
  whole?: boolean;
}

/** What is wrong with a number. */
export function wrongNumber(text: string, { min, max, whole = false }: NumberRange): string | null {
  const value = Number(text);
  const holds = text.trim() !== "" && Number.isFinite(value) && value >= min && value <= max;
  return holds && (!whole || Number.isInteger(value))
    ? null
    : `Expected a ${whole ? "whole " : ""}number from ${min} to ${max}.`;
}
