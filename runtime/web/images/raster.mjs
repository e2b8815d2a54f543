// Draws flat shapes with smooth edges, with the same pixels on every machine.

/** @typedef {{ distance: (x: number, y: number) => number, colour: [number, number, number] }} Shape */

/** Levels of coverage at an edge, and the step of colour channels there: coarse, so that an image has few colours. */
const STEPS = 5;
const ROUGH = 15;

/** The length of a vector. Engines may round `Math.hypot` differently. */
function length(x, y) {
  return Math.sqrt(x * x + y * y);
}

/** A disc. @returns {(x: number, y: number) => number} */
export function disc(x, y, radius) {
  return (px, py) => length(px - x, py - y) - radius;
}

/** An ellipse; its edge is smooth only as far as it is near a circle. */
export function ellipse(x, y, width, height) {
  return (px, py) => (length((px - x) / width, (py - y) / height) - 1) * Math.min(width, height);
}

/** A line with round ends. */
export function line(x1, y1, x2, y2, width) {
  const [dx, dy] = [x2 - x1, y2 - y1];
  return (px, py) => {
    const at = ((px - x1) * dx + (py - y1) * dy) / (dx * dx + dy * dy || 1);
    const along = Math.min(1, Math.max(0, at));
    return length(px - x1 - along * dx, py - y1 - along * dy) - width / 2;
  };
}

/** A polygon of points `[x, y]`. */
export function polygon(...points) {
  const sides = points.map(([x1, y1], at) => {
    const [x2, y2] = points[(at + 1) % points.length];
    return { x1, y1, x2, y2, distance: line(x1, y1, x2, y2, 0) };
  });
  return (px, py) => {
    let [nearest, inside] = [Infinity, false];
    for (const { x1, y1, x2, y2, distance } of sides) {
      nearest = Math.min(nearest, distance(px, py));
      if (y1 > py !== y2 > py && px < ((x2 - x1) * (py - y1)) / (y2 - y1) + x1) inside = !inside;
    }
    return inside ? -nearest : nearest;
  };
}

/**
 * Draws shapes onto a transparent image, the first at the bottom.
 *
 * @param {number} width pixels
 * @param {number} height pixels
 * @param {Shape[]} shapes their origin is the middle of the image
 * @param {number} scale pixels per unit of the shapes
 * @returns {Uint8Array} four bytes per pixel
 */
export function draw(width, height, shapes, scale) {
  const pixels = new Uint8Array(width * height * 4);
  for (let row = 0; row < height; row++) {
    for (let column = 0; column < width; column++) {
      const [x, y] = [(column + 0.5 - width / 2) / scale, (row + 0.5 - height / 2) / scale];
      let mixed = [0, 0, 0, 0];
      for (const { distance, colour } of shapes) {
        const share = 0.5 - distance(x, y) * scale;
        if (share <= 0) continue;
        const cover = Math.round(Math.min(1, share) * STEPS) / STEPS;
        if (cover > 0) mixed = over(mixed, colour, cover);
      }
      pixels.set(mixed, (row * width + column) * 4);
    }
  }
  return pixels;
}

/** A colour composited over another, which may be transparent. */
function over([red, green, blue, alpha], colour, cover) {
  if (cover === 1) return [...colour, 255];
  const below = (alpha / 255) * (1 - cover);
  const all = cover + below;
  const mix = (under, above) => Math.round((above * cover + under * below) / all / ROUGH) * ROUGH;
  return [mix(red, colour[0]), mix(green, colour[1]), mix(blue, colour[2]), Math.round(all * 255)];
}
