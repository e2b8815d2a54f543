//! Shape and type inference: one rule per operation.
//!
//! [`infer`] needs only operands. Leaves that are declared by the model ([`Op::Input`], [`Op::Weight`]) and
//! [`Op::StateAppend`] also need its declarations: [`infer_declared`] covers every operation. [`Model::add`]
//! appends a node with its inferred type, which is how graphs are built.
//!
//! Dimensions are compared as polynomials. Only the constant 1 broadcasts; a symbol that may be 1 does not.
//! What cannot be decided without symbol values (a slice inside `P + T`) is accepted here and checked by
//! whoever knows the values.

use crate::dim::{Bindings, Dim, Shape, numel, show_shape};
use crate::dtype::DType;
use crate::graph::{Input, Model, Node, NodeId, State, Weight};
use crate::op::{Op, Reduction};
use crate::scalar::{Binary, Scalar, Unary};

/// Shape and element type of an operand.
pub type Operand<'a> = (&'a [Dim], DType);

type Typed = Result<(Shape, DType), String>;

/// What a model declares outside of its graph, as far as types of nodes depend on it.
#[derive(Clone, Copy, Debug)]
pub struct Declarations<'a> {
    /// The inputs that [`Op::Input`] indexes.
    pub inputs: &'a [Input],
    /// The weights that [`Op::Weight`] indexes.
    pub weights: &'a [Weight],
    /// The states that [`Op::StateAppend`] indexes.
    pub states: &'a [State],
    /// Symbols that have a fixed value in the graph at hand (those of an entry); they are replaced in
    /// declared shapes.
    pub bind: Option<&'a Bindings>,
}

impl<'a> Declarations<'a> {
    /// The declarations of a model, for its body (no symbol has a fixed value).
    pub fn of(model: &'a Model) -> Self {
        Self { inputs: &model.inputs, weights: &model.weights, states: &model.states, bind: None }
    }

    /// The same declarations, for a graph in which the symbols of `bind` are replaced by their values.
    pub fn bound(self, bind: &'a Bindings) -> Self {
        Self { bind: Some(bind), ..self }
    }

    fn shape(&self, declared: &[Dim]) -> Shape {
        match self.bind {
            Some(bind) => declared.iter().map(|d| d.bind(bind)).collect(),
            None => declared.to_vec(),
        }
    }
}

/// Shape and type of the result of any operation.
///
/// # Errors
/// A sentence that says what was expected and what was found, without the place.
pub fn infer_declared(declared: Declarations<'_>, op: &Op, inputs: &[Operand<'_>]) -> Typed {
    match op {
        Op::Input(i) => {
            count(op, inputs, 0)?;
            let input = declared.inputs.get(*i as usize).ok_or_else(|| missing("input", *i, declared.inputs.len()))?;
            Ok((declared.shape(&input.shape), input.dtype))
        }
        Op::Weight(i) => {
            count(op, inputs, 0)?;
            let weight =
                declared.weights.get(*i as usize).ok_or_else(|| missing("weight", *i, declared.weights.len()))?;
            let dim = |n: &u64| {
                i64::try_from(*n).map(Dim::constant).map_err(|_| format!("weight `{}` is too large", weight.name))
            };
            Ok((weight.shape.iter().map(dim).collect::<Result<_, _>>()?, DType::F32))
        }
        Op::StateAppend(i) => {
            count(op, inputs, 1)?;
            let state = declared.states.get(*i as usize).ok_or_else(|| missing("state", *i, declared.states.len()))?;
            append(&state.name, &declared.shape(&state.shape), state.axis, inputs[0])
        }
        Op::StateKeep(i) | Op::StateRead(i) => {
            let state = declared.states.get(*i as usize).ok_or_else(|| missing("state", *i, declared.states.len()))?;
            let shape = declared.shape(&state.shape);
            if state.axis.is_some() {
                return Err(format!("state `{}` grows along an axis: `append` to it", state.name));
            }
            if let Op::StateKeep(_) = op {
                count(op, inputs, 1)?;
                keep(&state.name, &shape, inputs[0])?;
            } else {
                count(op, inputs, 0)?;
            }
            Ok((shape, DType::F32))
        }
        _ => infer(op, inputs),
    }
}

