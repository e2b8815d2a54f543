//! Operations that only move elements.

use std::borrow::Cow;
use std::sync::Arc;

use super::check::{axis_mut, expands, not_negative, size, want};
use super::row::{
    Arity, Declarations, Environment, Evaluated, Operand, Operation, Role, StateUse, Traits, Typed, Values, Work,
};
use crate::array::{Array, Data, map_data, scalar};
use crate::dim::{Dim, numel, show_shape};
use crate::dtype::DType;
use crate::literal::Literal;

/// The traits of an operation that is computed where it is read.
const fn moves(arity: Arity) -> Traits {
    Traits { arity, role: Role::Movement, work: Work::PerResult(1.0), state: StateUse::None }
}

/// The row of [`Op::Reshape`](crate::Op::Reshape).
pub(super) struct Reshape<'a>(pub(super) &'a [Dim]);

impl Operation for Reshape<'_> {
    fn name(&self) -> Cow<'static, str> {
        "reshape".into()
    }

    fn traits(&self) -> Traits {
        Traits::VIEW
    }

    fn infer(&self, _: Option<Declarations<'_>>, operands: &[Operand<'_>]) -> Typed {
        let (x, dtype) = operands[0];
        let to = self.0;
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

    fn eval(&self, _: &mut dyn Environment, x: Values, shape: Vec<usize>) -> Evaluated {
        let data = Arc::unwrap_or_clone(x.into_first()).data;
        Ok(Arc::new(Array { shape, data }))
    }
}

/// The row of [`Op::Transpose`](crate::Op::Transpose).
pub(super) struct Transpose<'a>(pub(super) &'a [u32]);

impl Operation for Transpose<'_> {
    fn name(&self) -> Cow<'static, str> {
        "transpose".into()
    }

    fn traits(&self) -> Traits {
        Traits::VIEW
    }

    fn infer(&self, _: Option<Declarations<'_>>, operands: &[Operand<'_>]) -> Typed {
        let (x, dtype) = operands[0];
        let perm = self.0;
        let mut sorted = perm.to_vec();
        sorted.sort_unstable();
        if sorted.iter().map(|p| *p as usize).ne(0..x.len()) {
            return Err(format!("transpose: expected a permutation of the {} axes, found {perm:?}", x.len()));
        }
        Ok((perm.iter().map(|p| x[*p as usize].clone()).collect(), dtype))
    }

    fn eval(&self, _: &mut dyn Environment, x: Values, _: Vec<usize>) -> Evaluated {
        Ok(Arc::new(transpose(&x[0], self.0)))
    }
}

/// The row of [`Op::Broadcast`](crate::Op::Broadcast).
pub(super) struct Broadcast<'a>(pub(super) &'a [Dim]);

impl Operation for Broadcast<'_> {
    fn name(&self) -> Cow<'static, str> {
        "broadcast".into()
    }

    fn traits(&self) -> Traits {
        Traits::VIEW
    }

    fn infer(&self, _: Option<Declarations<'_>>, x: &[Operand<'_>]) -> Typed {
        expands("broadcast", x[0].0, self.0)?;
        Ok((self.0.to_vec(), x[0].1))
    }

    fn eval(&self, _: &mut dyn Environment, x: Values, shape: Vec<usize>) -> Evaluated {
        Ok(Arc::new(broadcast(&x[0], &shape)))
    }
}

/// The row of [`Op::Slice`](crate::Op::Slice).
pub(super) struct Slice<'a> {
    pub(super) axis: u32,
    pub(super) start: &'a Dim,
    pub(super) len: &'a Dim,
}

impl Operation for Slice<'_> {
    fn name(&self) -> Cow<'static, str> {
        "slice".into()
    }

    fn traits(&self) -> Traits {
        Traits::VIEW
    }

    fn infer(&self, _: Option<Declarations<'_>>, operands: &[Operand<'_>]) -> Typed {
        let (x, dtype) = operands[0];
        let Slice { axis, start, len } = *self;
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

    fn eval(&self, _: &mut dyn Environment, x: Values, _: Vec<usize>) -> Evaluated {
        Ok(Arc::new(slice(&x[0], self.axis as usize, size(self.start)?, size(self.len)?)))
    }
}

/// The row of [`Op::Concat`](crate::Op::Concat).
pub(super) struct Concat {
    pub(super) axis: u32,
}

impl Operation for Concat {
    fn name(&self) -> Cow<'static, str> {
        "concat".into()
    }

    fn traits(&self) -> Traits {
        moves(Arity::Any)
    }

    fn infer(&self, _: Option<Declarations<'_>>, x: &[Operand<'_>]) -> Typed {
        let axis = self.axis;
        let Some(((first, dtype), rest)) = x.split_first() else {
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

    fn eval(&self, _: &mut dyn Environment, x: Values, _: Vec<usize>) -> Evaluated {
        Ok(Arc::new(concat(&x.all(), self.axis as usize)))
    }
}

/// The row of [`Op::Pad`](crate::Op::Pad).
pub(super) struct Pad<'a> {
    pub(super) axis: u32,
    pub(super) before: &'a Dim,
    pub(super) after: &'a Dim,
    pub(super) value: Literal,
}

