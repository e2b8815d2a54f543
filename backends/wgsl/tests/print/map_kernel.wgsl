// gelu_bias
// layers.0.mlp.act: element-wise, 64 threads

struct Symbols {
    B: u32,
    T: u32,
    P: u32,
    pad0: u32,
}

@group(0) @binding(0) var<uniform> symbols: Symbols;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> bias: array<f32>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;

// Error function; absolute error below 2e-7.
fn erf(x: f32) -> f32 {
    let a = abs(x);
    let s = x * x;
    let small = x + x * ((((((7.875875e-5 * s - 0.00080168643) * s + 0.005189087) * s - 0.026854211) * s + 0.11283594) * s - 0.37612626) * s + 0.12837917);
    let t = min(a, 4.0);
    let large = 1.0 - exp(-((((((((-1.6371514e-6 * t + 4.605804e-5) * t - 0.00059680565) * t + 0.004759596) * t - 0.026421135) * t + 0.110080086) * t + 0.63182604) * t + 1.1302334) * t - 0.00032013806));
    return select(select(large, -large, x < 0.0), small, a < 1.0);
}

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) workgroup_id: vec3<u32>,
    @builtin(num_workgroups) num_workgroups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let block = workgroup_id.x + workgroup_id.y * num_workgroups.x;
    if (block >= symbols.B * symbols.T * 6u) {
        return;
    }
    let element = block * 64u + thread;
    if (element < symbols.B * symbols.T * 384u) {
        let sum = x[element] + bias[element % 384u];
        y[element] = sum * 0.5 * (erf(sum * 0.70710677) + 1.0);
    }
}