fn missing(what: &str, index: u32, len: usize) -> String {
    format!("{what} {index} does not exist; the model declares {len}")
}

fn keep(name: &str, state: &[Dim], (x, dtype): Operand<'_>) -> Result<(), String> {
    want("keep", "operand", dtype, &[DType::F32])?;
    if x == state {
        return Ok(());
    }
    Err(format!("keep: expected the shape {} of state `{name}`, found {}", show_shape(state), show_shape(x)))
}

fn append(name: &str, state: &[Dim], axis: Option<u32>, (x, dtype): Operand<'_>) -> Typed {
    want("append", "operand", dtype, &[DType::F32])?;
    let Some(axis) = axis else {
        return Err(format!("state `{name}` has no axis to append along: declare one, or `keep` the whole"));
    };
    let at = axis as usize;
    if at >= state.len() {
        return Err(format!("state `{name}` has shape {} and no axis {axis}", show_shape(state)));
    }
    let fits = x.len() == state.len() && x.iter().zip(state).enumerate().all(|(i, (a, b))| i == at || a == b);
    if !fits {
        return Err(format!(
            "append: expected the shape {} of state `{name}` in all but axis {axis}, found {}",
            show_shape(state),
            show_shape(x)
        ));
    }
    let mut shape = x.to_vec();
    shape[at] = &state[at] + &x[at];
    Ok((shape, DType::F32))
}

