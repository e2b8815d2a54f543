//! Sums of products, and the fused operations around them.

use std::borrow::Cow;
use std::sync::Arc;

use super::check::{args_of, broadcast as common, last, want};
use super::elementwise::{expression, scalar_type};
use super::movement::broadcast;
use super::reduce::softmax;
use super::row::{
    Anchor, Arity, Declarations, Environment, Evaluated, Operand, Operation, Role, StateUse, Traits, Typed, Values,
    Work,
};
use crate::array::{Array, Data};
use crate::dim::{Dim, Shape, show_shape};
use crate::dtype::DType;
use crate::scalar::Scalar;

/// The row of [`Op::MatMul`](crate::Op::MatMul).
pub(super) struct MatMul {
    pub(super) transpose_b: bool,
}

impl Operation for MatMul {
    fn name(&self) -> Cow<'static, str> {
        "matmul".into()
    }

    fn traits(&self) -> Traits {
        Traits {
            arity: Arity::Exactly(2),
            role: Role::Anchor(Anchor { direct: 2, own_layout: false, fused: false }),
            work: Work::Products { count: 1.0, then: 0.0 },
            state: StateUse::None,
        }
    }

    fn infer(&self, _: Option<Declarations<'_>>, x: &[Operand<'_>]) -> Typed {
        let ((a, at), (b, bt)) = (x[0], x[1]);
        want("matmul", "the first operand", at, &[DType::F32])?;
        want("matmul", "the second operand", bt, &[DType::F32])?;
        let (Some((lead_a, [m, k])), Some((lead_b, [b0, b1]))) = (a.split_last_chunk::<2>(), b.split_last_chunk::<2>())
        else {
            let (a, b) = (show_shape(a), show_shape(b));
            return Err(format!("matmul: expected operands with at least two axes, found {a} and {b}"));
        };
        let (kb, n) = if self.transpose_b { (b1, b0) } else { (b0, b1) };
        if k != kb {
            let expected = if self.transpose_b { format!("[.., N, {k}]") } else { format!("[.., {k}, N]") };
            return Err(format!(
                "matmul: for a first operand {} expected a second one {expected}, found {}",
                show_shape(a),
                show_shape(b)
            ));
        }
        let mut shape = common("matmul (leading axes)", lead_a, lead_b)?;
        shape.extend([m.clone(), n.clone()]);
        Ok((shape, DType::F32))
    }

    fn eval(&self, _: &mut dyn Environment, x: Values, _: Vec<usize>) -> Evaluated {
        matmul(&x[0], &x[1], self.transpose_b).map(Arc::new)
    }
}

/// The row of [`Op::Linear`](crate::Op::Linear).
pub(super) struct Linear<'a> {
    pub(super) weights: usize,
    pub(super) epilogue: &'a Scalar,
}

impl Operation for Linear<'_> {
    fn name(&self) -> Cow<'static, str> {
        "linear".into()
    }

    fn traits(&self) -> Traits {
        Traits {
            arity: Arity::Any,
            role: Role::Anchor(Anchor { direct: 1, own_layout: false, fused: true }),
            work: Work::Products { count: self.weights as f64, then: self.epilogue.flops() },
            state: StateUse::None,
        }
    }

    fn infer(&self, _: Option<Declarations<'_>>, x: &[Operand<'_>]) -> Typed {
        let n = self.weights;
        if n == 0 || x.len() < 1 + n {
            return Err(format!("linear: expected an operand and 1 or more weights, found {} of {n}", x.len()));
        }
        let (rows, dtype) = x[0];
        want("linear", "operand", dtype, &[DType::F32])?;
        let k = last("linear", rows)?;
        for (w, t) in &x[1..=n] {
            want("linear", "weight", *t, &[DType::F32])?;
            if w.len() != 2 || w[1] != *k || *w != x[1].0 {
                return Err(format!("linear: expected weights of one shape [N, {k}], found {}", show_shape(w)));
            }
        }
        let mut shape = rows.to_vec();
        let at = shape.len() - 1;
        shape[at] = x[1].0[0].clone();
        let args = args_of("linear", &x[1 + n..], &shape)?;
        let dtype = scalar_type(self.epilogue, n, &args).map_err(|e| format!("linear epilogue: {e}"))?;
        Ok((shape, dtype))
    }

    fn eval(&self, _: &mut dyn Environment, x: Values, shape: Vec<usize>) -> Evaluated {
        linear(self.weights, self.epilogue, &x.all(), &shape).map(Arc::new)
    }
}

/// The row of [`Op::Attention`](crate::Op::Attention).
pub(super) struct Attention<'a> {
    pub(super) score: &'a Scalar,
}

impl Operation for Attention<'_> {
    fn name(&self) -> Cow<'static, str> {
        "attention".into()
    }

    fn traits(&self) -> Traits {
        Traits {
            arity: Arity::Any,
            role: Role::Anchor(Anchor { direct: 3, own_layout: false, fused: true }),
            work: Work::Attention { score: self.score.flops() },
            state: StateUse::None,
        }
    }

    fn infer(&self, _: Option<Declarations<'_>>, x: &[Operand<'_>]) -> Typed {
        let Some(([q, k, v], args)) = x.split_first_chunk::<3>() else {
            return Err(format!("attention: expected query, key, value and arguments, found {} operands", x.len()));
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
        let dtype = scalar_type(self.score, 1, &args).map_err(|e| format!("attention score: {e}"))?;
        want("attention", "a score", dtype, &[DType::F32])?;
        Ok((full(e), DType::F32))
    }

    fn eval(&self, _: &mut dyn Environment, x: Values, _: Vec<usize>) -> Evaluated {
        attention(self.score, &x.all()).map(Arc::new)
    }
}

