// matvec
// layers.0.mlp.down: [768, 512] in q3.g16.asym times a vector
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

const HIGH_BITS = 6144u;
const HEADERS = 9216u;
const ROW_SCALES = 12288u;

// The four bytes of a word, lowest first.
fn bytes_u8(word: u32) -> vec4<u32> {
    return vec4<u32>(word, word >> 8u, word >> 16u, word >> 24u) & vec4<u32>(255u);
}

// The four signed bytes of a word, lowest first.
fn bytes_i8(word: u32) -> vec4<i32> {
    let raised = word ^ 0x80808080u;
    let bytes = vec4<u32>(raised, raised >> 8u, raised >> 16u, raised >> 24u) & vec4<u32>(255u);
    return bitcast<vec4<i32>>(bytes) - 128;
}

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
    let row_scales = unpack2x16float(weight[tile * 8u + row / 4u + ROW_SCALES][row % 4u]);

    for (var pack = slice; pack < 8u; pack += 4u) {
        let codes = weight[(tile * 8u + pack) * 32u + row];
        let high_bits = weight[(tile * 4u + pack / 2u) * 32u + row + HIGH_BITS];

        for (var block = 0u; block < 4u; block++) {
            let header = weight[(tile * 16u + (pack * 2u + block / 2u)) * 8u + row / 4u + HEADERS][row % 4u];
            let factor = row_scales.x * f32(bytes_u8(header)[block * 2u % 4u]);
            let offset = row_scales.y * f32(bytes_i8(header)[block * 2u % 4u + 1u]);
            let bits = codes[block];

            for (var quad = 0u; quad < 4u; quad++) {
                let weights = vec4<f32>(bytes_u8(((bits >> (quad * 2u)) & 0x03030303u) | (((high_bits[pack % 2u * 2u + block / 2u] >> (block % 2u * 4u + quad)) & 0x01010101u) << 2u))) * factor + offset;
                sum += dot(weights, x[pack * 16u + block * 4u + quad]);
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