/// Shape and type of the result from those of the operands.
///
/// # Errors
/// A sentence that says what was expected and what was found, without the place. Operations whose type the
/// model declares (inputs, weights, states) are errors here; see [`infer_declared`].
pub fn infer(op: &Op, inputs: &[Operand<'_>]) -> Typed {
    let name = op.name();
    let fixed = match op {
        Op::Input(_) | Op::Weight(_) | Op::StateAppend(_) | Op::StateKeep(_) | Op::StateRead(_) => {
            return Err(format!("the type of `{name}` is declared by the model, not inferred from operands"));
        }
        Op::Const(_) | Op::Table(_) | Op::Iota(_) | Op::Size(_) => Some(0),
        Op::Unary(_) | Op::Cast(_) | Op::Reduce { .. } | Op::ArgMax | Op::TopK { .. } => Some(1),
        Op::Reshape(_) | Op::Transpose(_) | Op::Broadcast(_) | Op::Slice { .. } => Some(1),
        Op::Pad { .. } | Op::Windows { .. } => Some(1),
        Op::Dequantize | Op::RoundBlocks | Op::Softmax => Some(1),
        Op::Binary(_) | Op::MatMul { .. } | Op::Gather | Op::TakeLast => Some(2),
        Op::Select => Some(3),
        Op::Concat { .. } | Op::Norm { .. } | Op::Linear { .. } | Op::Attention { .. } => None,
    };
    if let Some(n) = fixed {
        count(op, inputs, n)?;
    }
    match op {
        Op::Input(_) | Op::Weight(_) | Op::StateAppend(_) | Op::StateKeep(_) | Op::StateRead(_) => {
            unreachable_leaf(&name)
        }
        Op::Const(value) => Ok((Vec::new(), value.dtype())),
        Op::Table(values) => Ok((vec![Dim::from(values.len())], DType::F32)),
        Op::Iota(n) => Ok((vec![not_negative(&name, "length", n)?.clone()], DType::I32)),
        Op::Size(n) => Ok((Vec::new(), not_negative(&name, "value", n).map(|_| DType::I32)?)),
        Op::Unary(u) => Ok((inputs[0].0.to_vec(), unary_type(*u, inputs[0].1)?)),
        Op::Binary(b) => {
            let dtype = binary_type(*b, inputs[0].1, inputs[1].1)?;
            Ok((broadcast(&name, inputs[0].0, inputs[1].0)?, dtype))
        }
        Op::Select => select(inputs),
        Op::Cast(to) => Ok((inputs[0].0.to_vec(), *to)),
        Op::Reduce { op: reduction, axis } => reduce(&name, *reduction, *axis, inputs[0]),
        Op::ArgMax => last_axis_indices(&name, inputs[0], 1),
        Op::TopK { k } => last_axis_indices(&name, inputs[0], *k),
        Op::MatMul { transpose_b } => matmul(*transpose_b, inputs[0], inputs[1]),
        Op::Reshape(to) => reshape(inputs[0], to),
        Op::Transpose(perm) => transpose(inputs[0], perm),
        Op::Broadcast(to) => {
            expands(&name, inputs[0].0, to)?;
            Ok((to.clone(), inputs[0].1))
        }
        Op::Slice { axis, start, len } => slice(inputs[0], *axis, start, len),
        Op::Concat { axis } => concat(inputs, *axis),
        Op::Pad { axis, before, after, value } => {
            let (x, dtype) = inputs[0];
            want(&name, "the added value", value.dtype(), &[dtype])?;
            let mut shape = x.to_vec();
            let dim = axis_mut(&name, &mut shape, *axis)?;
            *dim = &(&*dim + not_negative(&name, "`before`", before)?) + not_negative(&name, "`after`", after)?;
            Ok((shape, dtype))
        }
        Op::Windows { axis, size, stride, dilation } => windows(inputs[0], *axis, [*size, *stride, *dilation]),
        Op::Gather => gather(inputs[0], inputs[1]),
        Op::TakeLast => take_last(inputs[0], inputs[1]),
        Op::Dequantize => {
            want(&name, "operand", inputs[0].1, &[DType::F32])?;
            Ok((inputs[0].0.to_vec(), DType::F32))
        }
        Op::Softmax | Op::RoundBlocks => {
            want(&name, "operand", inputs[0].1, &[DType::F32])?;
            last(&name, inputs[0].0)?;
            Ok((inputs[0].0.to_vec(), DType::F32))
        }
        Op::Norm { .. } => norm(&name, inputs),
        Op::Linear { weights, epilogue } => linear(*weights, epilogue, inputs),
        Op::Attention { score } => attention(score, inputs),
    }
}

/// The arm that the check at the start of [`infer`] has already answered.
fn unreachable_leaf(name: &str) -> Typed {
    Err(format!("the type of `{name}` is declared by the model"))
}

fn count(op: &Op, inputs: &[Operand<'_>], expected: usize) -> Result<(), String> {
    if inputs.len() == expected {
        return Ok(());
    }
    let plural = if expected == 1 { "" } else { "s" };
    Err(format!("{}: expected {expected} operand{plural}, found {}", op.name(), inputs.len()))
}

fn want(op: &str, what: &str, found: DType, expected: &[DType]) -> Result<DType, String> {
    if expected.contains(&found) {
        return Ok(found);
    }
    let expected: Vec<String> = expected.iter().map(DType::to_string).collect();
    Err(format!("{op}: expected {what} of type {}, found {found}", expected.join(" or ")))
}

fn not_negative<'a>(op: &str, what: &str, dim: &'a Dim) -> Result<&'a Dim, String> {
    match dim.as_const() {
        Some(value) if value < 0 => Err(format!("{op}: {what} is negative ({value})")),
        _ => Ok(dim),
    }
}

fn last<'a>(op: &str, shape: &'a [Dim]) -> Result<&'a Dim, String> {
    shape.last().ok_or_else(|| format!("{op}: expected an operand with at least one axis, found a scalar"))
}

fn axis_mut<'a>(op: &str, shape: &'a mut [Dim], axis: u32) -> Result<&'a mut Dim, String> {
    let text = show_shape(shape);
    shape.get_mut(axis as usize).ok_or_else(|| format!("{op}: axis {axis} does not exist in shape {text}"))
}

