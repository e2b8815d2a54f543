use super::*;
use crate::dtype::DType;
use crate::graph::{Entry, EntryRole, Input, InputDefault, StateKind, Symbol};
use crate::literal::{Bits, Literal};
use crate::op::Op;
use crate::op::{NormKind, Reduction};
use crate::scalar::{Binary, Scalar, Unary};

/// Evaluates one operation on operands that are inputs.
fn run(op: Op, operands: &[Array]) -> Result<Array, String> {
    let mut model = Model::default();
    let (mut ids, mut inputs) = (Vec::new(), BTreeMap::new());
    for (i, t) in operands.iter().enumerate() {
        let name = format!("x{i}");
        let shape = t.shape.iter().map(|n| Dim::from(*n)).collect();
        model.inputs.push(Input { name: name.clone(), dtype: t.dtype(), shape, default: None, advance: None });
        ids.push(model.add(Op::Input(i as u32), &[], &name)?);
        inputs.insert(name, t.clone());
    }
    let result = model.add(op, &ids, "result")?;
    model.graph.outputs.insert("y".into(), result);
    let none: Vec<Arc<Array>> = Vec::new();
    let outputs = Evaluator::new(&model, &none).run(&model.graph, &inputs, &Bindings::new());
    outputs.map_err(|e| e.to_string()).map(|mut o| o.remove("y").unwrap())
}

fn f(shape: &[usize], data: &[f32]) -> Array {
    Array::f32(shape, data.to_vec())
}

fn i(shape: &[usize], data: &[i32]) -> Array {
    Array::i32(shape, data.to_vec())
}

fn b(shape: &[usize], data: &[bool]) -> Array {
    Array { shape: shape.to_vec(), data: Data::Bool(data.to_vec()) }
}

fn close(found: &Array, shape: &[usize], expected: &[f32]) {
    assert_eq!(found.shape, shape);
    let values = found.as_f32().expect("floats");
    for (a, b) in values.iter().zip(expected) {
        assert!((a - b).abs() <= 1e-6 * b.abs().max(1.0), "found {values:?}, expected {expected:?}");
    }
}

#[test]
fn constants() {
    assert_eq!(run(Op::Const(Literal::I32(7)), &[]), Ok(i(&[], &[7])));
    assert_eq!(run(Op::Table(vec![Bits::new(0.5), Bits::new(2.0)]), &[]), Ok(f(&[2], &[0.5, 2.0])));
    assert_eq!(run(Op::Iota(Dim::constant(3)), &[]), Ok(i(&[3], &[0, 1, 2])));
    assert_eq!(run(Op::Size(Dim::constant(9)), &[]), Ok(i(&[], &[9])));
}

#[test]
fn unary_functions() {
    let of = |op, x: &[f32]| run(Op::Unary(op), &[f(&[x.len()], x)]).unwrap();
    close(&of(Unary::Neg, &[1.0, -2.0]), &[2], &[-1.0, 2.0]);
    close(&of(Unary::Abs, &[1.0, -2.0]), &[2], &[1.0, 2.0]);
    close(&of(Unary::Exp, &[0.0, 1.0]), &[2], &[1.0, std::f32::consts::E]);
    close(&of(Unary::Log, &[1.0, std::f32::consts::E]), &[2], &[0.0, 1.0]);
    close(&of(Unary::Log1p, &[-0.5, 0.0, 3.0]), &[3], &[0.5f32.ln(), 0.0, 4f32.ln()]);
    // `1 + x` is 1 in f32, but the logarithm is not 0.
    assert_eq!(of(Unary::Log1p, &[1e-9, -1e-9]), f(&[2], &[1e-9, -1e-9]));
    close(&of(Unary::Sqrt, &[9.0]), &[1], &[3.0]);
    close(&of(Unary::Rsqrt, &[4.0]), &[1], &[0.5]);
    close(&of(Unary::Recip, &[4.0]), &[1], &[0.25]);
    close(&of(Unary::Tanh, &[0.5]), &[1], &[0.462_117_16]);
    close(&of(Unary::Erf, &[0.5]), &[1], &[0.520_499_9]);
    close(&of(Unary::Sin, &[1.0]), &[1], &[0.841_471]);
    close(&of(Unary::Cos, &[1.0]), &[1], &[0.540_302_3]);
    close(&of(Unary::Floor, &[-1.5, 1.5]), &[2], &[-2.0, 1.0]);
    assert_eq!(run(Op::Unary(Unary::Not), &[b(&[2], &[true, false])]), Ok(b(&[2], &[false, true])));
    assert_eq!(run(Op::Unary(Unary::Neg), &[i(&[2], &[3, i32::MIN])]), Ok(i(&[2], &[-3, i32::MIN])));
}

