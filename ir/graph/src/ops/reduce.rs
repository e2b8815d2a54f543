//! Operations that combine the elements of an axis.

use std::borrow::Cow;
use std::sync::Arc;

use super::check::{axis_mut, last, want};
use super::row::{
    Anchor, Arity, Declarations, Environment, Evaluated, Operand, Operation, Role, StateUse, Traits, Typed, Values,
    Work,
};
use crate::array::{Array, Data};
use crate::dim::{Dim, show_shape};
use crate::dtype::DType;
use crate::literal::Bits;
use crate::op::{NormKind, ROUND_BLOCK, Reduction};

/// The row of [`Op::Reduce`](crate::Op::Reduce).
pub(super) struct Reduce {
    pub(super) op: Reduction,
    pub(super) axis: u32,
}

impl Reduce {
    fn label(&self) -> &'static str {
        match self.op {
            Reduction::Sum => "sum",
            Reduction::Mean => "mean",
            Reduction::Max => "max",
            Reduction::Min => "min",
        }
    }
}

impl Operation for Reduce {
    fn name(&self) -> Cow<'static, str> {
        self.label().into()
    }

    fn traits(&self) -> Traits {
        Traits {
            arity: Arity::Exactly(1),
            role: Role::Anchor(Anchor { direct: 0, own_layout: false, fused: false }),
            work: Work::PerOperand(1.0),
            state: StateUse::None,
        }
    }

    fn infer(&self, _: Option<Declarations<'_>>, operands: &[Operand<'_>]) -> Typed {
        let (x, dtype) = operands[0];
        let (name, axis) = (self.label(), self.axis);
        match self.op {
            Reduction::Mean => want(name, "operand", dtype, &[DType::F32])?,
            _ => want(name, "operand", dtype, &[DType::F32, DType::I32])?,
        };
        let mut shape = x.to_vec();
        *axis_mut(name, &mut shape, axis)? = Dim::constant(1);
        Ok((shape, dtype))
    }

    fn eval(&self, _: &mut dyn Environment, x: Values, _: Vec<usize>) -> Evaluated {
        reduce(self.op, &x[0], self.axis as usize).map(Arc::new)
    }
}

/// The row of [`Op::ArgMax`](crate::Op::ArgMax).
pub(super) struct ArgMax;

impl Operation for ArgMax {
    fn name(&self) -> Cow<'static, str> {
        "argmax".into()
    }

    fn traits(&self) -> Traits {
        Traits {
            arity: Arity::Exactly(1),
            role: Role::Anchor(Anchor { direct: 0, own_layout: false, fused: false }),
            work: Work::PerOperand(1.0),
            state: StateUse::None,
        }
    }

    fn infer(&self, _: Option<Declarations<'_>>, x: &[Operand<'_>]) -> Typed {
        last_axis_indices("argmax", x[0], 1)
    }

    fn eval(&self, _: &mut dyn Environment, x: Values, _: Vec<usize>) -> Evaluated {
        top(&x[0], 1).map(Arc::new)
    }
}

/// The row of [`Op::TopK`](crate::Op::TopK).
pub(super) struct TopK {
    pub(super) k: u32,
}

impl Operation for TopK {
    fn name(&self) -> Cow<'static, str> {
        "top_k".into()
    }

    fn traits(&self) -> Traits {
        Traits {
            arity: Arity::Exactly(1),
            role: Role::Anchor(Anchor { direct: 1, own_layout: false, fused: false }),
            work: Work::PerOperand(1.0),
            state: StateUse::None,
        }
    }

    fn infer(&self, _: Option<Declarations<'_>>, x: &[Operand<'_>]) -> Typed {
        last_axis_indices("top_k", x[0], self.k)
    }

    fn eval(&self, _: &mut dyn Environment, x: Values, _: Vec<usize>) -> Evaluated {
        top(&x[0], self.k as usize).map(Arc::new)
    }
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

/// The type of a function of the rows of an f32 tensor.
fn rows_type(name: &str, (x, dtype): Operand<'_>) -> Typed {
    want(name, "operand", dtype, &[DType::F32])?;
    last(name, x)?;
    Ok((x.to_vec(), DType::F32))
}

