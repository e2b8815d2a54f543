// matmul_q4_g32_160x392
// layers.0.h: activations times [160, 392] weights, tiles of 32 x 32 results and 64 columns

struct Symbols {
    B: u32,
    T: u32,
    P: u32,
    C: u32,
}

@group(0) @binding(0) var<uniform> symbols: Symbols;
@group(0) @binding(1) var<storage, read_write> out_h: array<f32>;
@group(0) @binding(2) var<storage, read> down_proj: array<vec4<u32>>;
@group(0) @binding(3) var<storage, read> down4: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read> residual: array<f32>;

var<workgroup> x_tile: array<vec4<f32>, 512>;
var<workgroup> w_tile: array<vec4<f32>, 512>;

const HEADERS = 1960u;
const ROW_SCALES = 2090u;

// The four signed bytes of a word, lowest first.
fn bytes_i8(word: u32) -> vec4<i32> {
    let raised = word ^ 0x80808080u;
    let bytes = vec4<u32>(raised, raised >> 8u, raised >> 16u, raised >> 24u) & vec4<u32>(255u);
    return bitcast<vec4<i32>>(bytes) - 128;
}

// The four bytes of a word, lowest first.
fn bytes_u8(word: u32) -> vec4<u32> {
    return vec4<u32>(word, word >> 8u, word >> 16u, word >> 24u) & vec4<u32>(255u);
}

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) workgroup_id: vec3<u32>,
    @builtin(num_workgroups) num_workgroups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let position = workgroup_id.x + workgroup_id.y * num_workgroups.x;
    if (position >= ((symbols.B * symbols.T + 31u) / 32u) * 5u) {
        return;
    }
    let m_tile = position / 5u;
    let n_tile = position % 5u;
    let thread_m = thread / 8u;
    let thread_n = thread % 8u;
    let local = thread_m * 8u + thread_n;
    var sum0_0 = vec4<f32>(0.0);
    var sum0_1 = vec4<f32>(0.0);
    var sum0_2 = vec4<f32>(0.0);
    var sum0_3 = vec4<f32>(0.0);

    for (var cell = local; cell < 512u; cell += 64u) {
        w_tile[cell] = vec4<f32>(0.0);
    }

    workgroupBarrier();
    let n_first = n_tile * 32u;
    let m_first = m_tile * 32u;

    for (var k_tile = 0u; k_tile < 392u; k_tile += 64u) {
        for (var cell = local; cell < 512u; cell += 64u) {
            let m = m_first + cell / 16u;
            let column = k_tile + cell % 16u * 4u;
            let row = min(m, symbols.B * symbols.T - 1u);
            let safe = min(column, 388u);
            let x = down4[row * 98u + safe / 4u];
            x_tile[cell] = select(vec4<f32>(0.0), x, m < symbols.B * symbols.T && column < 392u);
        }

        for (var pack_of_tile = local; pack_of_tile < 64u; pack_of_tile += 64u) {
            let row = pack_of_tile % 32u;
            let pack = k_tile / 32u + pack_of_tile / 32u;
            let n = n_first + row;
            if (pack < 13u) {
                let row_scale = unpack2x16float(down_proj[n_tile * 4u + row / 8u + ROW_SCALES][row / 2u % 4u])[row % 2u];
                var codes = vec4<u32>(0u);
                if (pack < 12u) {
                    codes = down_proj[n_tile * 392u + pack * 32u + row];
                } else {
                    let rest = n_tile * 392u + row % 16u / 4u + 384u;
                    let rest_shift = row / 16u * 4u;
                    codes = vec4<u32>(((down_proj[rest][row % 4u] >> rest_shift) & 0x0f0f0f0fu) | (((down_proj[rest + 4u][row % 4u] >> rest_shift) & 0x0f0f0f0fu) << 4u), 0u, 0u, 0u);
                }
                let fills_word = pack < 12u;
                let vector = select(n_tile * 26u + (max(pack, 12u) - 12u) * 2u + row % 8u / 4u + 24u, n_tile * 26u + pack / 4u * 8u + row / 4u, fills_word);
                let header = down_proj[vector + HEADERS][row % 4u];
                let byte = f32(bytes_i8(header)[select(row / 8u, pack % 4u, fills_word)]);
                let block_scale = floor(byte * 0.5);
                let scale = row_scale * block_scale;
                let offset = scale * (byte - block_scale * 2.0 - 15.0);
                let factor = scale * 2.0;

                for (var word = 0u; word < 4u; word++) {
                    let bits = codes[word];

                    for (var quad = 0u; quad < 2u; quad++) {
                        let column = pack * 32u + word * 8u + quad * 4u;
                        if (column < 392u) {
                            let weights = vec4<f32>(bytes_u8((bits >> (quad * 4u)) & 0x0f0f0f0fu)) * factor + offset;
                            w_tile[row * 16u + (column - k_tile) / 4u] = weights;
                        }
                    }
                }
            }
        }

        workgroupBarrier();

        for (var quad = 0u; quad < 16u; quad++) {
            let w0 = w_tile[thread_n * 16u + quad];
            let w1 = w_tile[(thread_n + 8u) * 16u + quad];
            let w2 = w_tile[(thread_n + 16u) * 16u + quad];
            let w3 = w_tile[(thread_n + 24u) * 16u + quad];
            let x0 = x_tile[thread_m * 64u + quad];
            sum0_0 += vec4<f32>(dot(x0, w0), dot(x0, w1), dot(x0, w2), dot(x0, w3));
            let x1 = x_tile[(thread_m * 4u + 1u) * 16u + quad];
            sum0_1 += vec4<f32>(dot(x1, w0), dot(x1, w1), dot(x1, w2), dot(x1, w3));
            let x2 = x_tile[(thread_m * 4u + 2u) * 16u + quad];
            sum0_2 += vec4<f32>(dot(x2, w0), dot(x2, w1), dot(x2, w2), dot(x2, w3));
            let x3 = x_tile[(thread_m * 4u + 3u) * 16u + quad];
            sum0_3 += vec4<f32>(dot(x3, w0), dot(x3, w1), dot(x3, w2), dot(x3, w3));
        }

        workgroupBarrier();
    }

    for (var side = 0u; side < 4u; side++) {
        let m = m_first + thread_m * 4u + side;
        if (m < symbols.B * symbols.T) {
            let row_sums = select(select(select(sum0_0, sum0_1, side == 1u), sum0_2, side == 2u), sum0_3, side == 3u);

            for (var column = 0u; column < 4u; column++) {
                let n = n_first + thread_n + column * 8u;
                let residual2 = residual[m * 160u + n];
                out_h[m * 160u + n] = residual2 + row_sums[column];
            }
        }
    }
}
