//! Errors about operations that no variant computes.

use std::collections::BTreeMap;

use gristmill_graph::{Binary, DType, Dim, Input, Model, Op, Region, Scalar, Symbol, Unary, Weight};

use super::variants::{Wanted, build};
use crate::codegen::context::{Lowering, Place, Setting, Stored};
use crate::codegen::partition::partition;
use crate::options::KvPrecision;
use crate::profile::shipped;
use gristmill_graph::Precision;

/// A softmax, and the operations `read` of it and of a weight. The softmax has a kernel, but is marked as if it had
/// none.
fn forgotten(read: &[Op]) -> Vec<String> {
    let shape = vec![Dim::symbol("T"), Dim::constant(64)];
    let mut model = Model::default();
    model.symbols.push(Symbol { name: "T".into(), min: 1, max: 64 });
    model.graph.regions.push(Region { name: "start".into(), index: None });
    model.inputs.push(Input { name: "x".into(), dtype: DType::F32, shape, default: None, advance: None });
    model.weights.push(Weight { name: "w".into(), source: "w".into(), shape: vec![64, 64], component: 0 });
    let x = model.add(Op::Input(0), &[], "x").unwrap();
    let w = model.add(Op::Weight(0), &[], "w").unwrap();
    let lost = model.add(Op::Softmax, &[x], "model.layers.0.attn.weights").unwrap();
    let mut last = lost;
    for op in read {
        let inputs = if matches!(op, Op::Linear { .. }) { vec![x, w, last] } else { vec![last] };
        last = model.add(op.clone(), &inputs, "reader").unwrap();
    }
    model.graph.outputs.insert("y".into(), last);
    let errors = ["native", "wasm"].map(|name| {
        let profile = shipped(name).unwrap();
        let precisions = [Precision::F32];
        let setting = Setting {
            model: &model,
            precisions: &precisions,
            kv: KvPrecision::F32,
            profile: &profile,
            has_fallback: false,
        };
        let mut partition = partition(&model.graph, 8);
        // It is not stored in another layout either.
        if let Some(end) = partition.root[lost.index()].take() {
            partition.stored[end.index()] = false;
        }
        let (graph, users) = (&model.graph, model.graph.users());
        let low = Lowering { setting: &setting, graph, partition, users, outputs: BTreeMap::from([(last, 0)]) };
        let built = build(&Wanted { low: &low, stored: &[Stored { id: last, root: last, place: Place::Output(0) }] });
        built.err().map(|e| e.to_string()).unwrap_or_default()
    });
    errors.into()
}

#[test]
fn an_anchor_is_never_computed_in_place() {
    let expected = "internal error: operation `softmax` of node model.layers.0.attn.weights has no inlined form \
                    (this is a bug)";
    let epilogue = Scalar::Acc(0).binary(Binary::Add, Scalar::Arg(0));
    let readers = [
        vec![Op::Unary(Unary::Neg)],
        vec![Op::Cast(DType::I32), Op::Cast(DType::F32)],
        vec![Op::Transpose(vec![1, 0]), Op::Unary(Unary::Exp)],
        vec![Op::Slice { axis: 1, start: Dim::constant(4), len: Dim::constant(8) }, Op::Unary(Unary::Exp)],
        vec![Op::Linear { weights: 1, epilogue }],
        vec![Op::ArgMax],
    ];
    for read in readers {
        assert_eq!(forgotten(&read), [expected, expected], "{read:?}");
    }
}
