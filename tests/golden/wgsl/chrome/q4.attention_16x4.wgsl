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
@group(0) @binding(2) var<storage, read> turn4: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> keys4: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read> tokens: array<i32>;
@group(0) @binding(5) var<storage, read> values: array<f32>;

var<workgroup> queries: array<vec4<f32>, 16>;
var<workgroup> weights: array<f32, 256>;
var<workgroup> partial: array<f32, 64>;

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
    let t0 = min(block * 4u, symbols.T - 1u);
    let t1 = min(block * 4u + 1u, symbols.T - 1u);
    let t2 = min(block * 4u + 2u, symbols.T - 1u);
    let t3 = min(block * 4u + 3u, symbols.T - 1u);

    // every dim
    for (var dim = lane; dim < 4u; dim += 64u) {
        let turn_row = ((lead0 * 10u + lead1) * symbols.T + t0) * 4u;
        queries[dim] = turn4[turn_row + dim];
    }

    // every dim
    for (var dim = lane; dim < 4u; dim += 64u) {
        let turn_row = ((lead0 * 10u + lead1) * symbols.T + t1) * 4u;
        queries[dim + 4u] = turn4[turn_row + dim];
    }

    // every dim
    for (var dim = lane; dim < 4u; dim += 64u) {
        let turn_row = ((lead0 * 10u + lead1) * symbols.T + t2) * 4u;
        queries[dim + 8u] = turn4[turn_row + dim];
    }

    // every dim
    for (var dim = lane; dim < 4u; dim += 64u) {
        let turn_row = ((lead0 * 10u + lead1) * symbols.T + t3) * 4u;
        queries[dim + 12u] = turn4[turn_row + dim];
    }

    workgroupBarrier();
    var highest0 = -3.4028234663852886e38f;
    var share0 = 0.0;
    var acc0_0 = 0.0;
    var highest1 = -3.4028234663852886e38f;
    var share1 = 0.0;
    var acc1_0 = 0.0;
    var highest2 = -3.4028234663852886e38f;
    var share2 = 0.0;
    var acc2_0 = 0.0;
    var highest3 = -3.4028234663852886e38f;
    var share3 = 0.0;
    var acc3_0 = 0.0;

    // every tile
    for (var tile = 0u; tile < symbols.P + symbols.T; tile += 64u) {
        let s = tile + lane;
        let inside = s < symbols.P + symbols.T;
        let key_index = min(s, symbols.P + symbols.T - 1u);
        var dot0 = 0.0;
        var dot1 = 0.0;
        var dot2 = 0.0;
        var dot3 = 0.0;
        let keys_row = ((lead0 * 2u + lead1 / 5u) * symbols.C + key_index) * 4u;

        // every dim
        for (var dim = 0u; dim < 4u; dim++) {
            let key = keys4[keys_row + dim];
            dot0 += dot(queries[dim], key);
            dot1 += dot(queries[dim + 4u], key);
            dot2 += dot(queries[dim + 8u], key);
            dot3 += dot(queries[dim + 12u], key);
        }

        let all_visible = i32(key_index) <= i32(t0) + i32(symbols.P) && tokens[lead0 * (symbols.P + symbols.T) + key_index] != 0;
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
        let all_visible2 = i32(key_index) <= i32(t1) + i32(symbols.P) && tokens[lead0 * (symbols.P + symbols.T) + key_index] != 0;
        let score1 = select(-3.4028234663852886e38f, dot1 * 0.25, all_visible2);
        var best1 = select(-3.4028234663852886e38f, score1, inside);

        // maximum over lane
        partial[lane] = best1;
        workgroupBarrier();

        // half of what is left in every turn
        for (var turn = 0u; turn < 6u; turn++) {
            let width = 32u >> turn;
            if (lane < width) {
                partial[lane] = max(partial[lane], partial[lane + width]);
            }
            workgroupBarrier();
        }

        best1 = partial[0u];
        workgroupBarrier();
        let next1 = max(highest1, best1);
        let fade1 = exp(highest1 - next1);
        let weight1 = select(0.0, exp(score1 - next1), inside);
        highest1 = next1;
        share1 = share1 * fade1 + weight1;
        acc1_0 *= fade1;
        weights[lane + 64u] = weight1;
        let all_visible3 = i32(key_index) <= i32(t2) + i32(symbols.P) && tokens[lead0 * (symbols.P + symbols.T) + key_index] != 0;
        let score2 = select(-3.4028234663852886e38f, dot2 * 0.25, all_visible3);
        var best2 = select(-3.4028234663852886e38f, score2, inside);

        // maximum over lane
        partial[lane] = best2;
        workgroupBarrier();

        // half of what is left in every turn
        for (var turn = 0u; turn < 6u; turn++) {
            let width = 32u >> turn;
            if (lane < width) {
                partial[lane] = max(partial[lane], partial[lane + width]);
            }
            workgroupBarrier();
        }

        best2 = partial[0u];
        workgroupBarrier();
        let next2 = max(highest2, best2);
        let fade2 = exp(highest2 - next2);
        let weight2 = select(0.0, exp(score2 - next2), inside);
        highest2 = next2;
        share2 = share2 * fade2 + weight2;
        acc2_0 *= fade2;
        weights[lane + 128u] = weight2;
        let all_visible4 = i32(key_index) <= i32(t3) + i32(symbols.P) && tokens[lead0 * (symbols.P + symbols.T) + key_index] != 0;
        let score3 = select(-3.4028234663852886e38f, dot3 * 0.25, all_visible4);
        var best3 = select(-3.4028234663852886e38f, score3, inside);

        // maximum over lane
        partial[lane] = best3;
        workgroupBarrier();

        // half of what is left in every turn
        for (var turn = 0u; turn < 6u; turn++) {
            let width = 32u >> turn;
            if (lane < width) {
                partial[lane] = max(partial[lane], partial[lane + width]);
            }
            workgroupBarrier();
        }

        best3 = partial[0u];
        workgroupBarrier();
        let next3 = max(highest3, best3);
        let fade3 = exp(highest3 - next3);
        let weight3 = select(0.0, exp(score3 - next3), inside);
        highest3 = next3;
        share3 = share3 * fade3 + weight3;
        acc3_0 *= fade3;
        weights[lane + 192u] = weight3;
        workgroupBarrier();
        let count = min(symbols.P + symbols.T - tile, 64u);
        if (lane < 16u) {
            // every key in tile
            for (var key_in_tile = 0u; key_in_tile < count; key_in_tile++) {
                let value = values[((lead0 * 2u + lead1 / 5u) * symbols.C + (tile + key_in_tile)) * 16u + lane];
                acc0_0 += weights[key_in_tile] * value;
                acc1_0 += weights[key_in_tile + 64u] * value;
                acc2_0 += weights[key_in_tile + 128u] * value;
                acc3_0 += weights[key_in_tile + 192u] * value;
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
    if (lane < 16u && block * 4u < symbols.T) {
        out_merge_heads[(lead0 * symbols.T + block * 4u) * 160u + (lead1 * 16u + lane)] = acc0_0 / share0;
    }

    // sum over lane
    partial[lane] = share1;
    workgroupBarrier();

    // half of what is left in every turn
    for (var turn = 0u; turn < 6u; turn++) {
        let width = 32u >> turn;
        if (lane < width) {
            partial[lane] = partial[lane] + partial[lane + width];
        }
        workgroupBarrier();
    }

    share1 = partial[0u];
    workgroupBarrier();
    if (lane < 16u && block * 4u + 1u < symbols.T) {
        out_merge_heads[(lead0 * symbols.T + (block * 4u + 1u)) * 160u + (lead1 * 16u + lane)] = acc1_0 / share1;
    }

    // sum over lane
    partial[lane] = share2;
    workgroupBarrier();

    // half of what is left in every turn
    for (var turn = 0u; turn < 6u; turn++) {
        let width = 32u >> turn;
        if (lane < width) {
            partial[lane] = partial[lane] + partial[lane + width];
        }
        workgroupBarrier();
    }

    share2 = partial[0u];
    workgroupBarrier();
    if (lane < 16u && block * 4u + 2u < symbols.T) {
        out_merge_heads[(lead0 * symbols.T + (block * 4u + 2u)) * 160u + (lead1 * 16u + lane)] = acc2_0 / share2;
    }

    // sum over lane
    partial[lane] = share3;
    workgroupBarrier();

    // half of what is left in every turn
    for (var turn = 0u; turn < 6u; turn++) {
        let width = 32u >> turn;
        if (lane < width) {
            partial[lane] = partial[lane] + partial[lane + width];
        }
        workgroupBarrier();
    }

    share3 = partial[0u];
    workgroupBarrier();
    if (lane < 16u && block * 4u + 3u < symbols.T) {
        out_merge_heads[(lead0 * symbols.T + (block * 4u + 3u)) * 160u + (lead1 * 16u + lane)] = acc3_0 / share3;
    }
}
