use super::*;
use crate::dim::{Bindings, Dim, Shape, show_shape};
use crate::dtype::DType;
use crate::graph::{Model, NodeId, State, StateKind, Weight};
use crate::infer::{infer, infer_declared};
use crate::literal::{Bits, Literal};
use crate::op::NormKind;
use crate::op::Reduction;
use crate::scalar::{Binary, Scalar, Unary};

/// `"B T 4"` is a shape of symbols and constants.
fn shape(text: &str) -> Shape {
    let dim = |w: &str| match w.split_once('+') {
        Some((a, b)) => &Dim::symbol(a) + &Dim::symbol(b),
        None => w.parse::<i64>().map_or_else(|_| Dim::symbol(w), Dim::constant),
    };
    text.split_whitespace().map(dim).collect()
}

/// Infers with operands written as `"f32 B T 4"` and shows the result as `f32[B, T, 4]`, or the error.
fn typed(op: &Op, operands: &[&str]) -> String {
    let parse = |text: &&str| {
        let (dtype, rest) = text.split_once(' ').unwrap_or((text, ""));
        let dtype = match dtype {
            "f32" => DType::F32,
            "i32" => DType::I32,
            _ => DType::Bool,
        };
        (shape(rest), dtype)
    };
    let owned: Vec<_> = operands.iter().map(parse).collect();
    let operands: Vec<Operand<'_>> = owned.iter().map(|(s, t)| (s.as_slice(), *t)).collect();
    match infer(op, &operands) {
        Ok((shape, dtype)) => format!("{dtype}{}", show_shape(&shape)),
        Err(message) => message,
    }
}

#[test]
fn elementwise() {
    let add = Op::Binary(Binary::Add);
    assert_eq!(typed(&add, &["f32 B T 4", "f32 4"]), "f32[B, T, 4]");
    assert_eq!(typed(&add, &["f32 1 T", "f32 B 1"]), "f32[B, T]");
    assert_eq!(typed(&add, &["f32 B T", "f32 B S"]), "add: shapes [B, T] and [B, S] do not broadcast");
    assert_eq!(typed(&add, &["f32 T", "i32 T"]), "add: expected operands of one type, found f32 and i32");
    assert_eq!(typed(&add, &["f32 T"]), "add: expected 2 operands, found 1");
    assert_eq!(typed(&Op::Binary(Binary::Lt), &["i32 T 1", "i32 T"]), "bool[T, T]");
    assert_eq!(typed(&Op::Binary(Binary::And), &["f32", "f32"]), "and: expected operands of type bool, found f32");
    assert_eq!(typed(&Op::Unary(Unary::Exp), &["i32 T"]), "exp: expected operand of type f32, found i32");
    assert_eq!(typed(&Op::Select, &["bool T", "f32", "f32 B T"]), "f32[B, T]");
    assert_eq!(typed(&Op::Cast(DType::F32), &["bool T"]), "f32[T]");
    assert_eq!(typed(&Op::Table(vec![Bits::new(0.5); 3]), &[]), "f32[3]");
    assert_eq!(typed(&Op::Size(Dim::constant(-1)), &[]), "size: value is negative (-1)");
}

#[test]
fn reductions() {
    let mean = |axis| Op::Reduce { op: Reduction::Mean, axis };
    assert_eq!(typed(&mean(1), &["f32 B T 8"]), "f32[B, 1, 8]");
    assert_eq!(typed(&mean(3), &["f32 B T 8"]), "mean: axis 3 does not exist in shape [B, T, 8]");
    assert_eq!(typed(&Op::ArgMax, &["f32 B 8"]), "i32[B, 1]");
    assert_eq!(typed(&Op::TopK { k: 4 }, &["f32 B 8"]), "i32[B, 4]");
    assert_eq!(typed(&Op::TopK { k: 9 }, &["f32 B 8"]), "top_k: expected 1 to 8 elements of the last axis, found 9");
}

#[test]
fn contraction() {
    let plain = Op::MatMul { transpose_b: false };
    let transposed = Op::MatMul { transpose_b: true };
    assert_eq!(typed(&plain, &["f32 B H T 64", "f32 B H 64 S"]), "f32[B, H, T, S]");
    assert_eq!(typed(&transposed, &["f32 B T 64", "f32 128 64"]), "f32[B, T, 128]");
    assert_eq!(
        typed(&transposed, &["f32 B T 64", "f32 64 128"]),
        "matmul: for a first operand [B, T, 64] expected a second one [.., N, 64], found [64, 128]"
    );
}

