// How often a thread that waits looks before it sleeps. Looking is faster where each thread has a core; where browsers
// claim more cores than there are, or others use them, it keeps those from working who are waited for. Nothing tells
// which it is, so both are tried.

/** Somewhat longer than the pause between two kernels. */
export const LONG_SPIN = 20_000;
/** Hardly at all. */
const SHORT_SPIN = 100;
/** Runs after which both are tried again. */
const PERIOD = 64;
/** Of each period, the runs that are compared. The first ones may include compilation. */
const FIRST = 2;
const LAST = 7;
/** Looking stays, unless it takes longer by this factor: a measurement may be disturbed. */
const WORSE = 1.3;

/** Chooses for each run. */
export interface SpinTuner {
  /** For the next run, which has so many steps: only runs of the same program are compared. */
  next(steps: number): number;
  /** What that run took. */
  took(milliseconds: number): void;
}

/** A tuner that begins with looking. */
export function spinTuner(): SpinTuner {
  const programs = new Map<number, { runs: number; long: number; short: number }>();
  let short = false;
  let last: { runs: number; long: number; short: number } | null = null;
  return {
    next(steps) {
      if (short) return SHORT_SPIN;
      last = programs.get(steps) ?? { runs: 0, long: 0, short: 0 };
      programs.set(steps, last);
      const trying = last.runs >= FIRST && last.runs <= LAST && last.runs % 2 === 0;
      return trying ? SHORT_SPIN : LONG_SPIN;
    },
    took(milliseconds) {
      if (short || !last) return;
      if (last.runs >= FIRST && last.runs <= LAST) last[last.runs % 2 === 0 ? "short" : "long"] += milliseconds;
      // What sleeps well stays so: trying again would cost more than it could bring.
      if (last.runs === LAST) {
        short = last.short * WORSE < last.long;
        [last.short, last.long] = [0, 0];
      }
      last.runs = (last.runs + 1) % PERIOD;
    },
  };
}