/// The shape of an element-wise operation on shapes `a` and `b`.
///
/// # Errors
/// If aligned dimensions differ and none is the constant 1; `op` names the operation in the message.
pub fn broadcast(op: &str, a: &[Dim], b: &[Dim]) -> Result<Shape, String> {
    let rank = a.len().max(b.len());
    let mut shape = Vec::with_capacity(rank);
    for i in 0..rank {
        let at = |s: &'_ [Dim]| (i + s.len()).checked_sub(rank).map(|j| s[j].clone());
        shape.push(match (at(a), at(b)) {
            (Some(x), Some(y)) if x == y || y.is_one() => x,
            (Some(x), Some(y)) if x.is_one() => y,
            (Some(x), None) | (None, Some(x)) => x,
            _ => return Err(format!("{op}: shapes {} and {} do not broadcast", show_shape(a), show_shape(b))),
        });
    }
    Ok(shape)
}

/// Whether `from` can be repeated to `to`: every dimension is equal, the constant 1, or missing.
///
/// # Errors
/// If it cannot; `op` names the operation in the message.
pub fn expands(op: &str, from: &[Dim], to: &[Dim]) -> Result<(), String> {
    let offset = to.len().checked_sub(from.len());
    let fits = offset.is_some_and(|o| from.iter().zip(&to[o..]).all(|(a, b)| a == b || a.is_one()));
    if fits && to.iter().all(|d| d.as_const().is_none_or(|v| v >= 0)) {
        return Ok(());
    }
    Err(format!("{op}: shape {} cannot be broadcast to {}", show_shape(from), show_shape(to)))
}

/// The result type of a one-argument function.
///
/// # Errors
/// If the function does not take this type.
pub fn unary_type(op: Unary, x: DType) -> Result<DType, String> {
    let name = Op::Unary(op).name();
    match op {
        Unary::Not => want(&name, "operand", x, &[DType::Bool]),
        Unary::Neg | Unary::Abs => want(&name, "operand", x, &[DType::F32, DType::I32]),
        _ => want(&name, "operand", x, &[DType::F32]),
    }
}

/// The result type of a two-argument function. `Eq` and `Ne` also compare bools.
///
/// # Errors
/// If the argument types differ, or the function does not take them.
pub fn binary_type(op: Binary, a: DType, b: DType) -> Result<DType, String> {
    let name = Op::Binary(op).name();
    if a != b {
        return Err(format!("{name}: expected operands of one type, found {a} and {b}"));
    }
    match op {
        Binary::And | Binary::Or => want(&name, "operands", a, &[DType::Bool]),
        Binary::Pow => want(&name, "operands", a, &[DType::F32]),
        Binary::Eq | Binary::Ne => Ok(DType::Bool),
        _ => {
            want(&name, "operands", a, &[DType::F32, DType::I32])?;
            Ok(if op.is_comparison() { DType::Bool } else { a })
        }
    }
}

/// The type of a scalar expression over `accumulators` f32 accumulators and arguments of the given types.
///
/// # Errors
/// If an index is out of range or a function does not take its argument types.
pub fn scalar_type(expr: &Scalar, accumulators: usize, args: &[DType]) -> Result<DType, String> {
    let of = |e: &Scalar| scalar_type(e, accumulators, args);
    match expr {
        Scalar::Acc(i) if usize::from(*i) < accumulators => Ok(DType::F32),
        Scalar::Acc(i) => Err(format!("expected an accumulator below {accumulators}, found {i}")),
        Scalar::Arg(i) => {
            let found = args.get(usize::from(*i)).copied();
            found.ok_or_else(|| format!("expected an argument below {}, found {i}", args.len()))
        }
        Scalar::Lit(value) => Ok(value.dtype()),
        Scalar::Unary(op, a) => unary_type(*op, of(a)?),
        Scalar::Binary(op, a, b) => binary_type(*op, of(a)?, of(b)?),
        Scalar::Select(c, a, b) => select_type(of(c)?, of(a)?, of(b)?),
        Scalar::Cast(to, a) => of(a).map(|_| *to),
    }
}