impl Operation for Pad<'_> {
    fn name(&self) -> Cow<'static, str> {
        "pad".into()
    }

    fn traits(&self) -> Traits {
        moves(Arity::Exactly(1))
    }

    fn infer(&self, _: Option<Declarations<'_>>, operands: &[Operand<'_>]) -> Typed {
        let (x, dtype) = operands[0];
        want("pad", "the added value", self.value.dtype(), &[dtype])?;
        let mut shape = x.to_vec();
        let dim = axis_mut("pad", &mut shape, self.axis)?;
        let (before, after) = (self.before, self.after);
        *dim = &(&*dim + not_negative("pad", "`before`", before)?) + not_negative("pad", "`after`", after)?;
        Ok((shape, dtype))
    }

    fn eval(&self, _: &mut dyn Environment, x: Values, _: Vec<usize>) -> Evaluated {
        pad(&x[0], self.axis as usize, size(self.before)?, size(self.after)?, self.value).map(Arc::new)
    }
}

/// The row of [`Op::Windows`](crate::Op::Windows).
pub(super) struct Windows {
    pub(super) axis: u32,
    pub(super) size: u32,
    pub(super) stride: u32,
    pub(super) dilation: u32,
}

impl Operation for Windows {
    fn name(&self) -> Cow<'static, str> {
        "windows".into()
    }

    fn traits(&self) -> Traits {
        Traits::VIEW
    }

    fn infer(&self, _: Option<Declarations<'_>>, operands: &[Operand<'_>]) -> Typed {
        let (x, dtype) = operands[0];
        let Windows { axis, size, stride, dilation } = *self;
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
            return Err(format!(
                "windows: a window of {} elements does not fit into axis {axis} of {}",
                reach + 1,
                show_shape(x)
            ));
        }
        // The stride is not zero, so there is a quotient.
        *dim = &room.floor_div(i64::from(stride)).unwrap_or_default() + &Dim::constant(1);
        shape.insert(axis as usize + 1, Dim::constant(i64::from(size)));
        Ok((shape, dtype))
    }

    fn eval(&self, _: &mut dyn Environment, x: Values, shape: Vec<usize>) -> Evaluated {
        let (stride, dilation) = (self.stride as usize, self.dilation as usize);
        Ok(Arc::new(windows(&x[0], self.axis as usize, shape, stride, dilation)))
    }
}

/// The row of [`Op::Gather`](crate::Op::Gather).
pub(super) struct Gather;

impl Operation for Gather {
    fn name(&self) -> Cow<'static, str> {
        "gather".into()
    }

    fn traits(&self) -> Traits {
        moves(Arity::Exactly(2))
    }

    fn infer(&self, _: Option<Declarations<'_>>, x: &[Operand<'_>]) -> Typed {
        let ((table, dtype), (indices, index_type)) = (x[0], x[1]);
        want("gather", "indices", index_type, &[DType::I32])?;
        if table.is_empty() {
            return Err("gather: expected a table with at least one axis, found a scalar".into());
        }
        Ok((indices.iter().chain(&table[1..]).cloned().collect(), dtype))
    }

    fn eval(&self, _: &mut dyn Environment, x: Values, _: Vec<usize>) -> Evaluated {
        gather(&x[0], &x[1]).map(Arc::new)
    }
}

/// The row of [`Op::TakeLast`](crate::Op::TakeLast).
pub(super) struct TakeLast;

impl Operation for TakeLast {
    fn name(&self) -> Cow<'static, str> {
        "take_last".into()
    }

    fn traits(&self) -> Traits {
        moves(Arity::Exactly(2))
    }

    fn infer(&self, _: Option<Declarations<'_>>, operands: &[Operand<'_>]) -> Typed {
        let ((x, dtype), (indices, index_type)) = (operands[0], operands[1]);
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

    fn eval(&self, _: &mut dyn Environment, x: Values, _: Vec<usize>) -> Evaluated {
        take_last(&x[0], &x[1]).map(Arc::new)
    }
}

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

/// A dense copy of a strided view of a tensor. No element is read if the result has none.
fn view(x: &Array, start: usize, shape: Vec<usize>, strides: &[usize]) -> Array {
    let empty = shape.contains(&0);
    let data = map_data!(&x.data, v => if empty { Vec::new() } else { strided(v, start, &shape, strides) });
    Array { shape, data }
}