#[test]
fn binary_functions_of_floats() {
    let of = |op| run(Op::Binary(op), &[f(&[2], &[7.0, -7.0]), f(&[2], &[2.0, 3.0])]).unwrap();
    for (op, expected) in [
        (Binary::Add, [9.0, -4.0]),
        (Binary::Sub, [5.0, -10.0]),
        (Binary::Mul, [14.0, -21.0]),
        (Binary::Div, [3.5, -7.0 / 3.0]),
        (Binary::Rem, [1.0, -1.0]),
        (Binary::Pow, [49.0, -343.0]),
        (Binary::Max, [7.0, 3.0]),
        (Binary::Min, [2.0, -7.0]),
    ] {
        close(&of(op), &[2], &expected);
    }
    assert_eq!(of(Binary::Lt), b(&[2], &[false, true]));
    assert_eq!(of(Binary::Ge), b(&[2], &[true, false]));
}

#[test]
fn binary_functions_of_integers_wrap_and_never_trap() {
    let of = |op, x: &[i32], y: &[i32]| run(Op::Binary(op), &[i(&[2], x), i(&[2], y)]).unwrap();
    assert_eq!(of(Binary::Add, &[1, i32::MAX], &[2, 1]), i(&[2], &[3, i32::MIN]));
    assert_eq!(of(Binary::Div, &[-7, 5], &[2, 0]), i(&[2], &[-3, 5]));
    assert_eq!(of(Binary::Div, &[i32::MIN, 9], &[-1, 3]), i(&[2], &[i32::MIN, 3]));
    assert_eq!(of(Binary::Rem, &[-7, 5], &[2, 0]), i(&[2], &[-1, 0]));
    assert_eq!(of(Binary::Rem, &[i32::MIN, 7], &[-1, 4]), i(&[2], &[0, 3]));
    assert_eq!(of(Binary::Le, &[1, 2], &[1, 1]), b(&[2], &[true, false]));
    let both = [b(&[2], &[true, true]), b(&[2], &[true, false])];
    assert_eq!(run(Op::Binary(Binary::And), &both), Ok(b(&[2], &[true, false])));
    assert_eq!(run(Op::Binary(Binary::Ne), &both), Ok(b(&[2], &[false, true])));
}

#[test]
fn broadcasting() {
    let sum = run(Op::Binary(Binary::Add), &[f(&[2, 1], &[10.0, 20.0]), f(&[3], &[1.0, 2.0, 3.0])]);
    assert_eq!(sum, Ok(f(&[2, 3], &[11.0, 12.0, 13.0, 21.0, 22.0, 23.0])));
    let condition = b(&[2, 1], &[true, false]);
    let picked = run(Op::Select, &[condition, f(&[], &[9.0]), f(&[2, 2], &[1.0, 2.0, 3.0, 4.0])]);
    assert_eq!(picked, Ok(f(&[2, 2], &[9.0, 9.0, 3.0, 4.0])));
    let repeated =
        run(Op::Broadcast(vec![Dim::constant(2), Dim::constant(2), Dim::constant(2)]), &[i(&[2, 1], &[5, 6])]);
    assert_eq!(repeated, Ok(i(&[2, 2, 2], &[5, 5, 6, 6, 5, 5, 6, 6])));
}

#[test]
fn conversions() {
    assert_eq!(run(Op::Cast(DType::I32), &[f(&[3], &[1.9, -1.9, 1e20])]), Ok(i(&[3], &[1, -1, i32::MAX])));
    assert_eq!(run(Op::Cast(DType::F32), &[b(&[2], &[true, false])]), Ok(f(&[2], &[1.0, 0.0])));
    assert_eq!(run(Op::Cast(DType::Bool), &[i(&[2], &[0, -3])]), Ok(b(&[2], &[false, true])));
}

