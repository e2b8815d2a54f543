// Boxes around detected objects: the style of each class, and where labels go.

import type { Detection } from "../../ts/index";
import { h } from "../dom";

/** How the boxes of a class are drawn. */
export interface BoxStyle {
  colour: string;
  /** The colour of text on it. */
  ink: string;
  /** Lengths of dashes and gaps, in line widths. Not everybody can tell classes apart by colour. */
  dashes: number[];
}

/**
 * Colours with a contrast of at least 3:1 against white and against black, so they work on the light and the dark page.
 * Neighbours differ in hue.
 */
export const COLOURS = ["#d93a2b", "#2f7bd8", "#b07400", "#9a4fc4", "#16864a", "#d0408f", "#0a8791", "#7c7f1a"];
const DASHES = [[], [3, 2], [1, 1.5], [6, 2, 1, 2]];
/** The font size of labels and the width of lines, in CSS pixels. */
const LABEL = 14;
const LINE = 3;

/** The style of each detected class. Up to 32 classes, no two have the same colour and the same dashes. */
export function boxStyles(found: Detection[]): Map<number, BoxStyle> {
  const classes = [...new Set(found.map((one) => one.class))].sort((a, b) => a - b);
  return new Map(classes.map((number, at) => [number, styleAt(at)]));
}

function styleAt(at: number): BoxStyle {
  const colour = COLOURS[at % COLOURS.length] ?? "#000000";
  const dashes = DASHES[(at + Math.floor(at / COLOURS.length)) % DASHES.length] ?? [];
  return { colour, ink: luminance(colour) > 0.18 ? "#000" : "#fff", dashes };
}

/** The relative luminance of a colour, as WCAG defines it. */
export function luminance(colour: string): number {
  const [red, green, blue] = [1, 3, 5].map((at) => {
    const value = parseInt(colour.slice(at, at + 2), 16) / 255;
    return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
  }) as [number, number, number];
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}

/** Where a label goes: on top of its box, or as near to that as it fits into the image. */
export function labelPlace(
  [left, top]: Detection["box"],
  label: { width: number; height: number },
  image: { width: number; height: number },
): { left: number; top: number } {
  const within = (at: number, length: number, all: number): number => Math.max(0, Math.min(at, all - length));
  // Above the box, it covers nothing of the object.
  const above = top - label.height >= 0 ? top - label.height : top;
  return { left: within(left, label.width, image.width), top: within(above, label.height, image.height) };
}

/** Draws an image with boxes, the first on top. `scale` is the number of canvas pixels per CSS pixel. */
export function drawBoxes(
  canvas: HTMLCanvasElement,
  image: ImageBitmap,
  found: Detection[],
  styles: Map<number, BoxStyle>,
  scale: number,
): void {
  const context = canvas.getContext("2d");
  if (!context) return;
  context.setLineDash([]);
  context.drawImage(image, 0, 0, canvas.width, canvas.height);
  const ratio = canvas.width / image.width;
  for (const one of [...found].reverse()) {
    const style = styles.get(one.class) ?? styleAt(0);
    // Edges beyond the image are drawn at its border.
    const inset = (LINE * scale) / 2;
    const inside = (at: number, all: number): number => Math.max(inset, Math.min(at * ratio, all - inset));
    const [left, right] = [inside(one.box[0], canvas.width), inside(one.box[2], canvas.width)];
    const [top, bottom] = [inside(one.box[1], canvas.height), inside(one.box[3], canvas.height)];
    outline(context, style, scale, left, top, right - left, bottom - top);
    write(context, style, scale, one, [left - inset, top - inset, right, bottom]);
  }
}

/** A line in the colour of its class on top of a light one, so that it stands out from dark images, too. */
function outline(
  context: CanvasRenderingContext2D,
  { colour, dashes }: BoxStyle,
  scale: number,
  ...rectangle: [number, number, number, number]
): void {
  const width = LINE * scale;
  context.setLineDash([]);
  context.lineWidth = width;
  context.strokeStyle = "rgb(255 255 255 / 70%)";
  context.strokeRect(...rectangle);
  context.setLineDash(dashes.map((length) => length * width));
  context.strokeStyle = colour;
  context.strokeRect(...rectangle);
}

function write(
  context: CanvasRenderingContext2D,
  { colour, ink }: BoxStyle,
  scale: number,
  { label, score }: Detection,
  box: Detection["box"],
): void {
  const [size, pad] = [LABEL * scale, 4 * scale];
  context.font = `600 ${size}px ui-sans-serif, system-ui, sans-serif`;
  context.textBaseline = "middle";
  const room = context.canvas.width - 2 * pad;
  const text = shortened(label, ` ${(100 * score).toFixed(0)} %`, (said) => context.measureText(said).width <= room);
  const width = Math.min(context.measureText(text).width, room) + 2 * pad;
  const height = size + 2 * pad;
  const { left, top } = labelPlace(box, { width, height }, context.canvas);
  context.fillStyle = colour;
  context.fillRect(left, top, width, height);
  context.fillStyle = ink;
  context.fillText(text, left + pad, top + height / 2, room);
}

/** A name and its ending; the name is cut if both do not fit. */
export function shortened(name: string, end: string, fits: (text: string) => boolean): string {
  if (fits(name + end)) return name + end;
  for (let length = name.length - 1; length > 0; length--) {
    const text = `${name.slice(0, length).trimEnd()}…${end}`;
    if (fits(text)) return text;
  }
  return end.trim();
}

/** A sample of a style, for the list below the image. */
export function swatch(style: BoxStyle): HTMLElement {
  const scale = 2;
  const canvas = h("canvas", { class: "swatch", width: 28 * scale, height: 16 * scale, "aria-hidden": "true" });
  const context = canvas.getContext("2d");
  if (context) outline(context, style, scale, 3, 3, canvas.width - 6, canvas.height - 6);
  return canvas;
}
