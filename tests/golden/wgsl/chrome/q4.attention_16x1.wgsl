// attention_16x1
// layers.0.attended/attention: attention, head dimension 16, 1 queries and 64 keys at a time

struct Symbols {
    B: u32,
    T: u32,
    P: u32,
    C: u32,
}

@group(0) @binding(0) var<uniform> symbols: Symbols;
@group(0) @binding(1) var<storage, read_write> out_merge_heads: array<f32>;
@group(0) @binding(2) var<storage, read> turn4: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> keys4: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read> tokens: array<i32>;
@group(0) @binding(5) var<storage, read> values: array<f32>;

var<workgroup> queries: array<vec4<f32>, 4>;
var<workgroup> weights: array<f32, 64>;
var<workgroup> partial: array<f32, 64>;

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) workgroup_id: vec3<u32>,
    @builtin(num_workgroups) num_workgroups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let head = workgroup_id.x + workgroup_id.y * num_workgroups.x;
    if (head >= symbols.B * 10u) {
        return;
    }
    let lead0 = head / 10u;
    let lead1 = head % 10u;

    // every dim
    for (var dim = lane; dim < 4u; dim += 64u) {
        let turn_row = (lead0 * 10u + lead1) * 4u;
        queries[dim] = turn4[turn_row + dim];
    }

    workgroupBarrier();
    var highest0 = -3.4028234663852886e38f;
    var share0 = 0.0;
    var acc0_0 = 0.0;

    // every tile
    for (var tile = 0u; tile < symbols.P + 1u; tile += 64u) {
        let s = tile + lane;
        let inside = s < symbols.P + 1u;
        let key_index = min(s, symbols.P);
        var dot0 = 0.0;
        let keys_row = ((lead0 * 2u + lead1 / 5u) * symbols.C + key_index) * 4u;

        // every dim
        for (var dim = 0u; dim < 4u; dim++) {
            let key = keys4[keys_row + dim];
            dot0 += dot(queries[dim], key);
        }

        let all_visible = i32(key_index) <= i32(symbols.P) && tokens[lead0 * (symbols.P + 1u) + key_index] != 0;
        let score0 = select(-3.4028234663852886e38f, dot0 * 0.25, all_visible);
        var best0 = select(-3.4028234663852886e38f, score0, inside);

        // maximum over lane
        partial[lane] = best0;
        workgroupBarrier();

        // half of what is left in every turn
        for (var turn = 0u; turn < 6u; turn++) {
            let width = 32u >> turn;
            if (lane < width) {
                partial[lane] = max(partial[lane], partial[lane + width]);
            }
            workgroupBarrier();
        }

        best0 = partial[0u];
        workgroupBarrier();
        let next0 = max(highest0, best0);
        let fade0 = exp(highest0 - next0);
        let weight0 = select(0.0, exp(score0 - next0), inside);
        highest0 = next0;
        share0 = share0 * fade0 + weight0;
        acc0_0 *= fade0;
        weights[lane] = weight0;
        workgroupBarrier();
        let count = min(symbols.P + 1u - tile, 64u);
        if (lane < 16u) {
            // every key in tile
            for (var key_in_tile = 0u; key_in_tile < count; key_in_tile++) {
                let value = values[((lead0 * 2u + lead1 / 5u) * symbols.C + (tile + key_in_tile)) * 16u + lane];
                acc0_0 += weights[key_in_tile] * value;
            }
        }
        workgroupBarrier();
    }

    // sum over lane
    partial[lane] = share0;
    workgroupBarrier();

    // half of what is left in every turn
    for (var turn = 0u; turn < 6u; turn++) {
        let width = 32u >> turn;
        if (lane < width) {
            partial[lane] = partial[lane] + partial[lane + width];
        }
        workgroupBarrier();
    }

    share0 = partial[0u];
    workgroupBarrier();
    if (lane < 16u) {
        out_merge_heads[lead0 * 160u + (lead1 * 16u + lane)] = acc0_0 / share0;
    }
}