#[test]
fn reductions() {
    let x = f(&[2, 3], &[1.0, 5.0, 3.0, -1.0, -5.0, 0.0]);
    let of = |op, axis| run(Op::Reduce { op, axis }, std::slice::from_ref(&x)).unwrap();
    assert_eq!(of(Reduction::Sum, 1), f(&[2, 1], &[9.0, -6.0]));
    assert_eq!(of(Reduction::Mean, 0), f(&[1, 3], &[0.0, 0.0, 1.5]));
    assert_eq!(of(Reduction::Max, 1), f(&[2, 1], &[5.0, 0.0]));
    assert_eq!(of(Reduction::Min, 0), f(&[1, 3], &[-1.0, -5.0, 0.0]));
    let sum = Op::Reduce { op: Reduction::Sum, axis: 0 };
    assert_eq!(run(sum, &[i(&[3], &[1, 2, 3])]), Ok(i(&[1], &[6])));
    assert_eq!(run(Op::ArgMax, &[f(&[2, 3], &[1.0, 4.0, 4.0, f32::NAN, -1.0, -2.0])]), Ok(i(&[2, 1], &[1, 1])));
    assert_eq!(run(Op::ArgMax, &[i(&[3], &[-5, -1, -1])]), Ok(i(&[1], &[1])));
    assert_eq!(run(Op::TopK { k: 3 }, &[f(&[4], &[2.0, 7.0, 2.0, 9.0])]), Ok(i(&[3], &[3, 1, 0])));
}

