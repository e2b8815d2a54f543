// Draws the images of the page: node images/draw.mjs. They are in the repository; a test holds them to the drawings.

import { mkdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { examplePixels, iconPixels, iconSvg } from "./drawings.mjs";
import { encode } from "./png.mjs";

const PAGE = path.join(path.dirname(fileURLToPath(import.meta.url)), "../page");

/** The images, by their file. */
export const IMAGES = {
  "icon-192.png": { width: 192, height: 192, pixels: () => iconPixels(192, false) },
  "icon-512.png": { width: 512, height: 512, pixels: () => iconPixels(512, false) },
  "icon-masked.png": { width: 512, height: 512, pixels: () => iconPixels(512, true) },
  "example.png": { width: 480, height: 320, pixels: () => examplePixels(480, 320) },
};

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  mkdirSync(PAGE, { recursive: true });
  writeFileSync(path.join(PAGE, "icon.svg"), iconSvg());
  for (const [name, { width, height, pixels }] of Object.entries(IMAGES)) {
    writeFileSync(path.join(PAGE, name), encode(width, height, pixels()));
  }
}
