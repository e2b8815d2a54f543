//! Operations that combine the elements of an axis.

use super::tensor::{Data, Tensor};
use crate::op::{NormKind, Reduction};

/// Reduces an axis to size 1. Over nothing, a sum is 0, a mean is NaN, and extrema are those of the type.
pub(super) fn reduce(op: Reduction, x: &Tensor, axis: usize) -> Result<Tensor, String> {
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
    Ok(Tensor { shape, data })
}

/// Indices of the `k` largest elements of each row, largest first, ties by lower index. NaN is never chosen
/// before a number.
pub(super) fn top(x: &Tensor, k: usize) -> Result<Tensor, String> {
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
    Ok(Tensor { shape, data: Data::I32(data) })
}

fn top_integers(row: &[i32], k: usize) -> Vec<i32> {
    let mut order: Vec<usize> = (0..row.len()).collect();
    order.sort_by(|a, b| row[*b].cmp(&row[*a]).then(a.cmp(b)));
    order[..k].iter().map(|i| *i as i32).collect()
}

/// Applies `f` to every row of the last axis.
fn rows(x: &Tensor, f: impl Fn(&mut [f32])) -> Result<Tensor, String> {
    let mut out = x.floats()?.to_vec();
    out.chunks_exact_mut(x.last().max(1)).for_each(f);
    Ok(Tensor { shape: x.shape.clone(), data: Data::F32(out) })
}

/// `e^(x - max) / sum` over the last axis.
pub(super) fn softmax(x: &Tensor) -> Result<Tensor, String> {
    rows(x, |row| {
        let max = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        row.iter_mut().for_each(|v| *v = (*v - max).exp());
        let sum = row.iter().copied().map(f64::from).sum::<f64>() as f32;
        row.iter_mut().for_each(|v| *v /= sum);
    })
}

/// 8-bit activations; see [`crate::Op::RoundBlocks`].
pub(super) fn round_blocks(x: &Tensor) -> Result<Tensor, String> {
    rows(x, |row| {
        for block in row.chunks_mut(crate::ROUND_BLOCK) {
            let largest = block.iter().fold(0f32, |m, v| m.max(v.abs()));
            let steps = if largest > 0.0 { 127.0 / largest } else { 0.0 };
            let step = largest * (1.0 / 127.0);
            block.iter_mut().for_each(|v| *v = (*v * steps + 0.5).floor() * step);
        }
    })
}

/// Normalisation of the last axis; operands are `[x]`, `[x, scale]` or `[x, scale, shift]`.
pub(super) fn norm(kind: NormKind, eps: f32, operands: &[&Tensor]) -> Result<Tensor, String> {
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