#[test]
fn matrix_products() {
    let a = f(&[2, 3], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
    let plain = run(Op::MatMul { transpose_b: false }, &[a.clone(), f(&[3, 2], &[1.0, 0.0, 0.0, 1.0, 1.0, 1.0])]);
    assert_eq!(plain, Ok(f(&[2, 2], &[4.0, 5.0, 10.0, 11.0])));
    let transposed = run(Op::MatMul { transpose_b: true }, &[a, f(&[2, 3], &[1.0, 0.0, 1.0, 0.0, 1.0, 1.0])]);
    assert_eq!(transposed, Ok(f(&[2, 2], &[4.0, 5.0, 10.0, 11.0])));
}

#[test]
fn matrix_products_broadcast_leading_axes() {
    // Two rows of batches on the left, two on the right: every pair is multiplied.
    let a = f(&[2, 1, 1, 2], &[1.0, 2.0, 3.0, 4.0]);
    let b = f(&[2, 2, 1], &[1.0, 1.0, 0.0, 1.0]);
    let product = run(Op::MatMul { transpose_b: false }, &[a, b]);
    assert_eq!(product, Ok(f(&[2, 2, 1, 1], &[3.0, 2.0, 7.0, 4.0])));
    let long: Vec<f32> = (0..37).map(|v| v as f32).collect();
    let square = run(Op::MatMul { transpose_b: true }, &[f(&[1, 37], &long), f(&[1, 37], &long)]);
    assert_eq!(square, Ok(f(&[1, 1], &[(36 * 37 * 73 / 6) as f32])));
}

#[test]
fn movement() {
    let x = i(&[2, 3], &[1, 2, 3, 4, 5, 6]);
    assert_eq!(
        run(Op::Reshape(vec![Dim::constant(3), Dim::constant(2)]), std::slice::from_ref(&x)),
        Ok(i(&[3, 2], &[1, 2, 3, 4, 5, 6]))
    );
    assert_eq!(run(Op::Transpose(vec![1, 0]), std::slice::from_ref(&x)), Ok(i(&[3, 2], &[1, 4, 2, 5, 3, 6])));
    let slice = Op::Slice { axis: 1, start: Dim::constant(1), len: Dim::constant(2) };
    assert_eq!(run(slice, std::slice::from_ref(&x)), Ok(i(&[2, 2], &[2, 3, 5, 6])));
    let nothing = Op::Slice { axis: 0, start: Dim::constant(2), len: Dim::constant(0) };
    assert_eq!(run(nothing, std::slice::from_ref(&x)), Ok(i(&[0, 3], &[])));
    let joined = run(Op::Concat { axis: 1 }, &[x.clone(), i(&[2, 1], &[7, 8])]);
    assert_eq!(joined, Ok(i(&[2, 4], &[1, 2, 3, 7, 4, 5, 6, 8])));
    let flags = run(Op::Concat { axis: 0 }, &[b(&[1], &[true]), b(&[2], &[false, true])]);
    assert_eq!(flags, Ok(b(&[3], &[true, false, true])));
    let pad = Op::Pad { axis: 0, before: Dim::constant(1), after: Dim::constant(0), value: Literal::I32(-1) };
    assert_eq!(run(pad, std::slice::from_ref(&x)), Ok(i(&[3, 3], &[-1, -1, -1, 1, 2, 3, 4, 5, 6])));
    assert_eq!(run(Op::Gather, &[x.clone(), i(&[3], &[1, -4, 99])]), Ok(i(&[3, 3], &[4, 5, 6, 1, 2, 3, 4, 5, 6])));
    assert_eq!(run(Op::TakeLast, &[x, i(&[2, 2], &[2, 0, 1, 1])]), Ok(i(&[2, 2], &[3, 1, 5, 5])));
}

#[test]
fn windows_overlap() {
    let x = i(&[2, 5], &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
    let of = |axis, size, stride, dilation| Op::Windows { axis, size, stride, dilation };
    let three = run(of(1, 3, 2, 1), std::slice::from_ref(&x));
    assert_eq!(three, Ok(i(&[2, 2, 3], &[1, 2, 3, 3, 4, 5, 6, 7, 8, 8, 9, 10])));
    // What is left behind the last whole window is dropped.
    assert_eq!(run(of(1, 2, 3, 1), std::slice::from_ref(&x)), Ok(i(&[2, 2, 2], &[1, 2, 4, 5, 6, 7, 9, 10])));
    assert_eq!(run(of(1, 2, 2, 3), std::slice::from_ref(&x)), Ok(i(&[2, 1, 2], &[1, 4, 6, 9])));
    let rows = run(of(0, 1, 1, 1), std::slice::from_ref(&x));
    assert_eq!(rows, Ok(i(&[2, 1, 5], &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10])));
    assert!(run(of(1, 6, 1, 1), &[x]).is_err());
}

#[test]
fn fused_norms_and_softmax() {
    close(&run(Op::Softmax, &[f(&[1, 2], &[0.0, 3f32.ln()])]).unwrap(), &[1, 2], &[0.25, 0.75]);
    close(&run(Op::Softmax, &[f(&[2], &[f32::MIN, f32::MIN])]).unwrap(), &[2], &[0.5, 0.5]);
    let x = f(&[1, 2], &[3.0, 5.0]);
    let rms = Op::Norm { kind: NormKind::Rms, eps: Bits::new(8.0) };
    close(&run(rms, &[x.clone(), f(&[2], &[1.0, 10.0])]).unwrap(), &[1, 2], &[0.6, 10.0]);
    let layer = Op::Norm { kind: NormKind::Layer, eps: Bits::new(3.0) };
    let affine = [x, f(&[2], &[1.0, 2.0]), f(&[2], &[1.0, 0.0])];
    close(&run(layer, &affine).unwrap(), &[1, 2], &[0.5, 1.0]);
}

#[test]
fn fused_linear() {
    let product = Scalar::Binary(Binary::Mul, Box::new(Scalar::Acc(0)), Box::new(Scalar::Acc(1)));
    let epilogue = Scalar::Binary(Binary::Add, Box::new(product), Box::new(Scalar::Arg(0)));
    let op = Op::Linear { weights: 2, epilogue };
    let w = [f(&[2, 2], &[1.0, 0.0, 0.0, 1.0]), f(&[2, 2], &[1.0, 1.0, 1.0, -1.0])];
    let [w0, w1] = w;
    let bias = f(&[2], &[100.0, 200.0]);
    let rows = f(&[1, 1, 2], &[3.0, 4.0]);
    assert_eq!(run(op.clone(), &[rows, w0.clone(), w1.clone(), bias.clone()]), Ok(f(&[1, 1, 2], &[121.0, 196.0])));
    // A single vector needs no row axis.
    assert_eq!(run(op, &[f(&[2], &[3.0, 4.0]), w0, w1, bias]), Ok(f(&[2], &[121.0, 196.0])));
}

#[test]
fn fused_attention() {
    // Scores are 0 and ln 3 after the scale, or forbidden by the mask.
    let scaled = Scalar::Binary(Binary::Mul, Box::new(Scalar::Acc(0)), Box::new(Scalar::Lit(Literal::f32(3f32.ln()))));
    let low = Box::new(Scalar::Lit(Literal::f32(f32::MIN)));
    let score = Scalar::Select(Box::new(Scalar::Arg(0)), Box::new(scaled), low);
    let q = f(&[1, 2, 2], &[1.0, 0.0, 1.0, 0.0]);
    let k = f(&[1, 2, 2], &[0.0, 9.0, 1.0, 9.0]);
    let v = f(&[1, 2, 1], &[4.0, 8.0]);
    let mask = b(&[2, 2], &[true, false, true, true]);
    close(&run(Op::Attention { score }, &[q, k, v, mask]).unwrap(), &[1, 2, 1], &[4.0, 7.0]);
}

/// An entry with one output.
fn entry(name: &str, role: EntryRole, output: &str) -> Entry {
    Entry { name: name.into(), role, bind: Bindings::new(), outputs: vec![output.into()], task: None }
}

/// `y = append(x)`, with `x [B, T]` and a mask input `[B, P + T]` that defaults to 1, and positions.
fn stateful() -> Model {
    let mut model = Model::default();
    let s = Dim::symbol;
    let (bt, full) = (vec![s("B"), s("T")], vec![s("B"), &s("P") + &s("T")]);
    for name in ["B", "T", "P"] {
        model.symbols.push(Symbol { name: name.into(), min: i64::from(name != "P"), max: 64 });
    }
    let input = |name: &str, dtype, shape: &Vec<Dim>, default| Input {
        name: name.into(),
        dtype,
        shape: shape.clone(),
        default,
        advance: None,
    };
    model.inputs = vec![
        input("x", DType::F32, &bt, None),
        input("mask", DType::I32, &full, Some(InputDefault::Value(1))),
        input("positions", DType::I32, &bt, Some(InputDefault::Positions)),
    ];
    model.states.push(State {
        name: "key".into(),
        shape: vec![s("B"), s("P")],
        kind: StateKind::Appended { axis: 1, window: None },
    });
    let x = model.add(Op::Input(0), &[], "x").unwrap();
    let y = model.add(Op::StateAppend(0), &[x], "y").unwrap();
    let m = model.add(Op::Input(1), &[], "mask").unwrap();
    let p = model.add(Op::Input(2), &[], "positions").unwrap();
    for (name, id) in [("y", y), ("m", m), ("p", p)] {
        model.graph.outputs.insert(name.into(), id);
    }
    let entry = |name: &str, role, bind: &[(&str, i64)]| Entry {
        name: name.into(),
        role,
        bind: bind.iter().map(|(n, v)| (n.to_string(), *v)).collect(),
        outputs: vec!["y".into(), "m".into(), "p".into()],
        task: None,
    };
    model.entries = vec![
        entry("prefill", EntryRole::Prefill, &[]),
        entry("decode", EntryRole::Decode, &[("T", 1)]),
        entry("forward", EntryRole::Tensors, &[("P", 0)]),
    ];
    model
}

#[test]
fn windows_hide_what_is_older() {
    let mut model = stateful();
    model.states[0].kind = StateKind::Appended { axis: 1, window: Some(2) };
    assert_eq!(crate::verify(&model), Ok(()));
    let none: Vec<Arc<Array>> = Vec::new();
    let mut evaluator = Evaluator::new(&model, &none);
    let x = |data: &[f32]| BTreeMap::from([("x".to_string(), f(&[2, data.len() / 2], data))]);
    let y = |evaluator: &mut Evaluator<'_>, name: &str, data: &[f32], past: usize| {
        evaluator.run_entry(name, &x(data), past, false).map(|mut out| out.remove("y").unwrap())
    };
    // The first token of a call sees one more, and those behind it fewer.
    assert_eq!(y(&mut evaluator, "prefill", &[1.0, 2.0, 3.0, 4.0], 0), Ok(f(&[2, 2], &[1.0, 2.0, 3.0, 4.0])));
    let lost = f(&[2, 4], &[1000.0, 2.0, 5.0, 6.0, 1000.0, 4.0, 7.0, 8.0]);
    assert_eq!(y(&mut evaluator, "prefill", &[5.0, 6.0, 7.0, 8.0], 2), Ok(lost));
    // What is held is whole, for those who go back.
    assert_eq!(y(&mut evaluator, "decode", &[9.0, 9.0], 1), Ok(f(&[2, 2], &[1.0, 9.0, 3.0, 9.0])));
    // Texts of any length are taken at once, with no calls around them.
    assert_eq!(y(&mut evaluator, "forward", &[5.0, 6.0, 7.0, 8.0], 0), Ok(f(&[2, 2], &[5.0, 6.0, 7.0, 8.0])));
    assert_eq!(y(&mut evaluator, "decode", &[0.0, 0.0], 2), Ok(f(&[2, 3], &[1000.0, 9.0, 0.0, 1000.0, 9.0, 0.0])));
    let fault = y(&mut evaluator, "forward", &[5.0, 6.0], 1).unwrap_err();
    assert_eq!(fault.to_string(), "forward: expected 0 past tokens, found 1");
}

