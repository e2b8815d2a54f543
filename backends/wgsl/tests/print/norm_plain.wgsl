// rms_norm
// layers.0.norm: root mean square over 768 columns
// rows by lanes of a workgroup: 2 by 64

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

var<workgroup> partial: array<f32, 128>;

@compute @workgroup_size(128)
fn main(
    @builtin(workgroup_id) workgroup_id: vec3<u32>,
    @builtin(num_workgroups) num_workgroups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let position = workgroup_id.x + workgroup_id.y * num_workgroups.x;
    if (position >= symbols.B * symbols.T) {
        return;
    }
    let batch = position / symbols.T;
    let block = position % symbols.T;
    let row = thread / 64u;
    let lane = thread % 64u;
    let token = (batch * symbols.T + block) * 2u + row;
    var squares = 0.0;

    for (var quad = lane; quad < 192u; quad += 64u) {
        let v = x[token * 192u + quad];
        squares += dot(v, v);
    }

    // sum over lane
    partial[thread] = squares;
    workgroupBarrier();
    let first_slot = thread - lane;
    if (lane < 8u) {
        for (var slot = lane + 8u; slot < 64u; slot += 8u) {
            squares += partial[first_slot + slot];
        }

        partial[thread] = squares;
    }
    workgroupBarrier();
    squares = partial[first_slot];

    for (var slot = 1u; slot < 8u; slot++) {
        squares += partial[first_slot + slot];
    }

    workgroupBarrier();
    let scale = 1.0 / sqrt(squares / 768.0 + 1e-6);

    for (var quad = lane; quad < 192u; quad += 64u) {
        y[token * 192u + quad] = x[token * 192u + quad] * scale * weight[quad];
    }
}
