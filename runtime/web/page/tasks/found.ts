// Objects in an image, with a slider that filters them by score without running the model again.

import type { Detection, Model } from "../../ts/index";
import { h } from "../dom";
import { boxStyles, drawBoxes, swatch, type BoxStyle } from "./boxes";
import type { Look } from "./look";
import { scaled } from "./painted";
import { scoreList } from "./scores";

/** The initial threshold, and the lowest one, which the model is run with. */
const USUAL = 0.5;
const LEAST = 0.1;

/** Shows objects in boxes and in a list. */
export function found(model: Model): Look {
  const canvas = h("canvas", { hidden: true, role: "img", "aria-label": "The image, with boxes around objects" });
  const list = scoreList("Objects");
  const slider = h("input", {
    type: "range",
    id: "threshold",
    min: LEAST,
    max: 0.95,
    step: 0.05,
    value: USUAL,
    input: show,
  });
  const output = h("output", { for: "threshold" });
  const threshold = h(
    "div",
    { class: "threshold", hidden: true },
    h("label", { for: "threshold" }, "Minimum score"),
    slider,
    output,
  );
  let image: ImageBitmap | null = null;
  let all: Detection[] = [];
  let styles = new Map<number, BoxStyle>();

  function draw(shown: Detection[]): void {
    if (!image) return;
    const scale = canvas.clientWidth > 0 ? canvas.width / canvas.clientWidth : 1;
    drawBoxes(canvas, image, shown, styles, scale);
  }

  function show(): void {
    const least = slider.valueAsNumber;
    const percent = `${(100 * least).toFixed(0)} %`;
    output.textContent = percent;
    const shown = all.filter(({ score }) => score >= least);
    draw(shown);
    const mark = (one: Detection): HTMLElement | undefined => {
      const style = styles.get(one.class);
      return style && swatch(style);
    };
    list.show(
      shown.map((one) => ({ ...one, mark: mark(one) })),
      all.length > 0 ? `nothing; ${all.length} below ${percent}` : "nothing",
    );
  }

  // Lines and labels keep their size on the screen when the image is resized.
  new ResizeObserver(() => draw(all.filter(({ score }) => score >= slider.valueAsNumber))).observe(canvas);
  return {
    elements: [canvas, threshold, list.element],
    begin(next) {
      image = next;
      all = [];
      scaled(canvas, next);
    },
    async ask(asked) {
      all = await model.detect(asked, { threshold: LEAST });
      styles = boxStyles(all);
      threshold.hidden = false;
      show();
      return `${all.filter(({ score }) => score >= slider.valueAsNumber).length} found`;
    },
  };
}
