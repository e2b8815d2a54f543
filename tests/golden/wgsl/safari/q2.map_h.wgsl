// map_h
// h: element-wise, 64 threads

struct Symbols {
    B: u32,
    T: u32,
    P: u32,
    C: u32,
}

@group(0) @binding(0) var<uniform> symbols: Symbols;
@group(0) @binding(1) var<storage, read_write> out_h: array<f32>;
@group(0) @binding(2) var<storage, read> h: array<i32>;
@group(0) @binding(3) var<storage, read> embed_tokens: array<vec4<u32>>;

const HEADERS = 2080u;
const ROW_SCALES = 2340u;

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
    let block = workgroup_id.x + workgroup_id.y * num_workgroups.x;
    if (block >= (symbols.B * 160u * symbols.T + 63u) / 64u) {
        return;
    }
    let element = block * 64u + thread;
    if (element < symbols.B * 160u * symbols.T) {
        let i0 = element / 160u / symbols.T;
        let i1 = element / 160u % symbols.T;
        let i2 = element % 160u;
        let row = u32(min(max(h[i0 * symbols.T + i1], 0), 800));
        let row_scale = unpack2x16float(embed_tokens[row / 8u + ROW_SCALES][row / 2u % 4u])[row % 2u];
        let byte_of_headers = i2 / 32u;
        let fills_word = i2 / 32u < 4u;
        let vector = select(row / 32u * 10u + (max(byte_of_headers, 4u) - 4u) * 2u + row % 32u % 8u / 4u + 8u, row / 32u * 10u + byte_of_headers / 4u * 8u + row % 32u / 4u, fills_word);
        let header = embed_tokens[vector + HEADERS][row % 4u];
        let byte = f32(bytes_i8(header)[select(row % 32u / 8u, byte_of_headers % 4u, fills_word)]);
        let block_scale = floor(byte * 0.5);
        let scale = row_scale * block_scale;
        let offset = scale * (byte - block_scale * 2.0 - 3.0);
        let factor = scale * 2.0;
        let fills = i2 < 128u;
        out_h[element] = fma(vec4<f32>(bytes_u8((embed_tokens[select(row / 32u * 80u + (max(i2, 128u) - 128u) / 4u * 2u + row % 32u % 8u / 4u + 64u, row / 32u * 80u + i2 / 64u * 32u + row % 32u, fills)][select(row % 4u, i2 % 64u / 16u, fills)] >> select(row % 32u / 8u * 2u, i2 % 16u / 4u * 2u, fills)) & 0x03030303u))[i2 % 4u], factor, offset);
    }
}
