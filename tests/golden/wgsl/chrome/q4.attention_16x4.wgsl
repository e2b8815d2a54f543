// attention_16x4
// layers.0.attended/attention: attention, head dimension 16, 4 queries and 64 keys at a time

struct Symbols {
    B: u32,
    T: u32,
    P: u32,
    C: u32,
}

@group(0) @binding(0) var<uniform> symbols: Symbols;
@group(0) @binding(1) var<storage, read_write> out_merge_heads: array<f32>;
@group(0) @binding(2) var<storage, read> apply_rotary4: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> keys4: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read> tokens: array<i32>;
@group(0) @binding(5) var<storage, read> values: array<f32>;

var<workgroup> q: array<vec4<f32>, 16>;
var<workgroup> weights: array<vec4<f32>, 64>;
var<workgroup> partial: array<vec4<f32>, 64>;

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) workgroup_id: vec3<u32>,
    @builtin(num_workgroups) num_workgroups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let position = workgroup_id.x + workgroup_id.y * num_workgroups.x;
    if (position >= (symbols.B * 10u) * ((symbols.T + 3u) / 4u)) {
        return;
    }
    let head = position / ((symbols.T + 3u) / 4u);
    let block = position % ((symbols.T + 3u) / 4u);
    let lead0 = head / 10u;
    let lead1 = head % 10u;
    let first = block * 4u;
    let t0 = min(first, symbols.T - 1u);
    let t1 = min(first + 1u, symbols.T - 1u);
    let t2 = min(first + 2u, symbols.T - 1u);
    let t3 = min(first + 3u, symbols.T - 1u);

    for (var element = lane; element < 16u; element += 64u) {
        let row = min(first + element / 4u, symbols.T - 1u);
        let apply_rotary_row = ((lead0 * 10u + lead1) * symbols.T + row) * 4u;
        q[element] = apply_rotary4[apply_rotary_row + element % 4u];
    }

    workgroupBarrier();
    var m = vec4<f32>(-3.4028234663852886e38f);
    var l = vec4<f32>(0.0);
    var o0 = vec4<f32>(0.0);

    for (var k_tile = 0u; k_tile < symbols.P + symbols.T; k_tile += 64u) {
        let key = k_tile + lane;
        let inside = key < symbols.P + symbols.T;
        let s = min(key, symbols.P + symbols.T - 1u);
        let count = min(symbols.P + symbols.T - k_tile, 64u);
        var dots = vec4<f32>(0.0);
        let keys_row = ((lead0 * 2u + lead1 / 5u) * symbols.C + s) * 4u;

        for (var d = 0u; d < 4u; d++) {
            let k = keys4[keys_row + d];
            dots += vec4<f32>(dot(q[d], k), dot(q[d + 4u], k), dot(q[d + 8u], k), dot(q[d + 12u], k));
        }

        let all_visible = i32(s) <= i32(t0) + i32(symbols.P) && tokens[lead0 * (symbols.P + symbols.T) + s] != 0;
        let score0 = select(-3.4028234663852886e38f, dots.x * 0.25, all_visible);
        let all_visible2 = i32(s) <= i32(t1) + i32(symbols.P) && tokens[lead0 * (symbols.P + symbols.T) + s] != 0;
        let score1 = select(-3.4028234663852886e38f, dots.y * 0.25, all_visible2);
        let all_visible3 = i32(s) <= i32(t2) + i32(symbols.P) && tokens[lead0 * (symbols.P + symbols.T) + s] != 0;
        let score2 = select(-3.4028234663852886e38f, dots.z * 0.25, all_visible3);
        let all_visible4 = i32(s) <= i32(t3) + i32(symbols.P) && tokens[lead0 * (symbols.P + symbols.T) + s] != 0;
        let score3 = select(-3.4028234663852886e38f, dots.w * 0.25, all_visible4);
        let score = select(vec4<f32>(-3.4028234663852886e38f), vec4<f32>(score0, score1, score2, score3), inside);
        var tile_max = score;

        // maximum over lane
        partial[lane] = tile_max;
        workgroupBarrier();
        if (lane < 8u) {
            for (var slot = lane + 8u; slot < 64u; slot += 8u) {
                tile_max = max(tile_max, partial[slot]);
            }

            partial[lane] = tile_max;
        }
        workgroupBarrier();
        tile_max = partial[0u];

        for (var slot = 1u; slot < 8u; slot++) {
            tile_max = max(tile_max, partial[slot]);
        }

        workgroupBarrier();
        let before = m;
        m = max(tile_max, before);
        let alpha = exp(before - m);
        let weight = select(vec4<f32>(0.0), exp(score - m), inside);
        l = l * alpha + weight;
        weights[lane] = weight;
        workgroupBarrier();
        if (lane < 16u) {
            o0 *= alpha;

            for (var i = 0u; i < count; i++) {
                let v = values[((lead0 * 2u + lead1 / 5u) * symbols.C + (k_tile + i)) * 16u + lane];
                o0 += weights[i] * v;
            }
        }
    }

    // sum over lane
    partial[lane] = l;
    workgroupBarrier();
    if (lane < 8u) {
        for (var slot = lane + 8u; slot < 64u; slot += 8u) {
            l += partial[slot];
        }

        partial[lane] = l;
    }
    workgroupBarrier();
    l = partial[0u];

    for (var slot = 1u; slot < 8u; slot++) {
        l += partial[slot];
    }

    workgroupBarrier();

    for (var query = 0u; query < 4u; query++) {
        let t = first + query;
        if (t < symbols.T) {
            if (lane < 16u) {
                out_merge_heads[(lead0 * symbols.T + t) * 160u + (lead1 * 16u + lane)] = o0[query] / l[query];
            }
        }
    }
}
