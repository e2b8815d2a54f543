// The block of memory by which threads find one another. docs/bundle.md describes it.

const STOP = 4;
const COUNT = 12;
const SPIN = 24;
/** Addresses on which threads sleep: new work, and one another. */
const SLEEPERS = [0, 128];

/** How many steps the next run has. */
export function stepsOf(memory: WebAssembly.Memory, control: number): number {
  return new Uint32Array(memory.buffer)[(control + COUNT) >> 2] ?? 0;
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
