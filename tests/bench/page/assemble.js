// Just enough of a WebAssembly assembler for loops that show what a CPU can do.

/** An unsigned number as LEB128. */
function number(value) {
  const low = value & 0x7f;
  const rest = value >>> 7;
  return rest ? [low | 0x80, ...number(rest)] : [low];
}

/** A signed number as LEB128. */
function signed(value) {
  const low = value & 0x7f;
  const rest = value >> 7;
  const done = (rest === 0 && !(low & 0x40)) || (rest === -1 && low & 0x40);
  return done ? [low] : [low | 0x80, ...signed(rest)];
}

const sized = (bytes) => [...number(bytes.length), ...bytes];
const listed = (items) => [...number(items.length), ...items.flat()];
const section = (id, items) => [id, ...sized(listed(items))];
const simd = (code) => [0xfd, ...number(code)];

/** Instructions, as bytes. */
export const op = {
  get: (local) => [0x20, ...number(local)],
  set: (local) => [0x21, ...number(local)],
  tee: (local) => [0x22, ...number(local)],
  i32: (value) => [0x41, ...signed(value)],
  add: [0x6a],
  sub: [0x6b],
  /** Repeats the body as long as it leaves another number than zero. */
  loop: (...body) => [0x03, 0x40, ...body.flat(), 0x0d, 0x00, 0x0b],
  load: (offset) => [...simd(0x00), 4, ...number(offset)],
  store: [...simd(0x0b), 4, 0],
  splat: simd(0x11),
  xor: simd(0x51),
  addI32: simd(0xae),
  dotI16: simd(0xba),
  addF32: simd(0xe4),
  mulF32: simd(0xe6),
  relaxedMadd: simd(0x105),
  relaxedDotAdd: simd(0x113),
};

/**
 * A module that imports its memory, `host.memory`. Its functions take three numbers, locals 0 to 2; locals 3 and 4 are
 * further ones, and from 5 on there are `vectors` locals of 128 bits.
 *
 * @param {Record<string, { vectors: number, body: number[][] }>} functions
 */
export function assemble(functions) {
  const text = (value) => sized(Array.from(new TextEncoder().encode(value)));
  const entries = Object.entries(functions);
  const code = entries.map(([, { vectors, body }]) => {
    const locals = listed([[2, 0x7f], [...number(vectors), 0x7b]]);
    return sized([...locals, ...body.flat(), 0x0b]);
  });
  return Uint8Array.from([
    ...[0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00],
    ...section(1, [[0x60, 3, 0x7f, 0x7f, 0x7f, 0]]),
    ...section(2, [[...text("host"), ...text("memory"), 0x02, 0x00, 1]]),
    ...section(3, entries.map(() => [0])),
    ...section(7, entries.map(([name], i) => [...text(name), 0x00, i])),
    ...section(10, code),
  ]);
}