#[test]
fn states_grow_at_the_past_length() {
    let model = stateful();
    assert_eq!(crate::verify(&model), Ok(()));
    let none: Vec<Arc<Array>> = Vec::new();
    let mut evaluator = Evaluator::new(&model, &none);
    let x = |shape: &[usize], data: &[f32]| BTreeMap::from([("x".to_string(), f(shape, data))]);
    let first = evaluator.run_entry("prefill", &x(&[2, 2], &[1.0, 2.0, 3.0, 4.0]), 0, false).unwrap();
    assert_eq!(first["y"], f(&[2, 2], &[1.0, 2.0, 3.0, 4.0]));
    assert_eq!(first["p"], i(&[2, 2], &[0, 1, 0, 1]));
    let next = evaluator.run_entry("decode", &x(&[2, 1], &[5.0, 6.0]), 2, false).unwrap();
    assert_eq!(next["y"], f(&[2, 3], &[1.0, 2.0, 5.0, 3.0, 4.0, 6.0]));
    assert_eq!(next["m"], i(&[2, 3], &[1; 6]));
    assert_eq!(next["p"], i(&[2, 1], &[2, 2]));
    // Going back drops what was appended later.
    let again = evaluator.run_entry("prefill", &x(&[2, 1], &[7.0, 8.0]), 1, false).unwrap();
    assert_eq!(again["y"], f(&[2, 2], &[1.0, 7.0, 3.0, 8.0]));
    let beyond = evaluator.run_entry("prefill", &x(&[2, 1], &[7.0, 8.0]), 5, false).unwrap_err();
    assert_eq!(beyond.to_string(), "y: state `key` holds 2 tokens, but the call has 5 past tokens");
    let other = evaluator.run_entry("prefill", &x(&[1, 1], &[7.0]), 2, false).unwrap_err();
    assert_eq!(other.to_string(), "y: state `key` holds [2, 2]; [1, 1] cannot be appended");
    evaluator.reset();
    assert!(evaluator.run_entry("decode", &x(&[1, 1], &[7.0]), 0, false).is_ok());
    // An entry with a fixed past length sees only its own tokens.
    let alone = evaluator.run_entry("forward", &x(&[1, 2], &[1.0, 2.0]), 0, false).unwrap();
    assert_eq!(alone["y"], f(&[1, 2], &[1.0, 2.0]));
}

