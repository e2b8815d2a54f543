// The block of memory by which threads find one another. docs/bundle.md describes it.

const STOP = 4;
/** Addresses on which threads sleep: new work, and one another. */
const SLEEPERS = [0, 128];

/** Whether all threads have been told to end. */
export function isStopped(memory: WebAssembly.Memory, control: number): boolean {
  return Atomics.load(new Int32Array(memory.buffer), (control + STOP) >> 2) !== 0;
}

/** Ends all threads: those that compute leave at the next step, those that sleep are woken. */
export function stopAll(memory: WebAssembly.Memory, control: number): void {
  const words = new Int32Array(memory.buffer);
  Atomics.store(words, (control + STOP) >> 2, 1);
  for (const offset of SLEEPERS) Atomics.notify(words, (control + offset) >> 2);
}
