// The block of memory by which threads find one another. docs/bundle.md describes it.

const STOP = 4;
const STEPS = 8;
const COUNT = 12;
/** Words of a step: kernel, grid, address of its arguments, padding. */
const STEP_WORDS = 4;
const SPIN = 24;
/** Addresses on which threads sleep: new work, and one another. */
const SLEEPERS = [0, 128];

/** How many steps the next run has. */
export function stepsOf(memory: WebAssembly.Memory, control: number): number {
  return new Uint32Array(memory.buffer)[(control + COUNT) >> 2] ?? 0;
}

/** Leaves one step of the next run, until `end` puts the others back. */
export function oneStep(
  memory: WebAssembly.Memory,
  control: number,
  step: number,
): { kernel: number; grid: number; end: () => void } {
  // Memory may be another after a run.
  const words = (): Uint32Array => new Uint32Array(memory.buffer);
  const table = words()[(control + STEPS) >> 2] ?? 0;
  const count = stepsOf(memory, control);
  const at = (table >> 2) + step * STEP_WORDS;
  const set = (first: number, steps: number): void => {
    words()[(control + STEPS) >> 2] = first;
    words()[(control + COUNT) >> 2] = steps;
  };
  set(at << 2, 1);
  return { kernel: words()[at] ?? 0, grid: words()[at + 1] ?? 0, end: () => set(table, count) };
}

/** Says how often a waiting thread looks before it sleeps. */
export function setSpin(memory: WebAssembly.Memory, control: number, spin: number): void {
  new Uint32Array(memory.buffer)[(control + SPIN) >> 2] = spin;
}

/** Whether all threads have been told to end. */
export function isStopped(memory: WebAssembly.Memory, control: number): boolean {
  return Atomics.load(new Int32Array(memory.buffer), (control + STOP) >> 2) !== 0;
}

/** Ends all threads: those that compute leave at the next step, those that sleep are woken. */
export function stopAll(memory: WebAssembly.Memory, control: number): void {
  const words = new Int32Array(memory.buffer);
  Atomics.store(words, (control + STOP) >> 2, 1);
  for (const offset of SLEEPERS) {
    // Whoever is about to sleep finds another value than the one it has seen, and looks again.
    Atomics.add(words, (control + offset) >> 2, 1);
    Atomics.notify(words, (control + offset) >> 2);
  }
}