#[test]
fn wrong_inputs_are_named() {
    let model = stateful();
    let none: Vec<Arc<Array>> = Vec::new();
    let fails = |entry: &str, past: usize, inputs: &[(&str, Array)]| {
        let inputs = inputs.iter().map(|(n, t)| (n.to_string(), t.clone())).collect();
        Evaluator::new(&model, &none).run_entry(entry, &inputs, past, false).unwrap_err().to_string()
    };
    let x = f(&[1, 2], &[1.0, 2.0]);
    assert_eq!(fails("nope", 0, &[]), "nope: is not an entry; expected one of prefill, decode, forward");
    assert_eq!(fails("forward", 3, &[]), "forward: expected 0 past tokens, found 3");
    assert_eq!(fails("forward", 0, &[("y", x.clone())]), "y: is not an input; expected one of x, mask, positions");
    assert_eq!(fails("forward", 0, &[("x", i(&[1, 2], &[1, 2]))]), "x: expected type f32, found i32");
    assert_eq!(fails("forward", 0, &[("x", f(&[2], &[1.0, 2.0]))]), "x: expected shape [B, T], found [2]");
    assert_eq!(fails("decode", 0, &[("x", x.clone())]), "x: axis 1 is 2, expected 1 (T)");
    let short = i(&[1, 1], &[1]);
    let both = [("x", x.clone()), ("mask", short)];
    let message = fails("forward", 0, &both);
    assert!(message == "x: axis 1 is 2, expected 1 (T)" || message.starts_with("mask: axis 1 is 1"), "{message}");
    assert_eq!(
        fails("prefill", 4, &[("mask", i(&[1, 2], &[1, 1]))]),
        "mask: axis 1 is 2, which is not a possible value of T + 4 (declared as P + T)"
    );
    assert_eq!(fails("prefill", 0, &[("x", f(&[1, 65], &[0.0; 65]))]), "symbol T: is 65, expected 1 to 64");
    assert_eq!(fails("prefill", 0, &[]), "x: the symbols of [B, T] are not known");
    let broken = Array { shape: vec![1, 2], data: Data::F32(vec![1.0]) };
    assert_eq!(fails("forward", 0, &[("x", broken)]), "x: shape [1, 2] does not have 1 elements");
}

