// rms_norm
// layers.0.norm: root mean square over 768 columns
// rows by lanes of a workgroup: 1 by 64
enable subgroups;

struct Symbols {
    B: u32,
    T: u32,
    P: u32,
    pad0: u32,
}

@group(0) @binding(0) var<uniform> symbols: Symbols;
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> weight: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> y: array<vec4<f32>>;

var<workgroup> partial: array<f32, 16>;

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) workgroup_id: vec3<u32>,
    @builtin(num_workgroups) num_workgroups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
    @builtin(subgroup_invocation_id) lane_id: u32,
    @builtin(subgroup_size) lane_count: u32,
) {
    let position = workgroup_id.x + workgroup_id.y * num_workgroups.x;
    if (position >= symbols.B * symbols.T) {
        return;
    }
    let batch = position / symbols.T;
    let block = position % symbols.T;
    let lane = thread;
    let token = batch * symbols.T + block;
    var squares = 0.0;

    for (var quad = lane; quad < 192u; quad += 64u) {
        let v = x[token * 192u + quad];
        squares += dot(v, v);
    }

    // sum over lane
    squares = subgroupAdd(squares);
    if (lane_id == 0u) {
        partial[lane / lane_count] = squares;
    }
    workgroupBarrier();
    let slots_end = (lane_count + 63u) / lane_count;
    squares = partial[0u];

    // results of the other subgroups
    for (var slot = 1u; slot < slots_end; slot++) {
        squares += partial[slot];
    }

    workgroupBarrier();
    let scale = 1.0 / sqrt(squares / 768.0 + 1e-6);

    for (var quad = lane; quad < 192u; quad += 64u) {
        y[token * 192u + quad] = x[token * 192u + quad] * scale * weight[quad];
    }
}
