// matvec_q4_g32_160x160
// layers.0.q/linear: [160, 160] weights times vector, a tile of 32 rows and 4 K splits

struct Symbols {
    B: u32,
    T: u32,
    P: u32,
    C: u32,
}

@group(0) @binding(0) var<uniform> symbols: Symbols;
@group(0) @binding(1) var<storage, read_write> out_split_heads: array<f32>;
@group(0) @binding(2) var<storage, read> q_proj: array<vec4<u32>>;
@group(0) @binding(3) var<storage, read> rms_norm4: array<vec4<f32>>;

var<workgroup> partial0: array<f32, 128>;

const HEADERS = 800u;
const ROW_SCALES = 850u;

@compute @workgroup_size(128)
fn main(
    @builtin(workgroup_id) workgroup_id: vec3<u32>,
    @builtin(num_workgroups) num_workgroups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let position = workgroup_id.x + workgroup_id.y * num_workgroups.x;
    if (position >= 5u * symbols.B) {
        return;
    }
    let tile = position / symbols.B;
    let m = position % symbols.B;
    let k_split = thread / 32u;
    let row = thread % 32u;
    let n = tile * 32u + row;
    var sum0 = 0.0;
    let row_scale = unpack2x16float(q_proj[tile * 4u + row / 8u + ROW_SCALES][row / 2u % 4u])[row % 2u];

    for (var pack = k_split; pack < 5u; pack += 4u) {
        let codes = q_proj[(tile * 5u + pack) * 32u + row];
        let fills_word = pack < 4u;
        let vector = select(tile * 10u + (max(pack, 4u) - 4u) * 2u + row % 8u / 4u + 8u, tile * 10u + pack / 4u * 8u + row / 4u, fills_word);
        let header = q_proj[vector + HEADERS][row % 4u];
        let byte = f32(unpack4xI8(header)[select(row / 8u, pack % 4u, fills_word)]);
        let block_scale = floor(byte * 0.5);
        let scale = row_scale * block_scale;
        let offset = scale * (byte - block_scale * 2.0 - 15.0);
        let factor = scale * 2.0;

        for (var word = 0u; word < 4u; word++) {
            let bits = codes[word];

            for (var quad = 0u; quad < 2u; quad++) {
                let weights = vec4<f32>(unpack4xU8((bits >> (quad * 4u)) & 0x0f0f0f0fu)) * factor + offset;
                sum0 += dot(weights, rms_norm4[m * 40u + (pack * 8u + word * 2u + quad)]);
            }
        }
    }

    partial0[k_split * 32u + row] = sum0;
    workgroupBarrier();
    var total0 = 0.0;

    for (var part = 0u; part < 4u; part++) {
        total0 += partial0[part * 32u + row];
    }

    if (k_split == 0u) {
        out_split_heads[(m * 10u + (tile * 2u + row / 16u)) * 16u + row % 16u] = total0;
    }
}
