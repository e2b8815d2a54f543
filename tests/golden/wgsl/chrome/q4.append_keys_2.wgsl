// append_keys_2
// layers.0.keys: appends to a state, one element per thread, 64 threads

struct Symbols {
    B: u32,
    T: u32,
    P: u32,
    C: u32,
}

@group(0) @binding(0) var<uniform> symbols: Symbols;
@group(0) @binding(1) var<storage, read_write> state_keys: array<f32>;
@group(0) @binding(2) var<storage, read> split_heads: array<f32>;
@group(0) @binding(3) var<storage, read> cosine: array<f32>;
@group(0) @binding(4) var<storage, read> sine: array<f32>;

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) workgroup_id: vec3<u32>,
    @builtin(num_workgroups) num_workgroups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let block = workgroup_id.x + workgroup_id.y * num_workgroups.x;
    if (block >= (symbols.B + 1u) / 2u) {
        return;
    }
    let element = block * 64u + thread;
    if (element < symbols.B * 32u) {
        let i0 = block * 2u + thread / 32u;
        let i1 = thread / 16u % 2u;
        let i3 = thread % 16u;
        let cosine2 = cosine[i0 * 16u + i3];
        let rotate_half = -split_heads[(i0 * 2u + i1) * 16u + (min(i3, 7u) + 8u)];
        let rotate_half2 = split_heads[(i0 * 2u + i1) * 16u + min(select(0u, i3 - 8u, i3 >= 8u), 7u)];
        let sine2 = sine[i0 * 16u + i3];
        let appended = split_heads[(i0 * 2u + i1) * 16u + i3] * cosine2 + select(rotate_half, rotate_half2, i3 >= 8u) * sine2;
        state_keys[((i0 * 2u + i1) * symbols.C + symbols.P) * 16u + i3] = appended;
    }
}
