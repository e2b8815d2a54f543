// map_cosine
// cosine: element-wise, 64 threads

struct Symbols {
    B: u32,
    T: u32,
    P: u32,
    C: u32,
}

@group(0) @binding(0) var<uniform> symbols: Symbols;
@group(0) @binding(1) var<storage, read_write> out_cosine: array<f32>;
@group(0) @binding(2) var<storage, read> angles: array<i32>;

const rope_angles = array<f32, 16>(
    1.0, 0.31622776, 0.1, 0.03162278, 0.01, 0.0031622779, 0.001, 0.0003162278,
    1.0, 0.31622776, 0.1, 0.03162278, 0.01, 0.0031622779, 0.001, 0.0003162278,
);

// The cosine of radians up to 1e5; absolute error below 2e-7.
fn cosine(x: f32) -> f32 {
    let turns = floor(x * 0.63661975 + 0.5);
    let r = x - turns * 1.5703125 - turns * 0.0004825592 - turns * 1.2665987e-6 - turns * 9.920935e-10;
    let s = r * r;
    let sine_r = r + r * (s * (((2.7243782e-6 * s - 0.0001984004) * s + 0.008333332) * s - 0.16666667));
    let cosine_r = 1.0 - s * 0.5 + s * s * (((-2.7295826e-7 * s + 2.480056e-5) * s - 0.0013888888) * s + 0.041666668);
    let quadrant = (bitcast<u32>(i32(turns)) + 1u) & 3u;
    let value = select(sine_r, cosine_r, (quadrant & 1u) == 1u);
    return select(value, -value, quadrant >= 2u);
}

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) workgroup_id: vec3<u32>,
    @builtin(num_workgroups) num_workgroups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let block = workgroup_id.x + workgroup_id.y * num_workgroups.x;
    if (block >= (symbols.B * 16u * symbols.T + 63u) / 64u) {
        return;
    }
    let element = block * 64u + thread;
    if (element < symbols.B * 16u * symbols.T) {
        let i0 = (block * 4u + thread / 16u) / symbols.T;
        let i2 = (block * 4u + thread / 16u) % symbols.T;
        let i3 = thread % 16u;
        out_cosine[element] = cosine(f32(angles[i0 * symbols.T + i2]) * rope_angles[i3]);
    }
}
