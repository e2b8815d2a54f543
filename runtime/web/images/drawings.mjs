// What the images of the page show: the icon, a millstone, and an example for models that look at images.

import { disc, draw, ellipse, line, polygon } from "./raster.mjs";

const DARK = "#1a2230";
const GRAIN = "#e6b33c";
/** The furrows of an eighth of the stone, as the icon has them: `[x, from, to]`. */
const FURROWS = [
  [5, -14, -41],
  [17, -12, -37],
];
/** Units from one side of the icon to the other, and where the stone ends. */
const SIZE = 100;
const STONE = 48;

/** The icon as an SVG file. */
export function iconSvg() {
  const path = FURROWS.map(([x, from, to]) => `M${x} ${from}V${to}`).join("");
  const rotated = [90, 180, 270].map((angle) => `<use href="#b" transform="rotate(${angle})"/>`).join("");
  return (
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="-50 -50 100 100"><circle r="${STONE}" fill="${DARK}"/>` +
    `<g id="a" stroke="${GRAIN}" stroke-width="5" stroke-linecap="round"><path id="b" d="${path}"/>${rotated}</g>` +
    `<use href="#a" transform="rotate(45)"/><circle r="8" fill="${GRAIN}"/></svg>\n`
  );
}

/** The icon as pixels. A masked one fills its square: the system cuts off the corners. */
export function iconPixels(size, masked) {
  const furrows = [0, 45, 90, 135, 180, 225, 270, 315].flatMap((angle) =>
    FURROWS.map(([x, from, to]) => {
      const turn = (angle * Math.PI) / 180;
      const at = (y) => [x * Math.cos(turn) - y * Math.sin(turn), x * Math.sin(turn) + y * Math.cos(turn)];
      return shape(line(...at(from), ...at(to), 5), GRAIN);
    }),
  );
  const ground = shape(disc(0, 0, masked ? SIZE : STONE), DARK);
  // What is more than four tenths from the middle may be cut off.
  const scale = (size / SIZE) * (masked ? 0.85 : 1);
  return draw(size, size, [ground, ...furrows, shape(disc(0, 0, 8), GRAIN)], scale);
}

/** A cat in front of a mill. */
export function examplePixels(width, height) {
  const sky = ["#8fc1e3", "#a3cde8", "#b8d9ec", "#cde4ef", "#e0edf0"].map((colour, at) =>
    shape((_, y) => -100 + at * 30 - y, colour),
  );
  const scene = [
    ...sky,
    shape(disc(-110, -62, 18), "#fbe7a1"),
    shape(ellipse(-70, 92, 190, 70), "#8aa861"),
    shape(ellipse(130, 104, 200, 84), "#789a50"),
    ...mill(72, -4),
    shape((_, y) => 52 - y, "#66883f"),
    ...grass(),
    ...cat(-46, 44),
  ];
  return draw(width, height, scene, width / 300);
}

function mill(x, y) {
  const sail = (angle) => {
    const turn = (angle * Math.PI) / 180;
    const at = (along, aside) => [
      x + along * Math.cos(turn) - aside * Math.sin(turn),
      y - 28 + along * Math.sin(turn) + aside * Math.cos(turn),
    ];
    return [
      shape(polygon(at(12, 1), at(52, 1), at(52, 12), at(12, 9)), "#f2ead6"),
      shape(line(...at(0, 0), ...at(54, 0), 2.6), "#5b4630"),
    ];
  };
  return [
    shape(polygon([x - 15, y - 28], [x + 15, y - 28], [x + 24, y + 62], [x - 24, y + 62]), "#cbbfa8"),
    shape(polygon([x + 4, y - 28], [x + 15, y - 28], [x + 24, y + 62], [x + 8, y + 62]), "#b3a68d"),
    shape(polygon([x - 18, y - 28], [x + 18, y - 28], [x + 8, y - 46], [x - 8, y - 46]), "#6b3f2e"),
    shape(polygon([x - 6, y + 36], [x + 6, y + 36], [x + 6, y + 62], [x - 6, y + 62]), "#5b4630"),
    shape(polygon([x - 4, y - 4], [x + 4, y - 4], [x + 4, y + 8], [x - 4, y + 8]), "#3c4a5c"),
    ...[22, 112, 202, 292].flatMap(sail),
    shape(disc(x, y - 28, 4), "#3b2c1c"),
  ];
}

function grass() {
  return Array.from({ length: 46 }, (_, at) => {
    const [x, y] = [-150 + at * 6.7 + ((at * 37) % 5), 58 + ((at * 53) % 38)];
    return shape(line(x, y, x + ((at * 29) % 7) - 3, y - 7, 1.4), "#4f6f30");
  });
}

/** It sits, and looks at us. */
function cat(x, y) {
  const [fur, stripe, pale, dark] = ["#d9812f", "#a85a18", "#f7e3c6", "#2b2118"];
  const whisker = (side, drop) => line(x + side * 6, y - 37 + drop / 2, x + side * 26, y - 38 + drop * 1.6, 0.7);
  const whiskers = [-1, 1].flatMap((side) => [-2, 1, 4].map((drop) => shape(whisker(side, drop), pale)));
  const curl = (at) => [x + 24 + at * 5, y + 28 - at * at * 1.6];
  return [
    shape(ellipse(x + 2, y + 34, 46, 7), "#4f6f30"),
    ...[0, 1, 2, 3, 4].map((at) => shape(line(...curl(at), ...curl(at + 1), 10), at % 2 ? stripe : fur)),
    shape(ellipse(x, y + 6, 30, 30), fur),
    shape(ellipse(x, y + 14, 15, 20), pale),
    ...[-1, 1].flatMap((side) => [
      shape(line(x + side * 27, y - 4, x + side * 19, y, 4), stripe),
      shape(line(x + side * 29, y + 6, x + side * 20, y + 9, 4), stripe),
      shape(line(x + side * 10, y + 8, x + side * 9, y + 30, 11), fur),
      shape(ellipse(x + side * 10, y + 33, 9, 5), pale),
      shape(polygon([x + side * 22, y - 66], [x + side * 24, y - 40], [x + side * 4, y - 56]), fur),
      shape(polygon([x + side * 19, y - 59], [x + side * 20, y - 46], [x + side * 9, y - 53]), "#e8a59a"),
    ]),
    shape(ellipse(x, y - 38, 26, 22), fur),
    shape(line(x, y - 58, x, y - 50, 3), stripe),
    shape(line(x - 7, y - 57, x - 6, y - 50, 3), stripe),
    shape(line(x + 7, y - 57, x + 6, y - 50, 3), stripe),
    shape(ellipse(x, y - 29, 12, 9), pale),
    ...[-1, 1].flatMap((side) => [
      shape(ellipse(x + side * 11, y - 41, 5.5, 6), "#b9cf5e"),
      shape(ellipse(x + side * 11, y - 41, 2.2, 5), dark),
      shape(disc(x + side * 11 + 1.5, y - 43, 1.2), "#ffffff"),
      shape(line(x, y - 30, x + side * 5, y - 26, 1.3), dark),
    ]),
    ...whiskers,
    shape(polygon([x - 4, y - 35], [x + 4, y - 35], [x, y - 30]), "#c96a63"),
  ];
}

function shape(distance, colour) {
  const value = (at) => parseInt(colour.slice(at, at + 2), 16);
  return { distance, colour: [value(1), value(3), value(5)] };
}
