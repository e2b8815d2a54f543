// Images as the page shows them. Addresses of files are no images here: the page's policy forbids them.

import { h } from "../dom";
import { troubleOf } from "../panels/trouble";

/** What is said of a file that is no image. */
const NO_IMAGE = "The browser cannot read this file as an image.";

/** What is wrong with a file that the browser shows no image of: what the model says when it is given it. */
export async function reasonOf(attempt: Promise<unknown>): Promise<string> {
  return attempt.then(
    () => NO_IMAGE,
    (thrown: unknown) => troubleOf(thrown).message,
  );
}

/** Most pixels on a side of a large image. */
export const LARGE = 1280;

/** An image, at most so many pixels wide and high; rejects if the file is none. */
export async function painted(file: Blob, most: number, name: string): Promise<HTMLCanvasElement> {
  const bitmap = await createImageBitmap(file);
  const canvas = h("canvas", { role: "img", "aria-label": name });
  scaled(canvas, bitmap, most);
  bitmap.close();
  return canvas;
}

/** Shows an image, at most so many pixels wide and high. */
export function scaled(canvas: HTMLCanvasElement, image: ImageBitmap, most = LARGE): void {
  const scale = Math.min(1, most / Math.max(image.width, image.height));
  canvas.width = Math.max(1, Math.round(image.width * scale));
  canvas.height = Math.max(1, Math.round(image.height * scale));
  canvas.getContext("2d")?.drawImage(image, 0, 0, canvas.width, canvas.height);
  canvas.hidden = false;
}
