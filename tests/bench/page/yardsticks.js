// What the CPU can do at best in this browser: operations on registers, and reading memory.

import { assemble, op } from "./assemble.js";
import { time } from "./time.js";

const MIB = 1 << 20;
/** Enough sums to hide how long one operation takes, few enough for 16 registers. */
const SUMS = 12;
/** Locals: where memory is read from, turns of a loop, and how often all of them; what is left of each; vectors. */
const [FIRST, TURNS, REPEATS, AT, COUNT, LEFT, RIGHT] = [0, 1, 2, 3, 4, 5, 6];
const SUM = Array.from({ length: SUMS }, (_, i) => 7 + i);
/** Vectors that a turn of a loop over memory reads. */
const READS = 24;

const down = (local) => [op.get(local), op.i32(1), op.sub, op.tee(local)];

/** A function that does a turn again and again. */
function again(turn) {
  // Operands come from a number that is not known before; all sums are kept, so that nothing is left out.
  const operand = (local) => [op.i32(0x01010101), op.get(REPEATS), op.sub, op.splat, op.set(local)];
  const begin = [LEFT, RIGHT].flatMap(operand);
  const end = [op.i32(0), op.get(SUM[0]), ...SUM.slice(1).flatMap((sum) => [op.get(sum), op.xor]), op.store];
  const start = [op.get(FIRST), op.set(AT), op.get(TURNS), op.set(COUNT)];
  const body = [...begin, op.loop(...start, op.loop(...turn, ...down(COUNT)), ...down(REPEATS)), ...end];
  return { vectors: 2 + SUMS, body };
}

/** A function that does something to every sum. */
function onRegisters(step) {
  return again(SUM.flatMap((sum) => [...step(sum), op.set(sum)]));
}

/** A function that reads memory. */
function onMemory(step) {
  const reads = Array.from({ length: READS }, (_, i) => {
    const sum = SUM[i % SUMS];
    return [...step([op.get(AT), op.load(16 * i)], sum), op.set(sum)];
  });
  return again([...reads.flat(), op.get(AT), op.i32(16 * READS), op.add, op.set(AT)]);
}

const BASELINE = {
  dot: onRegisters((sum) => [op.get(sum), op.get(RIGHT), op.dotI16, op.get(sum), op.addI32]),
  madd: onRegisters((sum) => [op.get(sum), op.get(LEFT), op.mulF32, op.get(RIGHT), op.addF32]),
  read: onMemory((load, sum) => [...load, op.get(sum), op.addF32]),
};
const RELAXED = {
  dot: onRegisters((sum) => [op.get(LEFT), op.get(RIGHT), op.get(sum), op.relaxedDotAdd]),
  madd: onRegisters((sum) => [op.get(LEFT), op.get(RIGHT), op.get(sum), op.relaxedMadd]),
  dotRead: onMemory((load, sum) => [...load, op.get(RIGHT), op.get(sum), op.relaxedDotAdd]),
};

/** Operations of one instruction, a multiplication and an addition being two. */
const YARDSTICKS = [
  { label: "16-bit dot and add, registers", module: "baseline", run: "dot", ops: 16 },
  { label: "f32 multiply and add, registers", module: "baseline", run: "madd", ops: 8 },
  { label: "f32 add, read 16 KiB again and again", module: "baseline", run: "read", ops: 4, bytes: 16 << 10 },
  { label: "f32 add, read 32 MiB", module: "baseline", run: "read", ops: 4, bytes: 32 * MIB },
  { label: "f32 add, read 256 MiB", module: "baseline", run: "read", ops: 4, bytes: 256 * MIB },
  { label: "8-bit dot, registers", module: "relaxed", run: "dot", ops: 32 },
  { label: "f32 multiply-add, registers", module: "relaxed", run: "madd", ops: 8 },
  { label: "8-bit dot, read 16 KiB again and again", module: "relaxed", run: "dotRead", ops: 32, bytes: 16 << 10 },
  { label: "8-bit dot, read 32 MiB", module: "relaxed", run: "dotRead", ops: 32, bytes: 32 * MIB },
];

/** Measures all that the browser can: `{ label, module, seconds, ops, bytes }`. */
export async function measureYardsticks(options) {
  const memory = new WebAssembly.Memory({ initial: (257 * MIB) >> 16 });
  // Pages that were never written are all the same one.
  new Uint32Array(memory.buffer).fill(0x3c3c3c3c);
  const modules = {};
  for (const [name, functions] of Object.entries({ baseline: BASELINE, relaxed: RELAXED })) {
    const bytes = assemble(functions);
    if (!WebAssembly.validate(bytes)) continue;
    modules[name] = (await WebAssembly.instantiate(bytes, { host: { memory } })).instance.exports;
  }
  if (!modules.baseline) throw new Error("expected the plain module to be valid, found that it is not");
  const found = [];
  for (const { label, module, run, ops, bytes } of YARDSTICKS) {
    const exports = modules[module];
    if (!exports) continue;
    const turns = bytes ? Math.floor(bytes / (16 * READS)) : 4096;
    const per = bytes ? READS : SUMS;
    const repeats = bytes ? Math.ceil(MIB / bytes) : 1;
    const seconds = await time(() => exports[run](64, turns, repeats), options);
    const total = turns * repeats * per;
    found.push({ label, module, seconds, ops: total * ops, bytes: bytes ? total * 16 : 0 });
  }
  return found;
}