#[test]
fn movement() {
    assert_eq!(typed(&Op::Reshape(shape("B T 4 16")), &["f32 B T 64"]), "f32[B, T, 4, 16]");
    assert_eq!(
        typed(&Op::Reshape(shape("B 64")), &["f32 B T 64"]),
        "reshape: [B, T, 64] has 64*B*T elements, but [B, 64] has 64*B"
    );
    assert_eq!(typed(&Op::Transpose(vec![1, 0, 2]), &["f32 B T 4"]), "f32[T, B, 4]");
    assert_eq!(
        typed(&Op::Transpose(vec![1, 1]), &["f32 B T"]),
        "transpose: expected a permutation of the 2 axes, found [1, 1]"
    );
    assert_eq!(typed(&Op::Broadcast(shape("B T")), &["i32 T"]), "i32[B, T]");
    assert_eq!(typed(&Op::Broadcast(shape("T")), &["i32 B T"]), "broadcast: shape [B, T] cannot be broadcast to [T]");
    let slice = |start: i64, len: i64| Op::Slice { axis: 1, start: start.into(), len: len.into() };
    assert_eq!(typed(&slice(8, 8), &["f32 B 16"]), "f32[B, 8]");
    assert_eq!(typed(&slice(9, 8), &["f32 B 16"]), "slice: 9 .. 17 is outside of axis 1 of [B, 16]");
    assert_eq!(typed(&Op::Concat { axis: 1 }, &["f32 B P", "f32 B T"]), "f32[B, P + T]");
    let pad = Op::Pad { axis: 0, before: Dim::constant(1), after: Dim::default(), value: Literal::f32(0.0) };
    assert_eq!(typed(&pad, &["f32 T"]), "f32[T + 1]");
    assert_eq!(typed(&pad, &["i32 T"]), "pad: expected the added value of type i32, found f32");
    assert_eq!(typed(&Op::Gather, &["f32 1000 64", "i32 B T"]), "f32[B, T, 64]");
    assert_eq!(typed(&Op::TakeLast, &["f32 B 8", "i32 B 2"]), "f32[B, 2]");
}

#[test]
fn windows() {
    let of = |axis, size, stride, dilation| Op::Windows { axis, size, stride, dilation };
    assert_eq!(typed(&of(1, 3, 2, 1), &["f32 B 11 8"]), "f32[B, 5, 3, 8]");
    assert_eq!(typed(&of(0, 3, 1, 2), &["i32 5"]), "i32[1, 3]");
    assert_eq!(typed(&of(1, 3, 2, 1), &["f32 B H"]), "f32[B, ceil_div(H, 2) - 1, 3]");
    assert_eq!(typed(&of(0, 16, 16, 1), &["f32 H"]), "f32[ceil_div(H + 1, 16) - 1, 16]");
    assert_eq!(typed(&of(0, 3, 1, 2), &["f32 4"]), "windows: a window of 5 elements does not fit into axis 0 of [4]");
    assert_eq!(typed(&of(1, 3, 1, 1), &["f32 8"]), "windows: axis 1 does not exist in shape [8]");
    assert_eq!(
        typed(&of(0, 3, 0, 1), &["f32 8"]),
        "windows: expected a size, a stride and a dilation of 1 or more, found 3, 0 and 1"
    );
    assert_eq!(typed(&of(0, 3, 1, 1), &[]), "windows: expected 1 operand, found 0");
}

#[test]
fn fused() {
    let norm = Op::Norm { kind: NormKind::Rms, eps: Bits::new(1e-6) };
    assert_eq!(typed(&norm, &["f32 B T 8", "f32 8"]), "f32[B, T, 8]");
    assert_eq!(typed(&norm, &["f32 B T 8", "f32 9"]), "rms_norm: expected a scale of shape [8], found [9]");
    let gated = Scalar::Binary(Binary::Mul, Box::new(Scalar::Acc(0)), Box::new(Scalar::Acc(1)));
    let linear = Op::Linear { weights: 2, epilogue: gated };
    assert_eq!(typed(&linear, &["f32 B T 8", "f32 16 8", "f32 16 8"]), "f32[B, T, 16]");
    let one = Op::Linear { weights: 1, epilogue: Scalar::Acc(1) };
    assert_eq!(typed(&one, &["f32 8", "f32 16 8"]), "linear epilogue: expected an accumulator below 1, found 1");
    let attention = Op::Attention { score: Scalar::Acc(0) };
    assert_eq!(typed(&attention, &["f32 B H T 8", "f32 B H P+T 8", "f32 B H P+T 4"]), "f32[B, H, T, 4]");
    assert_eq!(
        typed(&attention, &["f32 B T 8", "f32 B S 8", "f32 S 8"]),
        "attention: expected [.., T, D], [.., S, D] and [.., S, E], found [B, T, 8], [B, S, 8] and [S, 8]"
    );
}