/// The row of [`Op::QuantizeActivations`](crate::Op::QuantizeActivations).
pub(super) struct QuantizeActivations;

impl Operation for QuantizeActivations {
    fn name(&self) -> Cow<'static, str> {
        "quantize_activations".into()
    }

    fn traits(&self) -> Traits {
        Traits {
            arity: Arity::Exactly(1),
            role: Role::Anchor(Anchor { direct: 0, own_layout: true, fused: false }),
            work: Work::PerResult(1.0),
            state: StateUse::None,
        }
    }

    fn infer(&self, _: Option<Declarations<'_>>, x: &[Operand<'_>]) -> Typed {
        rows_type("quantize_activations", x[0])
    }

    fn eval(&self, _: &mut dyn Environment, x: Values, _: Vec<usize>) -> Evaluated {
        quantize_activations(&x[0]).map(Arc::new)
    }
}

/// The row of [`Op::Softmax`](crate::Op::Softmax).
pub(super) struct Softmax;

impl Operation for Softmax {
    fn name(&self) -> Cow<'static, str> {
        "softmax".into()
    }

    fn traits(&self) -> Traits {
        Traits {
            arity: Arity::Exactly(1),
            role: Role::Anchor(Anchor { direct: 1, own_layout: false, fused: true }),
            work: Work::PerResult(20.0),
            state: StateUse::None,
        }
    }

    fn infer(&self, _: Option<Declarations<'_>>, x: &[Operand<'_>]) -> Typed {
        rows_type("softmax", x[0])
    }

    fn eval(&self, _: &mut dyn Environment, x: Values, _: Vec<usize>) -> Evaluated {
        softmax(&x[0]).map(Arc::new)
    }
}

/// The row of [`Op::Norm`](crate::Op::Norm).
pub(super) struct Norm {
    pub(super) kind: NormKind,
    pub(super) eps: Bits,
}

impl Norm {
    fn label(&self) -> &'static str {
        match self.kind {
            NormKind::Rms => "rms_norm",
            NormKind::Layer => "layer_norm",
        }
    }
}

impl Operation for Norm {
    fn name(&self) -> Cow<'static, str> {
        self.label().into()
    }

    fn traits(&self) -> Traits {
        Traits {
            arity: Arity::Any,
            role: Role::Anchor(Anchor { direct: 1, own_layout: false, fused: true }),
            work: Work::PerResult(8.0),
            state: StateUse::None,
        }
    }

    fn infer(&self, _: Option<Declarations<'_>>, inputs: &[Operand<'_>]) -> Typed {
        let name = self.label();
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

    fn eval(&self, _: &mut dyn Environment, x: Values, _: Vec<usize>) -> Evaluated {
        norm(self.kind, self.eps.get(), &x.all()).map(Arc::new)
    }
}

/// Reduces an axis to size 1. Over an empty axis, a sum is 0, a mean is NaN, and extrema are those of the type.
fn reduce(op: Reduction, x: &Array, axis: usize) -> Result<Array, String> {
    let n = x.shape[axis];
    let inner: usize = x.shape[axis + 1..].iter().product();
    let mut shape = x.shape.clone();
    shape[axis] = 1;
    let count: usize = shape.iter().product();
    // Element i of the result combines elements start, start + inner, ..
    let places = |i: usize| (0..n).map(move |j| (i / inner * n + j) * inner + i % inner);
    let data = match &x.data {
        Data::F32(v) => {
            let combine = |i: usize| {
                let elements = places(i).map(|at| v[at]);
                match op {
                    Reduction::Sum => elements.map(f64::from).sum::<f64>() as f32,
                    Reduction::Mean => (elements.map(f64::from).sum::<f64>() / n as f64) as f32,
                    Reduction::Max => elements.fold(f32::NEG_INFINITY, f32::max),
                    Reduction::Min => elements.fold(f32::INFINITY, f32::min),
                }
            };
            Data::F32((0..count).map(combine).collect())
        }
        Data::I32(v) => {
            let combine = |i: usize| {
                let elements = places(i).map(|at| v[at]);
                match op {
                    Reduction::Sum | Reduction::Mean => elements.fold(0i32, i32::wrapping_add),
                    Reduction::Max => elements.fold(i32::MIN, i32::max),
                    Reduction::Min => elements.fold(i32::MAX, i32::min),
                }
            };
            Data::I32((0..count).map(combine).collect())
        }
        Data::Bool(_) => return Err("bool cannot be reduced".into()),
    };
    Ok(Array { shape, data })
}