/// `sum(a[i] * b[i])` in eight f32 lanes, which is more accurate than a single sum, and faster.
fn dot(a: &[f32], b: &[f32]) -> f32 {
    const LANES: usize = 8;
    let (a, a_rest) = a.as_chunks::<LANES>();
    let (b, b_rest) = b.as_chunks::<LANES>();
    let mut sums = [0.0f32; LANES];
    for (a, b) in a.iter().zip(b) {
        for i in 0..LANES {
            sums[i] += a[i] * b[i];
        }
    }
    let rest: f32 = a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum();
    sums.iter().sum::<f32>() + rest
}

/// `out[m, n] = sum_k a[m, k] * b[n, k]`. Rows of `b` are the outer loop: they are usually weights, and the
/// larger operand.
fn rows_by_rows(a: &[f32], b: &[f32], k: usize, n: usize, out: &mut [f32]) {
    for (j, b) in b.chunks_exact(k).enumerate() {
        for (i, a) in a.chunks_exact(k).enumerate() {
            out[i * n + j] = dot(a, b);
        }
    }
}

/// `out[m, n] = sum_k a[m, k] * b[k, n]`.
fn rows_by_columns(a: &[f32], b: &[f32], k: usize, n: usize, out: &mut [f32]) {
    for (a, out) in a.chunks_exact(k).zip(out.chunks_exact_mut(n)) {
        for (a, b) in a.iter().zip(b.chunks_exact(n)) {
            for (out, b) in out.iter_mut().zip(b) {
                *out += a * b;
            }
        }
    }
}

/// Offsets of the matrices of an operand, one per index of the broadcast leading axes.
fn matrices(own: &[usize], lead: &[usize], size: usize) -> Vec<usize> {
    let count: usize = own.iter().product();
    let index = Array::i32(own, (0..count).map(|i| i as i32).collect());
    match broadcast(&index, lead).data {
        Data::I32(v) => v.into_iter().map(|i| i as usize * size).collect(),
        _ => Vec::new(),
    }
}

/// `a [.., M, K]` times `b [.., K, N]`, or `[.., N, K]` if transposed. Leading axes broadcast.
fn matmul(a: &Array, b: &Array, transpose_b: bool) -> Result<Array, String> {
    let (ra, rb) = (a.shape.len(), b.shape.len());
    let (lead_a, lead_b) = (&a.shape[..ra - 2], &b.shape[..rb - 2]);
    let (m, k) = (a.shape[ra - 2], a.shape[ra - 1]);
    let n = if transpose_b { b.shape[rb - 2] } else { b.shape[rb - 1] };
    let rank = lead_a.len().max(lead_b.len());
    let size = |s: &[usize], i: usize| (i + s.len()).checked_sub(rank).map_or(1, |j| s[j]);
    let join = |i: usize| match (size(lead_a, i), size(lead_b, i)) {
        (1, y) => y,
        (x, _) => x,
    };
    let lead: Vec<usize> = (0..rank).map(join).collect();
    let mut shape = lead.clone();
    shape.extend([m, n]);
    let (av, bv) = (a.floats()?, b.floats()?);
    let mut out = vec![0.0f32; shape.iter().product()];
    let product = if transpose_b { rows_by_rows } else { rows_by_columns };
    if !out.is_empty() && k > 0 {
        if lead_b.iter().all(|d| *d == 1) {
            // One right-hand matrix for all: the leading axes are more rows.
            product(av, bv, k, n, &mut out);
        } else {
            let places = matrices(lead_a, &lead, m * k).into_iter().zip(matrices(lead_b, &lead, k * n));
            for ((ia, ib), out) in places.zip(out.chunks_exact_mut(m * n)) {
                product(&av[ia..ia + m * k], &bv[ib..ib + k * n], k, n, out);
            }
        }
    }
    Ok(Array { shape, data: Data::F32(out) })
}

/// `[x, w_0, .., args..]`: products with every weight, then the epilogue.
fn linear(weights: usize, epilogue: &Scalar, x: &[&Array], shape: &[usize]) -> Result<Array, String> {
    // A vector is a matrix of one row; the result takes its own shape back below.
    let mut rows = x[0].clone();
    let k = rows.last();
    rows.shape = vec![shape[..shape.len() - 1].iter().product(), k];
    let product = |w: &&Array| {
        let mut acc = matmul(&rows, w, true)?;
        acc.shape = shape.to_vec();
        Ok(acc)
    };
    let accumulators: Vec<Array> = x[1..=weights].iter().map(product).collect::<Result<_, String>>()?;
    Ok(broadcast(&expression(epilogue, &accumulators, &x[1 + weights..])?, shape))
}

/// `[q, k, v, args..]`: `softmax(score(q * k^T, args)) * v`.
fn attention(score: &Scalar, x: &[&Array]) -> Result<Array, String> {
    let products = matmul(x[0], x[1], true)?;
    let shape = products.shape.clone();
    let scores = expression(score, &[products], &x[3..])?;
    matmul(&softmax(&broadcast(&scores, &shape))?, x[2], false)
}
