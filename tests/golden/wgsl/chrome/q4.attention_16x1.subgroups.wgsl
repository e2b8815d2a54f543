// attention_16x1
// layers.0.attended/attention: attention, head dimension 16, 1 queries and 64 keys at a time
enable subgroups;

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

var<workgroup> q: array<vec4<f32>, 4>;
var<workgroup> weights: array<f32, 64>;
var<workgroup> partial: array<f32, 16>;

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) workgroup_id: vec3<u32>,
    @builtin(num_workgroups) num_workgroups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
    @builtin(subgroup_invocation_id) lane_id: u32,
    @builtin(subgroup_size) lane_count: u32,
) {
    let head = workgroup_id.x + workgroup_id.y * num_workgroups.x;
    if (head >= symbols.B * 10u) {
        return;
    }
    let lead0 = head / 10u;
    let lead1 = head % 10u;

    for (var element = lane; element < 4u; element += 64u) {
        let apply_rotary_row = (lead0 * 10u + lead1) * 4u;
        q[element] = apply_rotary4[apply_rotary_row + element];
    }

    workgroupBarrier();
    var m = -3.4028234663852886e38f;
    var l = 0.0;
    var o0 = 0.0;

    for (var k_tile = 0u; k_tile < symbols.P + 1u; k_tile += 64u) {
        let key = k_tile + lane;
        let inside = key < symbols.P + 1u;
        let s = min(key, symbols.P);
        let count = min(symbols.P + 1u - k_tile, 64u);
        var dots = 0.0;
        let keys_row = ((lead0 * 2u + lead1 / 5u) * symbols.C + s) * 4u;

        for (var d = 0u; d < 4u; d++) {
            let k = keys4[keys_row + d];
            dots += dot(q[d], k);
        }

        let all_visible = i32(s) <= i32(symbols.P) && tokens[lead0 * (symbols.P + 1u) + s] != 0;
        let score0 = select(-3.4028234663852886e38f, dots * 0.25, all_visible);
        let score = select(-3.4028234663852886e38f, score0, inside);
        var tile_max = score;

        // maximum over lane
        tile_max = subgroupMax(tile_max);
        if (lane_id == 0u) {
            partial[lane / lane_count] = tile_max;
        }
        workgroupBarrier();
        let slots_end = (lane_count + 63u) / lane_count;
        tile_max = partial[0u];

        // results of the other subgroups
        for (var slot = 1u; slot < slots_end; slot++) {
            tile_max = max(tile_max, partial[slot]);
        }

        workgroupBarrier();
        let before = m;
        m = max(tile_max, before);
        let alpha = exp(before - m);
        let weight = select(0.0, exp(score - m), inside);
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
    l = subgroupAdd(l);
    if (lane_id == 0u) {
        partial[lane / lane_count] = l;
    }
    workgroupBarrier();
    let slots_end = (lane_count + 63u) / lane_count;
    l = partial[0u];

    // results of the other subgroups
    for (var slot = 1u; slot < slots_end; slot++) {
        l += partial[slot];
    }

    workgroupBarrier();
    if (lane < 16u) {
        out_merge_heads[lead0 * 160u + (lead1 * 16u + lane)] = o0 / l;
    }
}