/// Indices of the `k` largest elements of each row in descending order; of equal elements, the first. NaN comes after
/// all numbers.
fn top(x: &Array, k: usize) -> Result<Array, String> {
    let n = x.last();
    if k > n {
        return Err(format!("expected at least {k} elements, found {n}"));
    }
    let best = |row: &[f32]| -> Vec<i32> {
        let key = |i: usize| if row[i].is_nan() { f32::NEG_INFINITY } else { row[i] };
        if k == 1 {
            let first = (1..n).fold(0, |best, i| if key(i) > key(best) { i } else { best });
            return vec![first as i32];
        }
        let mut order: Vec<usize> = (0..n).collect();
        order.sort_by(|a, b| key(*b).total_cmp(&key(*a)).then(a.cmp(b)));
        order[..k].iter().map(|i| *i as i32).collect()
    };
    let data = match &x.data {
        Data::F32(v) => v.chunks_exact(n.max(1)).flat_map(best).collect(),
        Data::I32(v) => v.chunks_exact(n.max(1)).flat_map(|row| top_integers(row, k)).collect(),
        Data::Bool(_) => return Err("bool has no largest element".into()),
    };
    let mut shape = x.shape.clone();
    if let Some(last) = shape.last_mut() {
        *last = k;
    }
    Ok(Array { shape, data: Data::I32(data) })
}

fn top_integers(row: &[i32], k: usize) -> Vec<i32> {
    let mut order: Vec<usize> = (0..row.len()).collect();
    order.sort_by(|a, b| row[*b].cmp(&row[*a]).then(a.cmp(b)));
    order[..k].iter().map(|i| *i as i32).collect()
}

/// Applies `f` to every row of the last axis.
fn rows(x: &Array, f: impl Fn(&mut [f32])) -> Result<Array, String> {
    let mut out = x.floats()?.to_vec();
    out.chunks_exact_mut(x.last().max(1)).for_each(f);
    Ok(Array { shape: x.shape.clone(), data: Data::F32(out) })
}

/// `e^(x - max) / sum` over the last axis.
pub(super) fn softmax(x: &Array) -> Result<Array, String> {
    rows(x, |row| {
        let max = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        row.iter_mut().for_each(|v| *v = (*v - max).exp());
        let sum = row.iter().copied().map(f64::from).sum::<f64>() as f32;
        row.iter_mut().for_each(|v| *v /= sum);
    })
}

/// 8-bit activations; see [`crate::Op::QuantizeActivations`].
fn quantize_activations(x: &Array) -> Result<Array, String> {
    rows(x, |row| {
        for block in row.chunks_mut(ROUND_BLOCK) {
            let largest = block.iter().fold(0f32, |m, v| m.max(v.abs()));
            let steps = if largest > 0.0 { 127.0 / largest } else { 0.0 };
            let step = largest * (1.0 / 127.0);
            block.iter_mut().for_each(|v| *v = (*v * steps + 0.5).floor() * step);
        }
    })
}

/// Normalization of the last axis; operands are `[x]`, `[x, scale]` or `[x, scale, shift]`.
fn norm(kind: NormKind, eps: f32, operands: &[&Array]) -> Result<Array, String> {
    let scale = operands.get(1).map(|t| t.floats()).transpose()?;
    let shift = operands.get(2).map(|t| t.floats()).transpose()?;
    rows(operands[0], |row| {
        let n = row.len() as f64;
        let mean = match kind {
            NormKind::Rms => 0.0,
            NormKind::Layer => row.iter().copied().map(f64::from).sum::<f64>() / n,
        };
        let square = row.iter().map(|v| (f64::from(*v) - mean).powi(2)).sum::<f64>() / n;
        let factor = 1.0 / (square + f64::from(eps)).sqrt();
        for (i, v) in row.iter_mut().enumerate() {
            *v = ((f64::from(*v) - mean) * factor) as f32 * scale.map_or(1.0, |s| s[i]) + shift.map_or(0.0, |s| s[i]);
        }
    })
}
