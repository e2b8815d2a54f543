// Times the steps of submissions by the GPU's own clock.

import { StepTimes, type TimedKernel } from "../timing";

/** GPUBufferUsage and GPUMapMode. */
const [MAP_READ, COPY_SRC, COPY_DST, QUERY_RESOLVE, READ_MODE] = [0x1, 0x4, 0x8, 0x200, 0x1] as const;
/** Most queries of a set, two for each step. */
const MOST_QUERIES = 4096;
const NS_PER_MS = 1e6;

/** Steps as `Device.record` makes them. */
interface Steps {
  pipelines: GPUComputePipeline[];
  groups: GPUBindGroup[];
}

/** The two times of each of some steps, on their way to the host. */
interface Batch {
  kernels: string[];
  queries: GPUQuerySet;
  resolved: GPUBuffer;
  staging: GPUBuffer;
}

/** A clock for the steps of a device that has `timestamp-query`. */
export class Timestamps {
  private readonly device: GPUDevice;
  private readonly times = new StepTimes("webgpu");
  private encoded: Batch[] = [];
  private readonly reading: Promise<void>[] = [];

  constructor(device: GPUDevice) {
    this.device = device;
  }

  /** Encodes steps, a pass for each: a pass is all that can be timed. Those without workgroups are skipped. */
  encode(encoder: GPUCommandEncoder, { pipelines, groups }: Steps, grids: Uint32Array): void {
    const steps = pipelines.map((_, step) => step).filter((step) => grids[2 * step] !== 0);
    for (let begin = 0; begin < steps.length; begin += MOST_QUERIES / 2) {
      const some = steps.slice(begin, begin + MOST_QUERIES / 2);
      const batch = this.batch(some.map((step) => pipelines[step]?.label ?? ""));
      for (const [index, step] of some.entries()) {
        const { queries: querySet } = batch;
        const timestampWrites = { querySet, beginningOfPassWriteIndex: 2 * index, endOfPassWriteIndex: 2 * index + 1 };
        const pass = encoder.beginComputePass({ timestampWrites });
        pass.setPipeline(pipelines[step] as GPUComputePipeline);
        pass.setBindGroup(0, groups[step] as GPUBindGroup);
        pass.dispatchWorkgroups(grids[2 * step] as number, grids[2 * step + 1] as number);
        pass.end();
      }
      encoder.resolveQuerySet(batch.queries, 0, 2 * some.length, batch.resolved, 0);
      encoder.copyBufferToBuffer(batch.resolved, 0, batch.staging, 0, 16 * some.length);
      this.encoded.push(batch);
    }
  }

  private batch(kernels: string[]): Batch {
    const size = 16 * kernels.length;
    return {
      kernels,
      queries: this.device.createQuerySet({ type: "timestamp", count: 2 * kernels.length }),
      resolved: this.device.createBuffer({ size, usage: QUERY_RESOLVE | COPY_SRC }),
      staging: this.device.createBuffer({ size, usage: MAP_READ | COPY_DST }),
    };
  }

  /** Reads the times of what was encoded, now that it is submitted. */
  submitted(): void {
    for (const batch of this.encoded) {
      const read = this.read(batch);
      // Whoever waits for the submission gets the error of a device that is lost.
      read.catch(() => {});
      this.reading.push(read);
    }
    this.encoded = [];
  }

  private async read({ kernels, queries, resolved, staging }: Batch): Promise<void> {
    try {
      await staging.mapAsync(READ_MODE);
      const marks = new BigInt64Array(staging.getMappedRange());
      for (const [index, kernel] of kernels.entries()) {
        const ns = Number((marks[2 * index + 1] ?? 0n) - (marks[2 * index] ?? 0n));
        // Some drivers set their clock back now and then.
        this.times.add(kernel, Math.max(ns, 0) / NS_PER_MS);
      }
    } finally {
      queries.destroy();
      resolved.destroy();
      staging.destroy();
    }
  }

  /** What has been measured, as soon as all of it is read. */
  async all(): Promise<TimedKernel[]> {
    await Promise.all(this.reading);
    return this.times.all();
  }
}
