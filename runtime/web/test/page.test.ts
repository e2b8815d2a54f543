// The parts of the page that need no browser.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { join } from "node:path";
import { IMAGES } from "../images/draw.mjs";
import { iconSvg } from "../images/drawings.mjs";
import { decode } from "../images/png.mjs";
import { boxStyles, COLOURS, labelPlace, luminance, shortened } from "../page/tasks/boxes";

declare const TEST_FOLDER: string;
const PAGE = join(TEST_FOLDER, "../page");

test("the images of the page are those that are drawn", () => {
  assert.equal(readFileSync(join(PAGE, "icon.svg"), "utf8"), iconSvg());
  for (const [name, { width, height, pixels }] of Object.entries(IMAGES)) {
    const image = decode(readFileSync(join(PAGE, name)));
    assert.deepEqual([image.width, image.height], [width, height], name);
    assert.ok(Buffer.from(pixels()).equals(Buffer.from(image.pixels)), `${name}: npm run images draws another`);
  }
  assert.ok(readFileSync(join(PAGE, "example.png")).length < 10_000, "the example is small");
});

test("the web manifest names icons that are there, in their sizes", () => {
  const manifest = JSON.parse(readFileSync(join(PAGE, "manifest.webmanifest"), "utf8")) as {
    icons: { src: string; sizes: string }[];
  };
  const pngs = manifest.icons.filter(({ src }) => src.endsWith(".png"));
  assert.deepEqual(
    pngs.map(({ sizes }) => sizes),
    ["192x192", "512x512", "512x512"],
  );
  for (const { src, sizes } of pngs) {
    const { width, height } = decode(readFileSync(join(PAGE, src)));
    assert.equal(`${width}x${height}`, sizes, src);
  }
  assert.ok(manifest.icons.some(({ src }) => src === "icon.svg"));
});

const box = (number: number) => ({ label: "x", class: number, score: 1, box: [0, 0, 1, 1] as [number, number, number, number] });

test("each class has a look of its own", () => {
  const styles = boxStyles(Array.from({ length: 64 }, (_, at) => box(at % 32)));
  const looks = new Set([...styles.values()].map(({ colour, dashes }) => `${colour} ${dashes.join()}`));
  assert.equal(styles.size, 32);
  assert.equal(looks.size, 32);
  const first = [...styles.values()].slice(0, COLOURS.length);
  assert.equal(new Set(first.map(({ colour }) => colour)).size, COLOURS.length, "colours differ before they repeat");
  for (const [at, { dashes }] of first.entries()) {
    assert.notDeepEqual(dashes, first[at - 1]?.dashes, "neighbours differ in more than colour");
  }
});

test("the colours of classes stand out from the page, light and dark, and text from them", () => {
  const contrast = (a: string, b: string) => {
    const [low, high] = [luminance(a), luminance(b)].sort((x, y) => x - y) as [number, number];
    return (high + 0.05) / (low + 0.05);
  };
  for (const { colour, ink } of boxStyles(COLOURS.map((_, at) => box(at))).values()) {
    for (const ground of ["#f6f5f1", "#11161e", "#ffffff", "#000000"]) {
      assert.ok(contrast(colour, ground) >= 3, `${colour} on ${ground}: ${contrast(colour, ground)}`);
    }
    const text = ink === "#fff" ? "#ffffff" : "#000000";
    assert.ok(contrast(colour, text) >= 4.5, `${text} on ${colour}: ${contrast(colour, text)}`);
  }
});

test("labels stay inside the image", () => {
  const image = { width: 100, height: 80 };
  const label = { width: 30, height: 10 };
  assert.deepEqual(labelPlace([20, 40, 60, 60], label, image), { left: 20, top: 30 });
  assert.deepEqual(labelPlace([20, 4, 60, 60], label, image), { left: 20, top: 4 }, "no room above: inside the box");
  assert.deepEqual(labelPlace([-9, -9, 60, 60], label, image), { left: 0, top: 0 });
  assert.deepEqual(labelPlace([90, 90, 120, 120], label, image), { left: 70, top: 70 });
  assert.deepEqual(labelPlace([90, 40, 120, 120], { width: 200, height: 10 }, image).left, 0);
});

test("a long name is cut so that its score is seen", () => {
  const fits = (text: string) => text.length <= 12;
  assert.equal(shortened("cat", " 50 %", fits), "cat 50 %");
  assert.equal(shortened("a wheel that turns", " 50 %", fits), "a whee… 50 %");
  assert.equal(
    shortened("cat", " 50 %", () => false),
    "50 %",
  );
});
