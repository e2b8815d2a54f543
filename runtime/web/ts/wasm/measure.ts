// How fast this thread computes: two short loops of the kind that kernels consist of.

/** What one thread does per second. */
export interface CpuSpeed {
  /** 1e9 floating-point operations, from the nearest cache. */
  gflops: number;
  /** 1e9 bytes, from memory. */
  gbps: number;
}

/**
 * `run(bytes, repeats)`: so many times, four sums of products of 16-byte vectors at `p` and at `p + 65536`, for `p`
 * from 0 to `bytes` in steps of 64. The memory has 65 pages.
 */
const LOOP =
  "AGFzbQEAAAABBwFgAn9/AX0DAgEABQMBAEEHEAIGbWVtb3J5AgADcnVuAAAKnQEBmgECAX8EewNAQQAhAgNAIAMgAv0ABAAgAv0ABICABP3mAf3k" +
  "ASEDIAQgAv0ABBAgAv0ABJCABP3mAf3kASEEIAUgAv0ABCAgAv0ABKCABP3mAf3kASEFIAYgAv0ABDAgAv0ABLCABP3mAf3kASEGIAJBwABqIgIg" +
  "AEkNAAsgAUEBayIBDQALIAMgBP3kASAFIAb95AH95AH9HwAL";

const NEAR_BYTES = 8192;
const FAR_BYTES = 4 << 20;
/** Clocks of pages are coarse, so a loop takes at least this. */
const LEAST_MS = 3;
/** Engines compile what runs often better, a moment later. */
const WARM_MS = 8;

/** Measures it, in some 20 ms. */
export async function measureCpu(): Promise<CpuSpeed> {
  const bytes = Uint8Array.from(atob(LOOP), (char) => char.charCodeAt(0));
  const { instance } = await WebAssembly.instantiate(bytes);
  const run = instance.exports["run"] as (bytes: number, repeats: number) => number;
  const end = performance.now() + WARM_MS;
  while (performance.now() < end) run(NEAR_BYTES, 20);
  const bytesPerMs = (size: number): number => {
    for (let repeats = 1; ; repeats *= 2) {
      const begin = performance.now();
      run(size, repeats);
      const ms = performance.now() - begin;
      if (ms >= LEAST_MS) return (size * repeats) / ms;
    }
  };
  // A multiplication and an addition per four bytes.
  return { gflops: bytesPerMs(NEAR_BYTES) / 2 / 1e6, gbps: bytesPerMs(FAR_BYTES) / 1e6 };
}