#[test]
fn malformed_graphs_are_errors() {
    let mut model = stateful();
    model.graph.nodes[1].inputs[0].0 = 77;
    let none: Vec<Arc<Array>> = Vec::new();
    let inputs = BTreeMap::from([("x".to_string(), f(&[1, 1], &[1.0]))]);
    let bind = Bindings::from([("B".into(), 1), ("T".into(), 1), ("P".into(), 0)]);
    let error = Evaluator::new(&model, &none).run(&model.graph, &inputs, &bind).unwrap_err();
    assert_eq!(error.to_string(), "y: operand 77 has no value yet");
    let huge = run(Op::Iota(Dim::constant(1 << 40)), &[]).unwrap_err();
    assert_eq!(huge, "result: a value of shape [1099511627776] is too large");
    let missing = run(Op::Weight(0), &[]).unwrap_err();
    assert_eq!(missing, "result: weight 0 does not exist; the model declares 0");
}

#[test]
fn weights_are_checked() {
    let mut model = Model::default();
    model.weights.push(crate::Weight { name: "w".into(), source: "w".into(), shape: vec![2], component: 0 });
    let w = model.add(Op::Weight(0), &[], "w").unwrap();
    let y = model.add(Op::Dequantize, &[w], "y").unwrap();
    model.graph.outputs.insert("y".into(), y);
    let run = |weights: Vec<Arc<Array>>| {
        let result = Evaluator::new(&model, &weights).run(&model.graph, &BTreeMap::new(), &Bindings::new());
        result.map(|mut o| o.remove("y").unwrap()).map_err(|e| e.to_string())
    };
    assert_eq!(run(vec![Arc::new(f(&[2], &[1.0, 2.0]))]), Ok(f(&[2], &[1.0, 2.0])));
    assert_eq!(run(vec![]), Err("w: weight `w`: weight 0 is missing".into()));
    assert_eq!(run(vec![Arc::new(f(&[1], &[1.0]))]), Err("w: weight `w`: expected f32 [2], found f32 [1]".into()));
}

/// `encode` keeps `2 x` for `S` elements; `decode` adds what is kept to its own input.
fn encoding() -> Model {
    let s = Dim::symbol;
    let mut model = Model::default();
    for name in ["B", "S"] {
        model.symbols.push(Symbol { name: name.into(), min: 1, max: 8 });
    }
    let input = |name: &str| Input {
        name: name.into(),
        dtype: DType::F32,
        shape: vec![s("B"), s("S")],
        default: None,
        advance: None,
    };
    model.inputs = vec![input("x"), input("y")];
    model.states.push(State { name: "source".into(), shape: vec![s("B"), s("S")], kind: StateKind::Kept });
    let x = model.add(Op::Input(0), &[], "x").unwrap();
    let twice = model.add(Op::Binary(Binary::Add), &[x, x], "twice").unwrap();
    let kept = model.add(Op::StateKeep(0), &[twice], "kept").unwrap();
    let y = model.add(Op::Input(1), &[], "y").unwrap();
    let sum = model.add(Op::Binary(Binary::Add), &[kept, y], "sum").unwrap();
    model.graph.outputs = BTreeMap::from([("x".to_string(), x), ("sum".to_string(), sum)]);
    model.entries = vec![
        entry("forward", EntryRole::Tensors, "sum"),
        entry("encode", EntryRole::Encode, "x"),
        entry("decode", EntryRole::Decode, "sum"),
    ];
    model
}

