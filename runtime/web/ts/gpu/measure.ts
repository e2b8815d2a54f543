// What a GPU takes for the things that calls of models consist of: being started, starting kernels, reading
// memory, multiplying.

/** What was measured; not a number where the browser's news of results come too slowly to tell. */
export interface AdapterSpeed {
  /** Milliseconds from a submission to its result. */
  latencyMs: number;
  /** Milliseconds of a kernel that does nothing, among others in one submission. */
  dispatchMs: number;
  /** 1e9 bytes per second from memory. */
  gbps: number;
  /** 1e9 floating-point operations per second. */
  gflops: number;
}

const GROUP = 64;
const BYTES = 16 << 20;
const GROUPS = 256;
const ROUNDS = 512;
const KERNELS = 128;
/** With results that take longer than this, differences of a few milliseconds cannot be seen. */
const SLOW_MS = 20;
/** GPUBufferUsage and GPUMapMode. */
const [MAP_READ, COPY_SRC, COPY_DST, STORAGE, READ_MODE] = [0x1, 0x4, 0x8, 0x80, 0x1] as const;

const SHADER = `
@group(0) @binding(0) var<storage, read> values: array<vec4f>;
@group(0) @binding(1) var<storage, read_write> sums: array<f32>;

@compute @workgroup_size(${GROUP})
fn do_nothing(@builtin(global_invocation_id) id: vec3u) {
  sums[id.x] += values[id.x].x;
}

@compute @workgroup_size(${GROUP})
fn read_values(@builtin(global_invocation_id) id: vec3u) {
  var sum = vec4f();
  for (var i = id.x; i < arrayLength(&values); i += ${GROUP * GROUPS}u) {
    sum += values[i];
  }
  sums[id.x] += sum.x + sum.y + sum.z + sum.w;
}

@compute @workgroup_size(${GROUP})
fn multiply_values(@builtin(global_invocation_id) id: vec3u) {
  let factor = values[id.x] + 0.5;
  var a = factor;
  var b = factor + 1.0;
  for (var i = 0u; i < ${ROUNDS}u; i++) {
    a = fma(a, factor, b);
    b = fma(b, factor, a);
  }
  sums[id.x] += a.x + b.y;
}
`;

/** Measures a device. Rejects if it is lost meanwhile. */
export async function measureAdapter(device: GPUDevice): Promise<AdapterSpeed> {
  const module = device.createShaderModule({ label: "speed", code: SHADER });
  const layout = device.createBindGroupLayout({
    entries: [
      { binding: 0, visibility: 4, buffer: { type: "read-only-storage" } },
      { binding: 1, visibility: 4, buffer: { type: "storage" } },
    ],
  });
  const common = device.createPipelineLayout({ bindGroupLayouts: [layout] });
  const pipeline = (entryPoint: string): Promise<GPUComputePipeline> =>
    device.createComputePipelineAsync({ layout: common, compute: { module, entryPoint } });
  const values = device.createBuffer({ size: BYTES, usage: STORAGE });
  const sums = device.createBuffer({ size: GROUP * GROUPS * 4, usage: STORAGE | COPY_SRC });
  const result = device.createBuffer({ size: 16, usage: MAP_READ | COPY_DST });
  try {
    const names = ["do_nothing", "read_values", "multiply_values"] as const;
    const [nothing, read, multiply] = await Promise.all([pipeline(names[0]), pipeline(names[1]), pipeline(names[2])]);
    const entries = [values, sums].map((buffer, binding) => ({ binding, resource: { buffer } }));
    const group = device.createBindGroup({ layout, entries });
    const once = async (kernel: GPUComputePipeline, times: number, groups: number): Promise<number> => {
      const begin = performance.now();
      const encoder = device.createCommandEncoder();
      const pass = encoder.beginComputePass();
      pass.setPipeline(kernel);
      pass.setBindGroup(0, group);
      for (let i = 0; i < times; i++) pass.dispatchWorkgroups(groups);
      pass.end();
      encoder.copyBufferToBuffer(sums, 0, result, 0, 16);
      device.queue.submit([encoder.finish()]);
      await result.mapAsync(READ_MODE);
      result.unmap();
      return performance.now() - begin;
    };
    const best = async (kernel: GPUComputePipeline, times: number, groups: number): Promise<number> => {
      let least = Infinity;
      for (let i = 0; i < 3; i++) least = Math.min(least, await once(kernel, times, groups));
      return least;
    };
    const latencyMs = await best(nothing, 1, 1);
    if (latencyMs > SLOW_MS) return { latencyMs, dispatchMs: NaN, gbps: NaN, gflops: NaN };
    const beyond = (ms: number): number => Math.max(ms - latencyMs, 0.01);
    return {
      latencyMs,
      dispatchMs: beyond(await best(nothing, KERNELS, 1)) / KERNELS,
      gbps: (4 * BYTES) / beyond(await best(read, 4, GROUPS)) / 1e6,
      // Two vectors of four, a multiplication and an addition each.
      gflops: (GROUP * GROUPS * ROUNDS * 16) / beyond(await best(multiply, 1, GROUPS)) / 1e6,
    };
  } finally {
    for (const buffer of [values, sums, result]) buffer.destroy();
  }
}
