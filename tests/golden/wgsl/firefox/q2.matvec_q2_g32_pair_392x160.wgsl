// matvec_q2_g32_pair_392x160
// layers.0.down: [392, 160] weights times vector, a tile of 32 rows and 2 K splits

struct Symbols {
    B: u32,
    T: u32,
    P: u32,
    C: u32,
}

@group(0) @binding(0) var<uniform> symbols: Symbols;
@group(0) @binding(1) var<storage, read_write> out_down: array<f32>;
@group(0) @binding(2) var<storage, read> gate_proj: array<vec4<u32>>;
@group(0) @binding(3) var<storage, read> up_proj: array<vec4<u32>>;
@group(0) @binding(4) var<storage, read> rms_norm4: array<vec4<f32>>;

var<workgroup> partial0: array<f32, 64>;
var<workgroup> partial1: array<f32, 64>;

const HEADERS = 1040u;
const ROW_SCALES = 1170u;

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) workgroup_id: vec3<u32>,
    @builtin(num_workgroups) num_workgroups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let position = workgroup_id.x + workgroup_id.y * num_workgroups.x;
    if (position >= 13u * symbols.B) {
        return;
    }
    let tile = position / symbols.B;
    let m = position % symbols.B;
    let k_split = thread / 32u;
    let row = thread % 32u;
    let n = tile * 32u + row;
    var sum0 = 0.0;
    var sum1 = 0.0;
    let row_scale = unpack2x16float(gate_proj[tile * 4u + row / 8u + ROW_SCALES][row / 2u % 4u])[row % 2u];
    let row_scale2 = unpack2x16float(up_proj[tile * 4u + row / 8u + ROW_SCALES][row / 2u % 4u])[row % 2u];

    for (var pack = k_split; pack < 3u; pack += 2u) {
        var codes = vec4<u32>(0u);
        if (pack < 2u) {
            codes = gate_proj[tile * 80u + pack * 32u + row];
        } else {
            let rest = tile * 80u + row % 8u / 4u + 64u;
            let rest_shift = row / 8u * 2u;
            codes = vec4<u32>(((gate_proj[rest][row % 4u] >> rest_shift) & 0x03030303u) | (((gate_proj[rest + 2u][row % 4u] >> rest_shift) & 0x03030303u) << 2u) | (((gate_proj[rest + 4u][row % 4u] >> rest_shift) & 0x03030303u) << 4u) | (((gate_proj[rest + 6u][row % 4u] >> rest_shift) & 0x03030303u) << 6u), ((gate_proj[rest + 8u][row % 4u] >> rest_shift) & 0x03030303u) | (((gate_proj[rest + 10u][row % 4u] >> rest_shift) & 0x03030303u) << 2u) | (((gate_proj[rest + 12u][row % 4u] >> rest_shift) & 0x03030303u) << 4u) | (((gate_proj[rest + 14u][row % 4u] >> rest_shift) & 0x03030303u) << 6u), 0u, 0u);
        }

        for (var block = 0u; block < 2u; block++) {
            let byte_of_headers = min(pack * 2u + block, 4u);
            let fills_word = min(pack * 2u + block, 4u) < 4u;
            let vector = select(tile * 10u + (max(byte_of_headers, 4u) - 4u) * 2u + row % 8u / 4u + 8u, tile * 10u + byte_of_headers / 4u * 8u + row / 4u, fills_word);
            let header = gate_proj[vector + HEADERS][row % 4u];
            let byte = f32(unpack4xI8(header)[select(row / 8u, byte_of_headers % 4u, fills_word)]);
            let block_scale = floor(byte * 0.5);
            let scale = row_scale * block_scale;
            let offset = scale * (byte - block_scale * 2.0 - 3.0);
            let factor = scale * 2.0;

            for (var word = 0u; word < 2u; word++) {
                let bits = codes[block * 2u + word];

                for (var quad = 0u; quad < 4u; quad++) {
                    let column = pack * 64u + (block * 2u + word) * 16u + quad * 4u;
                    if (column < 160u) {
                        let weights = vec4<f32>(unpack4xU8((bits >> (quad * 2u)) & 0x03030303u)) * factor + offset;
                        sum0 += dot(weights, rms_norm4[m * 40u + (pack * 16u + block * 8u + word * 4u + quad)]);
                    }
                }
            }
        }

        var codes2 = vec4<u32>(0u);
        if (pack < 2u) {
            codes2 = up_proj[tile * 80u + pack * 32u + row];
        } else {
            let rest = tile * 80u + row % 8u / 4u + 64u;
            let rest_shift = row / 8u * 2u;
            codes2 = vec4<u32>(((up_proj[rest][row % 4u] >> rest_shift) & 0x03030303u) | (((up_proj[rest + 2u][row % 4u] >> rest_shift) & 0x03030303u) << 2u) | (((up_proj[rest + 4u][row % 4u] >> rest_shift) & 0x03030303u) << 4u) | (((up_proj[rest + 6u][row % 4u] >> rest_shift) & 0x03030303u) << 6u), ((up_proj[rest + 8u][row % 4u] >> rest_shift) & 0x03030303u) | (((up_proj[rest + 10u][row % 4u] >> rest_shift) & 0x03030303u) << 2u) | (((up_proj[rest + 12u][row % 4u] >> rest_shift) & 0x03030303u) << 4u) | (((up_proj[rest + 14u][row % 4u] >> rest_shift) & 0x03030303u) << 6u), 0u, 0u);
        }

        for (var block = 0u; block < 2u; block++) {
            let byte_of_headers = min(pack * 2u + block, 4u);
            let fills_word = min(pack * 2u + block, 4u) < 4u;
            let vector = select(tile * 10u + (max(byte_of_headers, 4u) - 4u) * 2u + row % 8u / 4u + 8u, tile * 10u + byte_of_headers / 4u * 8u + row / 4u, fills_word);
            let header = up_proj[vector + HEADERS][row % 4u];
            let byte = f32(unpack4xI8(header)[select(row / 8u, byte_of_headers % 4u, fills_word)]);
            let block_scale = floor(byte * 0.5);
            let scale = row_scale2 * block_scale;
            let offset = scale * (byte - block_scale * 2.0 - 3.0);
            let factor = scale * 2.0;

            for (var word = 0u; word < 2u; word++) {
                let bits = codes2[block * 2u + word];

                for (var quad = 0u; quad < 4u; quad++) {
                    let column = pack * 64u + (block * 2u + word) * 16u + quad * 4u;
                    if (column < 160u) {
                        let weights = vec4<f32>(unpack4xU8((bits >> (quad * 2u)) & 0x03030303u)) * factor + offset;
                        sum1 += dot(weights, rms_norm4[m * 40u + (pack * 16u + block * 8u + word * 4u + quad)]);
                    }
                }
            }
        }
    }

    partial0[k_split * 32u + row] = sum0;
    partial1[k_split * 32u + row] = sum1;
    workgroupBarrier();
    var total0 = 0.0;
    var total1 = 0.0;

    for (var part = 0u; part < 2u; part++) {
        total0 += partial0[part * 32u + row];
        total1 += partial1[part * 32u + row];
    }

    if (k_split == 0u && n < 392u) {
        let part = total0;
        out_down[m * 392u + n] = part * (1.0 / (1.0 + exp(-part))) * total1;
    }
}