fn select_type(condition: DType, then: DType, otherwise: DType) -> Result<DType, String> {
    want("select", "a condition", condition, &[DType::Bool])?;
    if then != otherwise {
        return Err(format!("select: expected alternatives of one type, found {then} and {otherwise}"));
    }
    Ok(then)
}

fn select(inputs: &[Operand<'_>]) -> Typed {
    let [(c, ct), (a, at), (b, bt)] = [inputs[0], inputs[1], inputs[2]];
    let dtype = select_type(ct, at, bt)?;
    Ok((broadcast("select", &broadcast("select", c, a)?, b)?, dtype))
}

fn reduce(name: &str, op: Reduction, axis: u32, (x, dtype): Operand<'_>) -> Typed {
    match op {
        Reduction::Mean => want(name, "operand", dtype, &[DType::F32])?,
        _ => want(name, "operand", dtype, &[DType::F32, DType::I32])?,
    };
    let mut shape = x.to_vec();
    *axis_mut(name, &mut shape, axis)? = Dim::constant(1);
    Ok((shape, dtype))
}

fn last_axis_indices(name: &str, (x, dtype): Operand<'_>, k: u32) -> Typed {
    want(name, "operand", dtype, &[DType::F32, DType::I32])?;
    let size = last(name, x)?;
    if size.as_const().is_some_and(|n| n < i64::from(k)) || k == 0 {
        return Err(format!("{name}: expected 1 to {size} elements of the last axis, found {k}"));
    }
    let mut shape = x.to_vec();
    let at = shape.len() - 1;
    shape[at] = Dim::constant(i64::from(k));
    Ok((shape, DType::I32))
}

fn matmul(transpose_b: bool, (a, at): Operand<'_>, (b, bt): Operand<'_>) -> Typed {
    want("matmul", "the first operand", at, &[DType::F32])?;
    want("matmul", "the second operand", bt, &[DType::F32])?;
    let (Some((lead_a, [m, k])), Some((lead_b, [b0, b1]))) = (a.split_last_chunk::<2>(), b.split_last_chunk::<2>())
    else {
        let (a, b) = (show_shape(a), show_shape(b));
        return Err(format!("matmul: expected operands with at least two axes, found {a} and {b}"));
    };
    let (kb, n) = if transpose_b { (b1, b0) } else { (b0, b1) };
    if k != kb {
        let expected = if transpose_b { format!("[.., N, {k}]") } else { format!("[.., {k}, N]") };
        return Err(format!(
            "matmul: for a first operand {} expected a second one {expected}, found {}",
            show_shape(a),
            show_shape(b)
        ));
    }
    let mut shape = broadcast("matmul (leading axes)", lead_a, lead_b)?;
    shape.extend([m.clone(), n.clone()]);
    Ok((shape, DType::F32))
}

fn reshape((x, dtype): Operand<'_>, to: &[Dim]) -> Typed {
    let (from_size, to_size) = (numel(x), numel(to));
    let saturated = |d: &Dim| d.terms().any(|(_, c)| c == i64::MAX || c == i64::MIN);
    let negative = to.iter().any(|d| d.as_const().is_some_and(|v| v < 0));
    if from_size != to_size || saturated(&from_size) || negative {
        return Err(format!(
            "reshape: {} has {from_size} elements, but {} has {to_size}",
            show_shape(x),
            show_shape(to)
        ));
    }
    Ok((to.to_vec(), dtype))
}

fn transpose((x, dtype): Operand<'_>, perm: &[u32]) -> Typed {
    let mut sorted = perm.to_vec();
    sorted.sort_unstable();
    if sorted.iter().map(|p| *p as usize).ne(0..x.len()) {
        return Err(format!("transpose: expected a permutation of the {} axes, found {perm:?}", x.len()));
    }
    Ok((perm.iter().map(|p| x[*p as usize].clone()).collect(), dtype))
}

fn slice((x, dtype): Operand<'_>, axis: u32, start: &Dim, len: &Dim) -> Typed {
    let mut shape = x.to_vec();
    let dim = axis_mut("slice", &mut shape, axis)?;
    not_negative("slice", "start", start)?;
    not_negative("slice", "length", len)?;
    let beyond = &(&*dim - start) - len;
    if beyond.as_const().is_some_and(|v| v < 0) {
        return Err(format!("slice: {start} .. {} is outside of axis {axis} of {}", start + len, show_shape(x)));
    }
    *dim = len.clone();
    Ok((shape, dtype))
}

fn concat(inputs: &[Operand<'_>], axis: u32) -> Typed {
    let Some(((first, dtype), rest)) = inputs.split_first() else {
        return Err("concat: expected at least one operand, found none".into());
    };
    let mut shape = first.to_vec();
    axis_mut("concat", &mut shape, axis)?;
    for (x, t) in rest {
        want("concat", "operands", *t, &[*dtype])?;
        let at = axis as usize;
        let fits = x.len() == shape.len() && x.iter().zip(*first).enumerate().all(|(i, (a, b))| i == at || a == b);
        if !fits {
            return Err(format!(
                "concat: expected shapes that are equal in all but axis {axis}, found {} and {}",
                show_shape(first),
                show_shape(x)
            ));
        }
        shape[at] = &shape[at] + &x[at];
    }
    Ok((shape, *dtype))
}

fn windows((x, dtype): Operand<'_>, axis: u32, [size, stride, dilation]: [u32; 3]) -> Typed {
    let mut shape = x.to_vec();
    let dim = axis_mut("windows", &mut shape, axis)?;
    if [size, stride, dilation].contains(&0) {
        return Err(format!(
            "windows: expected a size, a stride and a dilation of 1 or more, found {size}, {stride} and {dilation}"
        ));
    }
    let reach = i64::from(dilation) * i64::from(size - 1);
    let room = &*dim - &Dim::constant(reach + 1);
    if room.as_const().is_some_and(|v| v < 0) {
        return Err(format!("windows: {} elements do not fit into axis {axis} of {}", reach + 1, show_shape(x)));
    }
    // The stride is not zero, so there is a quotient.
    *dim = &room.floor_div(i64::from(stride)).unwrap_or_default() + &Dim::constant(1);
    shape.insert(axis as usize + 1, Dim::constant(i64::from(size)));
    Ok((shape, dtype))
}

fn gather((table, dtype): Operand<'_>, (indices, index_type): Operand<'_>) -> Typed {
    want("gather", "indices", index_type, &[DType::I32])?;
    if table.is_empty() {
        return Err("gather: expected a table with at least one axis, found a scalar".into());
    }
    Ok((indices.iter().chain(&table[1..]).cloned().collect(), dtype))
}

fn take_last((x, dtype): Operand<'_>, (indices, index_type): Operand<'_>) -> Typed {
    want("take_last", "indices", index_type, &[DType::I32])?;
    let equal = !x.is_empty() && x.len() == indices.len() && x[..x.len() - 1] == indices[..x.len() - 1];
    if !equal {
        return Err(format!(
            "take_last: expected operands that are equal in all but the last axis, found {} and {}",
            show_shape(x),
            show_shape(indices)
        ));
    }
    Ok((indices.to_vec(), dtype))
}

fn norm(name: &str, inputs: &[Operand<'_>]) -> Typed {
    let Some(((x, dtype), affine)) = inputs.split_first().filter(|(_, rest)| rest.len() <= 2) else {
        return Err(format!("{name}: expected 1 to 3 operands, found {}", inputs.len()));
    };
    want(name, "operand", *dtype, &[DType::F32])?;
    let size = last(name, x)?;
    for ((shape, t), what) in affine.iter().zip(["scale", "shift"]) {
        want(name, what, *t, &[DType::F32])?;
        if *shape != std::slice::from_ref(size) {
            return Err(format!("{name}: expected a {what} of shape [{size}], found {}", show_shape(shape)));
        }
    }
    Ok((x.to_vec(), DType::F32))
}

/// Types of the extra operands of a fused operation; each must expand to `to`.
fn args_of(op: &str, args: &[Operand<'_>], to: &[Dim]) -> Result<Vec<DType>, String> {
    args.iter().map(|(shape, t)| expands(op, shape, to).map(|()| *t)).collect()
}

fn linear(weights: u8, epilogue: &Scalar, inputs: &[Operand<'_>]) -> Typed {
    let n = usize::from(weights);
    if n == 0 || inputs.len() < 1 + n {
        return Err(format!("linear: expected an operand and 1 or more weights, found {} of {n}", inputs.len()));
    }
    let (x, dtype) = inputs[0];
    want("linear", "operand", dtype, &[DType::F32])?;
    let k = last("linear", x)?;
    for (w, t) in &inputs[1..=n] {
        want("linear", "weight", *t, &[DType::F32])?;
        if w.len() != 2 || w[1] != *k || *w != inputs[1].0 {
            return Err(format!("linear: expected weights of one shape [N, {k}], found {}", show_shape(w)));
        }
    }
    let mut shape = x.to_vec();
    let at = shape.len() - 1;
    shape[at] = inputs[1].0[0].clone();
    let args = args_of("linear", &inputs[1 + n..], &shape)?;
    let dtype = scalar_type(epilogue, n, &args).map_err(|e| format!("linear epilogue: {e}"))?;
    Ok((shape, dtype))
}

fn attention(score: &Scalar, inputs: &[Operand<'_>]) -> Typed {
    let Some(([q, k, v], args)) = inputs.split_first_chunk::<3>() else {
        return Err(format!("attention: expected query, key, value and arguments, found {} operands", inputs.len()));
    };
    for (x, what) in [(q, "query"), (k, "key"), (v, "value")] {
        want("attention", what, x.1, &[DType::F32])?;
    }
    let shapes = || format!("found {}, {} and {}", show_shape(q.0), show_shape(k.0), show_shape(v.0));
    let split = (q.0.split_last_chunk::<2>(), k.0.split_last_chunk::<2>(), v.0.split_last_chunk::<2>());
    let (Some((lead, [t, d])), Some((lead_k, [s, dk])), Some((lead_v, [sv, e]))) = split else {
        return Err(format!("attention: expected operands with at least two axes, {}", shapes()));
    };
    if lead != lead_k || lead != lead_v || d != dk || s != sv {
        return Err(format!("attention: expected [.., T, D], [.., S, D] and [.., S, E], {}", shapes()));
    }
    let full = |end: &Dim| lead.iter().chain([t, end]).cloned().collect::<Shape>();
    let args = args_of("attention", args, &full(s))?;
    let dtype = scalar_type(score, 1, &args).map_err(|e| format!("attention score: {e}"))?;
    want("attention", "a score", dtype, &[DType::F32])?;
    Ok((full(e), DType::F32))
}

impl Model {
    /// Appends a node to the body, with its inferred type, in the last region, without role and precision.
    ///
    /// # Errors
    /// If an operand does not exist or [`infer_declared`] refuses; the message starts with `path`.
    pub fn add(&mut self, op: Op, inputs: &[NodeId], path: &str) -> Result<NodeId, String> {
        let mut operands: Vec<Operand<'_>> = Vec::with_capacity(inputs.len());
        for id in inputs {
            let node = self.graph.nodes.get(id.index());
            let node = node.ok_or_else(|| format!("{path}: operand {} does not exist", id.0))?;
            operands.push((&node.shape, node.dtype));
        }
        let typed = infer_declared(Declarations::of(self), &op, &operands);
        let (shape, dtype) = typed.map_err(|e| format!("{path}: {e}"))?;
        let region = self.graph.regions.len().saturating_sub(1) as u32;
        let (inputs, path) = (inputs.to_vec(), path.to_string());
        self.graph.nodes.push(Node { op, inputs, shape, dtype, path, role: None, precision: None, region });
        Ok(NodeId(self.graph.nodes.len() as u32 - 1))
    }
}

#[cfg(test)]
mod tests;
