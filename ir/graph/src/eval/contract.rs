//! Sums of products, and the fused operations around them.

use super::elementwise::expression;
use super::movement::broadcast;
use super::reduce::softmax;
use super::tensor::{Data, Tensor};
use crate::scalar::Scalar;

/// `sum(a[i] * b[i])` in eight f32 lanes, which rounds less than one running sum and runs faster.
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
    let index = Tensor::i32(own, (0..count).map(|i| i as i32).collect());
    match broadcast(&index, lead).data {
        Data::I32(v) => v.into_iter().map(|i| i as usize * size).collect(),
        _ => Vec::new(),
    }
}

/// `a [.., M, K]` times `b [.., K, N]`, or `[.., N, K]` if transposed. Leading axes broadcast.
pub(super) fn matmul(a: &Tensor, b: &Tensor, transpose_b: bool) -> Result<Tensor, String> {
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
    Ok(Tensor { shape, data: Data::F32(out) })
}

/// `[x, w_0, .., args..]`: products with every weight, then the epilogue.
pub(super) fn linear(weights: usize, epilogue: &Scalar, x: &[&Tensor], shape: &[usize]) -> Result<Tensor, String> {
    // A vector is a matrix of one row; the result takes its own shape back below.
    let mut rows = x[0].clone();
    let k = rows.last();
    rows.shape = vec![shape[..shape.len() - 1].iter().product(), k];
    let product = |w: &&Tensor| {
        let mut acc = matmul(&rows, w, true)?;
        acc.shape = shape.to_vec();
        Ok(acc)
    };
    let accumulators: Vec<Tensor> = x[1..=weights].iter().map(product).collect::<Result<_, String>>()?;
    Ok(broadcast(&expression(epilogue, &accumulators, &x[1 + weights..])?, shape))
}

/// `[q, k, v, args..]`: `softmax(score(q * k^T, args)) * v`.
pub(super) fn attention(score: &Scalar, x: &[&Tensor]) -> Result<Tensor, String> {
    let products = matmul(x[0], x[1], true)?;
    let shape = products.shape.clone();
    let scores = expression(score, &[products], &x[3..])?;
    matmul(&softmax(&broadcast(&scores, &shape))?, x[2], false)
}
