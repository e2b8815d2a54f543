// Writes PNG files with a palette, and reads what it wrote.

import { crc32, deflateSync, inflateSync } from "node:zlib";

const SIGNATURE = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);

/** Pixels, four bytes each, as a file. At most 256 colours. */
export function encode(width, height, pixels) {
  const palette = new Map();
  const view = new DataView(pixels.buffer, pixels.byteOffset);
  const rows = Buffer.alloc((width + 1) * height);
  for (let at = 0; at < width * height; at++) {
    const colour = view.getUint32(at * 4);
    if (!palette.has(colour)) palette.set(colour, palette.size);
    rows[Math.floor(at / width) * (width + 1) + 1 + (at % width)] = palette.get(colour);
  }
  if (palette.size > 256) throw new Error(`${palette.size} colours; a palette has 256`);
  const colours = [...palette.keys()].map((colour) => [24, 16, 8, 0].map((bit) => (colour >>> bit) & 255));
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  // Eight bits, of a palette.
  header.set([8, 3, 0, 0, 0], 8);
  return Buffer.concat([
    SIGNATURE,
    chunk("IHDR", header),
    chunk("PLTE", Buffer.from(colours.flatMap(([red, green, blue]) => [red, green, blue]))),
    chunk("tRNS", Buffer.from(colours.map(([, , , alpha]) => alpha))),
    chunk("IDAT", deflateSync(rows, { level: 9 })),
    chunk("IEND", Buffer.alloc(0)),
  ]);
}

function chunk(kind, data) {
  const named = Buffer.concat([Buffer.from(kind, "latin1"), data]);
  const [length, check] = [Buffer.alloc(4), Buffer.alloc(4)];
  length.writeUInt32BE(data.length);
  check.writeUInt32BE(crc32(named));
  return Buffer.concat([length, named, check]);
}

/** A file of {@link encode} as `{ width, height, pixels }`. */
export function decode(file) {
  if (!file.subarray(0, 8).equals(SIGNATURE)) throw new Error("no PNG file");
  const chunks = {};
  for (let at = 8; at < file.length; ) {
    const length = file.readUInt32BE(at);
    chunks[file.toString("latin1", at + 4, at + 8)] = file.subarray(at + 8, at + 8 + length);
    at += length + 12;
  }
  const { IHDR, PLTE, tRNS, IDAT } = chunks;
  const [width, height] = [IHDR.readUInt32BE(0), IHDR.readUInt32BE(4)];
  const rows = inflateSync(IDAT);
  const pixels = new Uint8Array(width * height * 4);
  for (let at = 0; at < width * height; at++) {
    const index = rows[Math.floor(at / width) * (width + 1) + 1 + (at % width)];
    pixels.set(PLTE.subarray(index * 3, index * 3 + 3), at * 4);
    pixels[at * 4 + 3] = tRNS[index];
  }
  return { width, height, pixels };
}
