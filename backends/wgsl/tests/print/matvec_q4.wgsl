// matvec
// layers.0.mlp.down: [768, 512] in q4.g32 times a vector
// 32 rows by 4 K splits in a workgroup

struct Symbols {
    B: u32,
    T: u32,
    P: u32,
    pad0: u32,
}

@group(0) @binding(0) var<uniform> symbols: Symbols;
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> weight: array<vec4<u32>>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;

var<workgroup> partial: array<f32, 128>;

const HEADERS = 12288u;
const ROW_SCALES = 13056u;

@compute @workgroup_size(128)
fn main(
    @builtin(workgroup_id) workgroup_id: vec3<u32>,
    @builtin(num_workgroups) num_workgroups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let tile = workgroup_id.x + workgroup_id.y * num_workgroups.x;
    if (tile >= 24u) {
        return;
    }
    let row = thread / 4u;
    let slice = thread % 4u;
    let n = tile * 32u + row;
    var sum = 0.0;
    let row_scale = unpack2x16float(weight[tile * 4u + row / 8u + ROW_SCALES][row / 2u % 4u])[row % 2u];

    for (var pack = slice; pack < 16u; pack += 4u) {
        let codes = weight[(tile * 16u + pack) * 32u + row];
        let header = weight[(tile * 4u + pack / 4u) * 8u + row / 4u + HEADERS][row % 4u];
        let byte = f32(unpack4xI8(header)[pack % 4u]);
        let block_scale = floor(byte * 0.5);
        let scale = row_scale * block_scale;
        let offset = scale * (byte - block_scale * 2.0 - 15.0);
        let factor = scale * 2.0;

        for (var word = 0u; word < 4u; word++) {
            let bits = codes[word];

            for (var quad = 0u; quad < 2u; quad++) {
                let weights = vec4<f32>(unpack4xU8((bits >> (quad * 4u)) & 0x0f0f0f0fu)) * factor + offset;
                sum += dot(weights, x[pack * 8u + word * 2u + quad]);
            }
        }
    }

    // sum over slice
    partial[thread] = sum;
    workgroupBarrier();
    let first_slot = thread - slice;
    if (slice < 2u) {
        for (var slot = slice + 2u; slot < 4u; slot += 2u) {
            sum += partial[first_slot + slot];
        }

        partial[thread] = sum;
    }
    workgroupBarrier();
    sum = partial[first_slot];

    for (var slot = 1u; slot < 2u; slot++) {
        sum += partial[first_slot + slot];
    }

    workgroupBarrier();
    if (slice == 0u) {
        y[n] = sum;
    }
}
