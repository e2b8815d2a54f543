// rms_norm_160
// layers.0.a/rms_norm: rms_norm over 160 elements, 64 threads per row

struct Symbols {
    B: u32,
    T: u32,
    P: u32,
    C: u32,
}

@group(0) @binding(0) var<uniform> symbols: Symbols;
@group(0) @binding(1) var<storage, read_write> out_rms_norm: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> h4: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> input_norm4: array<vec4<f32>>;

var<workgroup> partial: array<f32, 64>;

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) workgroup_id: vec3<u32>,
    @builtin(num_workgroups) num_workgroups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let row = workgroup_id.x + workgroup_id.y * num_workgroups.x;
    if (row >= symbols.B * symbols.T) {
        return;
    }
    var squares = 0.0;

    for (var column = lane; column < 40u; column += 64u) {
        let x = h4[row * 40u + column];
        squares += dot(x, x);
    }

    // sum over lane
    partial[lane] = squares;
    workgroupBarrier();
    if (lane < 8u) {
        for (var slot = lane + 8u; slot < 64u; slot += 8u) {
            squares += partial[slot];
        }

        partial[lane] = squares;
    }
    workgroupBarrier();
    squares = partial[0u];

    for (var slot = 1u; slot < 8u; slot++) {
        squares += partial[slot];
    }

    workgroupBarrier();
    let scale = 1.0 / sqrt(squares / 160.0 + 1e-6);

    for (var column = lane; column < 40u; column += 64u) {
        out_rms_norm[row * 40u + column] = h4[row * 40u + column] * scale * input_norm4[column];
    }
}