#[test]
fn what_is_kept_is_read_and_not_computed_again() {
    let model = encoding();
    assert_eq!(crate::verify(&model), Ok(()));
    let none: Vec<Arc<Array>> = Vec::new();
    let mut evaluator = Evaluator::new(&model, &none);
    let given = |name: &str, data: &[f32]| BTreeMap::from([(name.to_string(), f(&[1, data.len()], data))]);
    let early = evaluator.run_entry("decode", &given("y", &[1.0, 1.0]), 0, false).unwrap_err();
    assert_eq!(early.to_string(), "kept: state `source` is empty: run the encoder entry first");
    // Its output does not need what is kept; the state is written all the same.
    evaluator.run_entry("encode", &given("x", &[1.0, 2.0]), 0, false).unwrap();
    for y in [1.0, 5.0] {
        let sum = evaluator.run_entry("decode", &given("y", &[y, y]), 0, false).unwrap();
        assert_eq!(sum["sum"], f(&[1, 2], &[2.0 + y, 4.0 + y]));
    }
    let other = evaluator.run_entry("decode", &given("y", &[1.0]), 0, false).unwrap_err();
    assert_eq!(other.to_string(), "y: axis 1 is 1, expected 2 (S)");
    let both = BTreeMap::from([("x".to_string(), f(&[1, 1], &[3.0])), ("y".to_string(), f(&[1, 1], &[1.0]))]);
    assert_eq!(evaluator.run_entry("forward", &both, 0, false).unwrap()["sum"], f(&[1, 1], &[7.0]));
}

/// `sum` adds a state to `x`, `doubled` does not know it; the state is updated in front of all that read it.
fn summing() -> Model {
    let mut model = Model::default();
    model.graph.regions.push(crate::graph::Region { name: "start".into(), index: None });
    model.symbols = vec![Symbol { name: "B".into(), min: 1, max: 8 }, Symbol { name: "P".into(), min: 0, max: 8 }];
    let shape = vec![Dim::symbol("B"), Dim::constant(2)];
    let input = Input { name: "x".into(), dtype: DType::F32, shape: shape.clone(), default: None, advance: None };
    model.inputs.push(input);
    model.states.push(State { name: "total".into(), shape, kind: StateKind::Overwritten });
    let x = model.add(Op::Input(0), &[], "x").unwrap();
    let early = model.add(Op::StatePrevious(0), &[], "early").unwrap();
    let sum = model.add(Op::Binary(Binary::Add), &[x, early], "sum").unwrap();
    model.add(Op::StateUpdate(0), &[sum], "next").unwrap();
    let late = model.add(Op::StatePrevious(0), &[], "late").unwrap();
    let both = model.add(Op::Binary(Binary::Add), &[early, late], "both").unwrap();
    let doubled = model.add(Op::Binary(Binary::Add), &[x, x], "doubled").unwrap();
    let named = [("sum", sum), ("both", both), ("doubled", doubled)];
    model.graph.outputs = named.map(|(name, id)| (name.to_string(), id)).into();
    model.entries = vec![
        entry("both", EntryRole::Tensors, "both"),
        entry("doubled", EntryRole::Tensors, "doubled"),
        entry("embed", EntryRole::Embed, "sum"),
    ];
    model
}

#[test]
fn what_is_overwritten_is_read_as_it_was_before_the_call() {
    let model = summing();
    assert_eq!(crate::verify(&model), Ok(()));
    let none: Vec<Arc<Array>> = Vec::new();
    let mut evaluator = Evaluator::new(&model, &none);
    let mut call = |entry: &str, past: usize| {
        let x = BTreeMap::from([("x".to_string(), f(&[1, 2], &[1.0, 2.0]))]);
        let mut outputs = evaluator.run_entry(entry, &x, past, false).unwrap();
        let (_, tensor) = outputs.pop_first().unwrap();
        tensor.as_f32().unwrap().to_vec()
    };
    assert_eq!(call("both", 0), [0.0, 0.0], "both readers see what was there before");
    assert_eq!(call("doubled", 0), [2.0, 4.0]);
    assert_eq!(call("both", 1), [2.0, 4.0], "a call that does not read the state does not update it");
    assert_eq!(call("embed", 0), [1.0, 2.0], "texts follow nothing");
    assert_eq!(call("both", 2), [4.0, 8.0], "an update that no output needs is made");
}
