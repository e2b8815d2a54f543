// Sums of what steps take, by kernel.

/** Steps of one kernel. */
export interface TimedKernel {
  /** What ran them. */
  backend: "webgpu" | "wasm";
  /** The kernel's name, or its number among those of its module. */
  kernel: string | number;
  steps: number;
  ms: number;
}

/** The time of steps, as they are measured. */
export class StepTimes {
  private readonly backend: TimedKernel["backend"];
  private readonly byKernel = new Map<string | number, TimedKernel>();

  constructor(backend: TimedKernel["backend"]) {
    this.backend = backend;
  }

  add(kernel: string | number, ms: number): void {
    const sum = this.byKernel.get(kernel) ?? { backend: this.backend, kernel, steps: 0, ms: 0 };
    sum.steps += 1;
    sum.ms += ms;
    this.byKernel.set(kernel, sum);
  }

  all(): TimedKernel[] {
    return [...this.byKernel.values()];
  }
}
