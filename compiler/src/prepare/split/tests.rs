use super::super::Computed;
use super::super::tests::{Draft, checked, matmul, names, ops};
use super::*;

/// The boundaries for `rows` rows, of which at most `most` fit.
fn cut_at(rows: u64, most: u64) -> Option<Vec<u64>> {
    borders(rows, |n| n <= most)
}

#[test]
fn parts_begin_at_tiles_and_are_nearly_equal() {
    assert_eq!(cut_at(64, 63), Some(vec![0, 32, 64]));
    assert_eq!(cut_at(65, 64), Some(vec![0, 64, 65]), "the last part may be small");
    assert_eq!(cut_at(65, 63), Some(vec![0, 32, 64, 65]));
    assert_eq!(cut_at(150, 149), Some(vec![0, 96, 150]));
    assert_eq!(cut_at(320, 192), Some(vec![0, 160, 320]), "not 192 and 128");
    assert_eq!(cut_at(128_256, 60_000), Some(vec![0, 42_752, 85_504, 128_256]));
    assert_eq!(cut_at(64, 31), None);
    assert_eq!(cut_at(20, 19), None, "less than a tile is not cut");
}

#[test]
fn all_parts_fit_and_none_is_empty() {
    for rows in 33..400 {
        for most in [32, 33, 63, 64, 100, 160, 333] {
            let Some(borders) = (rows > most).then(|| cut_at(rows, most)).flatten() else { continue };
            assert_eq!((borders[0], borders.last()), (0, Some(&rows)));
            for part in borders.windows(2) {
                assert!(part[0] < part[1] && part[1] - part[0] <= most && part[0] % 32 == 0, "{rows} {most}");
            }
            assert_eq!(borders.len() as u64 - 1, rows.div_ceil(32).div_ceil(most / 32), "as few as possible");
        }
    }
}

/// The operations of a graph, without constants, shapes and weights.
fn work(prepared: &Prepared) -> Vec<String> {
    let quiet = ["const", "weight", "dequantize", "input", "reshape"];
    ops(&prepared.model.graph).into_iter().filter(|op| !quiet.contains(&op.as_str())).collect()
}

#[test]
fn tied_embeddings_share_their_parts() {
    let mut draft = Draft::new();
    let ids = draft.op(Op::Input(1), &[], "ids");
    let table = draft.weight("embed", &[80, 64]);
    let x = draft.op(Op::Gather, &[table, ids], "x");
    draft.region("end", None);
    let logits = draft.op(matmul(true), &[x, table], "logits");
    draft.output("logits", logits);
    let prepared = draft.prepare("f16");
    assert_eq!(split(prepared.clone(), 80 * 64 * 2).unwrap(), prepared, "what fits is left alone");
    let cut = checked(split(prepared, 32 * 64 * 2).unwrap());
    assert_eq!(names(&cut), ["embed[0..32]", "embed[32..64]", "embed[64..80]"]);
    assert_eq!(cut.model.weights[2].shape, [16, 64]);
    let expected = ["gather", "sub", "gather", "lt", "select", "sub", "gather", "lt", "select"];
    assert_eq!(work(&cut), [&expected[..], &["matmul"; 3], &["concat"]].concat());
    let Recipe::Part(part) = &cut.recipes[2] else { panic!("no part") };
    assert_eq!((&*part.whole, part.first), (&Recipe::Direct("hf.embed".into()), 64));
    let paths: Vec<&str> = cut.model.graph.nodes.iter().map(|n| n.path.as_str()).collect();
    assert!(paths.contains(&"logits[64..80]") && paths.last() == Some(&"logits"), "{paths:?}");
}

#[test]
fn work_behind_a_product_is_done_part_by_part_if_nobody_else_needs_the_product() {
    for seen in [false, true] {
        let mut draft = Draft::new();
        let x = draft.op(Op::Input(0), &[], "x");
        let w = draft.weight("w", &[96, 64]);
        let bias = draft.weight("bias", &[96]);
        let y = draft.op(matmul(true), &[x, w], "y");
        let z = draft.op(Op::Binary(Binary::Add), &[y, bias], "z");
        let last = draft.op(Op::Unary(gristmill_graph::Unary::Tanh), &[z], "last");
        draft.output("last", last);
        if seen {
            draft.output("y", y);
        }
        let cut = checked(split(draft.prepare("f32"), 64 * 64 * 4).unwrap());
        assert_eq!(names(&cut), ["w[0..64]", "w[64..96]", "bias"]);
        let expected: &[&str] = if seen {
            &["matmul", "matmul", "concat", "add", "tanh"]
        } else {
            &["matmul", "matmul", "slice", "add", "slice", "add", "tanh", "tanh", "concat"]
        };
        assert_eq!(work(&cut), expected);
    }
}

#[test]
fn computed_weights_are_cut_like_others() {
    let mut draft = Draft::new();
    let x = draft.op(Op::Input(0), &[], "x");
    let w = draft.weight("conv1d", &[64, 128]);
    let y = draft.op(matmul(false), &[x, w], "y");
    draft.output("y", y);
    let cut = checked(split(draft.prepare("f32"), 64 * 64 * 4).unwrap());
    assert_eq!(names(&cut), ["conv1d/transposed[0..64]", "conv1d/transposed[64..128]"]);
    let [Recipe::Part(a), Recipe::Part(b)] = cut.recipes.as_slice() else { panic!("no parts") };
    assert!(Arc::ptr_eq(&a.whole, &b.whole), "computed once");
    assert!(matches!(&*a.whole, Recipe::Computed(Computed { .. })) && b.shape == [128, 64]);
}

#[test]
fn what_cannot_be_cut_is_refused_with_a_remedy() {
    let refused = |shape: &[u64], limit: u64| {
        let mut draft = Draft::new();
        let x = draft.op(Op::Input(0), &[], "x");
        let w = draft.weight("w", shape);
        let op = if shape.len() == 2 { matmul(true) } else { Op::Binary(Binary::Mul) };
        let y = draft.op(op, &[x, w], "blocks.0.y");
        draft.output("y", y);
        split(draft.prepare("f16"), limit).unwrap_err().to_string()
    };
    let vector = refused(&[64], 100);
    let place = "node blocks.0.y: weight `w` [64] at f16 takes 128 bytes, but a device may bind no more than 100";
    assert!(vector.starts_with(place) && vector.contains("it cannot be split"), "{vector}");
    assert!(vector.ends_with("(--precision, or a policy file with a line for this weight)"), "{vector}");
    let wide = refused(&[64, 64], 32 * 64 * 2 - 1);
    assert!(wide.contains("even 32 of its rows are too large"), "{wide}");
}
