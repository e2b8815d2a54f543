// Times the steps of runs, by running them one at a time.

import { StepTimes, type TimedKernel } from "../timing";
import { oneStep, stepsOf } from "./control";

/** A clock for the steps of an instance. */
export class StepClock {
  private readonly times = new StepTimes("wasm");

  /** Does the steps of a run, each by a run of its own; gives the result of the last one, or of the first that failed. */
  run(memory: WebAssembly.Memory, control: number, run: () => number): number {
    const count = stepsOf(memory, control);
    let result = 0;
    for (let step = 0; step < count && result === 0; step++) {
      const { kernel, grid, end } = oneStep(memory, control, step);
      try {
        const begin = performance.now();
        result = run();
        if (grid > 0) this.times.add(kernel, performance.now() - begin);
      } finally {
        end();
      }
    }
    return result;
  }

  /** What has been measured. */
  all(): TimedKernel[] {
    return this.times.all();
  }
}