#[test]
fn declared_leaves() {
    let mut model = Model::default();
    model.states.push(State {
        name: "key".into(),
        shape: shape("B 2 P 4"),
        kind: StateKind::Appended { axis: 2, window: None },
    });
    model.weights.push(Weight { name: "w".into(), source: "w".into(), shape: vec![2, 3], component: 0 });
    let w = model.add(Op::Weight(0), &[], "w").unwrap();
    assert_eq!(show_shape(&model.graph.node(w).shape), "[2, 3]");
    let new = [Dim::symbol("B"), Dim::constant(2), Dim::symbol("T"), Dim::constant(4)];
    let grown = infer_declared(Declarations::of(&model), &Op::StateAppend(0), &[(&new, DType::F32)]).unwrap();
    assert_eq!(show_shape(&grown.0), "[B, 2, P + T, 4]");
    let bind = Bindings::from([("P".to_string(), 0)]);
    let first = infer_declared(Declarations::of(&model).bound(&bind), &Op::StateAppend(0), &[(&new, DType::F32)]);
    assert_eq!(show_shape(&first.unwrap().0), "[B, 2, T, 4]");
    assert_eq!(model.add(Op::Weight(7), &[], "x").unwrap_err(), "x: weight 7 does not exist; the model declares 1");
    assert!(model.add(Op::Unary(Unary::Neg), &[NodeId(99)], "x").is_err());
}

/// An operation of every variant.
fn one_of_each() -> Vec<Op> {
    let (dim, scalar) = (Dim::symbol("T"), Scalar::identity());
    vec![
        Op::Input(0),
        Op::Weight(0),
        Op::Const(Literal::I32(1)),
        Op::Table(vec![Bits::new(1.0)]),
        Op::Iota(dim.clone()),
        Op::Size(dim.clone()),
        Op::Unary(Unary::Exp),
        Op::Binary(Binary::Add),
        Op::Select,
        Op::Cast(DType::F32),
        Op::Reduce { op: Reduction::Sum, axis: 0 },
        Op::ArgMax,
        Op::TopK { k: 1 },
        Op::MatMul { transpose_b: true },
        Op::Reshape(vec![dim.clone()]),
        Op::Transpose(vec![1, 0]),
        Op::Broadcast(vec![dim.clone()]),
        Op::Slice { axis: 0, start: dim.clone(), len: dim.clone() },
        Op::Concat { axis: 0 },
        Op::Pad { axis: 0, before: dim.clone(), after: dim.clone(), value: Literal::f32(0.0) },
        Op::Windows { axis: 0, size: 1, stride: 1, dilation: 1 },
        Op::Gather,
        Op::TakeLast,
        Op::Dequantize,
        Op::QuantizeActivations,
        Op::StateAppend(0),
        Op::StateKeep(0),
        Op::StateRead(0),
        Op::StatePrevious(0),
        Op::StateUpdate(0),
        Op::Softmax,
        Op::Norm { kind: NormKind::Rms, eps: Bits::new(1e-6) },
        Op::Linear { weights: 1, epilogue: scalar.clone() },
        Op::Attention { score: scalar },
    ]
}

/// What a row says and what is asked of [`Op`] directly are the same, for every operation of the manual.
#[test]
fn rows_agree_with_the_enum() {
    let source = include_str!("../op.rs");
    let declared = source.split("pub enum Op {").nth(1).and_then(|s| s.split("\n}").next()).unwrap();
    let is_variant = |l: &&str| l.len() > 5 && l.starts_with("    ") && l.as_bytes()[4].is_ascii_uppercase();
    assert_eq!(declared.lines().filter(is_variant).count(), one_of_each().len());
    let two = Bindings::from([("T".to_string(), 2)]);
    for op in one_of_each() {
        let traits = op.traits();
        assert_eq!(op.view().is_some(), traits.role == Role::View, "{op:?}");
        let free = matches!(traits.role, Role::Given | Role::Constant | Role::View);
        assert_eq!(traits.work == Work::None, free, "{op:?}");
        let bound = op.with_symbols(&two);
        assert_eq!(bound.dims().len(), op.dims().len());
        assert!(bound.dims().iter().all(|d| *d == Dim::constant(2)), "{op:?}");
        assert_eq!(op == bound, op.dims().is_empty(), "{op:?}");
        let scalar: Operand<'_> = (&[], DType::Bool);
        assert!(infer(&op, &[scalar; 9]).is_err(), "{op:?}");
    }
}