/// Repeats the axes that are 1 or missing; the tensor itself if there are none.
pub(super) fn broadcast(x: &Array, shape: &[usize]) -> Array {
    if x.shape == shape {
        return x.clone();
    }
    let mut strides = vec![0; shape.len() - x.shape.len()];
    let own = x.shape.iter().zip(dense_strides(&x.shape));
    strides.extend(own.map(|(n, s)| if *n == 1 { 0 } else { s }));
    view(x, 0, shape.to_vec(), &strides)
}

/// Exchanges axes: result axis `i` is operand axis `perm[i]`.
fn transpose(x: &Array, perm: &[u32]) -> Array {
    let strides = dense_strides(&x.shape);
    let shape = perm.iter().map(|p| x.shape[*p as usize]).collect();
    let strides: Vec<usize> = perm.iter().map(|p| strides[*p as usize]).collect();
    view(x, 0, shape, &strides)
}

/// Elements `start .. start + len` of an axis.
pub(crate) fn slice(x: &Array, axis: usize, start: usize, len: usize) -> Array {
    let strides = dense_strides(&x.shape);
    let mut shape = x.shape.clone();
    shape[axis] = len;
    view(x, start * strides[axis], shape, &strides)
}

/// Windows of an axis, in the given shape of the result.
fn windows(x: &Array, axis: usize, shape: Vec<usize>, stride: usize, dilation: usize) -> Array {
    let mut strides = dense_strides(&x.shape);
    let element = strides[axis];
    strides[axis] = element * stride;
    strides.insert(axis + 1, element * dilation);
    view(x, 0, shape, &strides)
}

/// A tensor as rows: the product of the sizes before an axis, and of those from it on.
fn split(shape: &[usize], axis: usize) -> (usize, usize) {
    (shape[..axis].iter().product(), shape[axis..].iter().product())
}

/// Joins tensors of one type along an axis.
pub(crate) fn concat(parts: &[&Array], axis: usize) -> Array {
    fn join<'a, T: Copy + 'a>(parts: impl Iterator<Item = (&'a [T], usize)> + Clone, rows: usize) -> Vec<T> {
        let row = |r: usize| parts.clone().flat_map(move |(v, n)| v[r * n..(r + 1) * n].iter().copied());
        (0..rows).flat_map(row).collect()
    }
    let mut shape = parts[0].shape.clone();
    shape[axis] = parts.iter().map(|t| t.shape[axis]).sum();
    let rows = split(&shape, axis).0;
    let row = |t: &Array| split(&t.shape, axis).1;
    let data = match &parts[0].data {
        Data::F32(_) => Data::F32(join(parts.iter().filter_map(|t| Some((t.as_f32()?, row(t)))), rows)),
        Data::I32(_) => Data::I32(join(parts.iter().filter_map(|t| Some((t.as_i32()?, row(t)))), rows)),
        Data::Bool(_) => {
            let part = |t: &&'_ Array| match &t.data {
                Data::Bool(v) => Some((v.clone(), row(t))),
                _ => None,
            };
            let parts: Vec<_> = parts.iter().filter_map(part).collect();
            Data::Bool(join(parts.iter().map(|(v, n)| (v.as_slice(), *n)), rows))
        }
    };
    Array { shape, data }
}

/// Adds `before` and `after` elements of a value on an axis.
fn pad(x: &Array, axis: usize, before: usize, after: usize, value: Literal) -> Result<Array, String> {
    let filled = |n: usize| {
        let mut shape = x.shape.clone();
        shape[axis] = n;
        broadcast(&scalar(value), &shape)
    };
    Ok(concat(&[&filled(before), x, &filled(after)], axis))
}

/// `index` clamped to `0 .. n`.
fn clamp(index: i32, n: usize) -> Result<usize, String> {
    if n == 0 {
        return Err("the table has no rows".into());
    }
    Ok(usize::try_from(index).unwrap_or(0).min(n - 1))
}

/// Rows of axis 0 of a table.
fn gather(table: &Array, indices: &Array) -> Result<Array, String> {
    let row: usize = table.shape[1..].iter().product();
    let rows: Vec<usize> = indices.integers()?.iter().map(|i| clamp(*i, table.shape[0])).collect::<Result<_, _>>()?;
    let shape = indices.shape.iter().chain(&table.shape[1..]).copied().collect();
    let data =
        map_data!(&table.data, v => rows.iter().flat_map(|r| v[r * row..(r + 1) * row].iter().copied()).collect());
    Ok(Array { shape, data })
}

/// Elements along the last axis, by indices per row.
fn take_last(x: &Array, indices: &Array) -> Result<Array, String> {
    let (n, k) = (x.last(), indices.last());
    let place = |(at, i): (usize, &i32)| clamp(*i, n).map(|i| at / k * n + i);
    let places: Vec<usize> = indices.integers()?.iter().enumerate().map(place).collect::<Result<_, _>>()?;
    let data = map_data!(&x.data, v => places.iter().map(|p| v[*p]).collect());
    Ok(Array { shape: indices.shape.clone(), data })
}
