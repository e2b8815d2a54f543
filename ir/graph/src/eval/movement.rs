//! Operations that only move elements.

use super::tensor::{Data, Tensor, map_data};
use crate::scalar::Literal;

/// Elements between neighbours on each axis of a dense row-major array.
fn dense_strides(shape: &[usize]) -> Vec<usize> {
    let mut strides = vec![1; shape.len()];
    for i in (1..shape.len()).rev() {
        strides[i - 1] = strides[i] * shape[i];
    }
    strides
}

/// The elements `start + sum(index[i] * strides[i])` for all indices of `shape`, in row-major order.
fn strided<T: Copy>(data: &[T], start: usize, shape: &[usize], strides: &[usize]) -> Vec<T> {
    let mut out = Vec::with_capacity(shape.iter().product());
    walk(data, start, shape, strides, &mut out);
    out
}

fn walk<T: Copy>(data: &[T], start: usize, shape: &[usize], strides: &[usize], out: &mut Vec<T>) {
    match (shape, strides) {
        ([n], [1]) => out.extend_from_slice(&data[start..start + n]),
        ([n], [0]) => out.extend(std::iter::repeat_n(data[start], *n)),
        ([n], [s]) => out.extend((0..*n).map(|i| data[start + i * s])),
        ([n, shape @ ..], [s, strides @ ..]) => {
            for i in 0..*n {
                walk(data, start + i * s, shape, strides, out);
            }
        }
        _ => out.push(data[start]),
    }
}

/// A strided view of a tensor, made dense. No element is read if the result has none.
fn view(x: &Tensor, start: usize, shape: Vec<usize>, strides: &[usize]) -> Tensor {
    let empty = shape.contains(&0);
    let data = map_data!(&x.data, v => if empty { Vec::new() } else { strided(v, start, &shape, strides) });
    Tensor { shape, data }
}

/// Repeats the axes that are 1 or missing; the tensor itself if there are none.
pub(super) fn broadcast(x: &Tensor, shape: &[usize]) -> Tensor {
    if x.shape == shape {
        return x.clone();
    }
    let mut strides = vec![0; shape.len() - x.shape.len()];
    let own = x.shape.iter().zip(dense_strides(&x.shape));
    strides.extend(own.map(|(n, s)| if *n == 1 { 0 } else { s }));
    view(x, 0, shape.to_vec(), &strides)
}

/// Exchanges axes: result axis `i` is operand axis `perm[i]`.
pub(super) fn transpose(x: &Tensor, perm: &[u32]) -> Tensor {
    let strides = dense_strides(&x.shape);
    let shape = perm.iter().map(|p| x.shape[*p as usize]).collect();
    let strides: Vec<usize> = perm.iter().map(|p| strides[*p as usize]).collect();
    view(x, 0, shape, &strides)
}

/// Elements `start .. start + len` of an axis.
pub(super) fn slice(x: &Tensor, axis: usize, start: usize, len: usize) -> Tensor {
    let strides = dense_strides(&x.shape);
    let mut shape = x.shape.clone();
    shape[axis] = len;
    view(x, start * strides[axis], shape, &strides)
}

/// Windows of an axis, in the given shape of the result.
pub(super) fn windows(x: &Tensor, axis: usize, shape: Vec<usize>, stride: usize, dilation: usize) -> Tensor {
    let mut strides = dense_strides(&x.shape);
    let element = strides[axis];
    strides[axis] = element * stride;
    strides.insert(axis + 1, element * dilation);
    view(x, 0, shape, &strides)
}

/// Rows of an axis: the product of the sizes before it, and of those from it on.
fn split(shape: &[usize], axis: usize) -> (usize, usize) {
    (shape[..axis].iter().product(), shape[axis..].iter().product())
}

/// Joins tensors of one type along an axis.
pub(super) fn concat(parts: &[&Tensor], axis: usize) -> Tensor {
    fn join<'a, T: Copy + 'a>(parts: impl Iterator<Item = (&'a [T], usize)> + Clone, rows: usize) -> Vec<T> {
        let row = |r: usize| parts.clone().flat_map(move |(v, n)| v[r * n..(r + 1) * n].iter().copied());
        (0..rows).flat_map(row).collect()
    }
    let mut shape = parts[0].shape.clone();
    shape[axis] = parts.iter().map(|t| t.shape[axis]).sum();
    let rows = split(&shape, axis).0;
    let row = |t: &Tensor| split(&t.shape, axis).1;
    let data = match &parts[0].data {
        Data::F32(_) => Data::F32(join(parts.iter().filter_map(|t| Some((t.as_f32()?, row(t)))), rows)),
        Data::I32(_) => Data::I32(join(parts.iter().filter_map(|t| Some((t.as_i32()?, row(t)))), rows)),
        Data::Bool(_) => {
            let part = |t: &&'_ Tensor| match &t.data {
                Data::Bool(v) => Some((v.clone(), row(t))),
                _ => None,
            };
            let parts: Vec<_> = parts.iter().filter_map(part).collect();
            Data::Bool(join(parts.iter().map(|(v, n)| (v.as_slice(), *n)), rows))
        }
    };
    Tensor { shape, data }
}

/// Adds `before` and `after` elements of a value on an axis.
pub(super) fn pad(x: &Tensor, axis: usize, before: usize, after: usize, value: Literal) -> Result<Tensor, String> {
    let filled = |n: usize| {
        let mut shape = x.shape.clone();
        shape[axis] = n;
        broadcast(&super::tensor::scalar(value), &shape)
    };
    Ok(concat(&[&filled(before), x, &filled(after)], axis))
}

/// `index` moved into `0 .. n`.
fn clamp(index: i32, n: usize) -> Result<usize, String> {
    if n == 0 {
        return Err("the table has no rows".into());
    }
    Ok(usize::try_from(index).unwrap_or(0).min(n - 1))
}

/// Rows of axis 0 of a table.
pub(super) fn gather(table: &Tensor, indices: &Tensor) -> Result<Tensor, String> {
    let row: usize = table.shape[1..].iter().product();
    let rows: Vec<usize> = indices.integers()?.iter().map(|i| clamp(*i, table.shape[0])).collect::<Result<_, _>>()?;
    let shape = indices.shape.iter().chain(&table.shape[1..]).copied().collect();
    let data =
        map_data!(&table.data, v => rows.iter().flat_map(|r| v[r * row..(r + 1) * row].iter().copied()).collect());
    Ok(Tensor { shape, data })
}

/// Elements along the last axis, by indices per row.
pub(super) fn take_last(x: &Tensor, indices: &Tensor) -> Result<Tensor, String> {
    let (n, k) = (x.last(), indices.last());
    let place = |(at, i): (usize, &i32)| clamp(*i, n).map(|i| at / k * n + i);
    let places: Vec<usize> = indices.integers()?.iter().enumerate().map(place).collect::<Result<_, _>>()?;
    let data = map_data!(&x.data, v => places.iter().map(|p| v[*p]).collect());
    Ok(Tensor { shape: indices.shape.clone(), data })
}
