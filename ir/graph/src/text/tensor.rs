//! Formulas on tensors: conversion of operands, element-wise operations, indexing.

use super::arith;
use super::binder::{Binder, Eval};
use super::expr::{Expr, Item, Operator};
use super::value::Value;
use crate::dim::{Dim, Shape, show_shape};
use crate::dtype::DType;
use crate::graph::NodeId;
use crate::literal::{Bits, Literal};
use crate::op::Op;
use crate::scalar::{Binary, Unary};

impl<'a> Binder<'a> {
    /// Adds a node; its type error is reported at `at`.
    pub(super) fn push(&mut self, at: &'a str, op: Op, inputs: &[NodeId]) -> Eval<NodeId> {
        let result = self.builder.push(op, inputs);
        self.at(at, result)
    }

    pub(super) fn leaf(&mut self, at: &'a str, op: Op) -> Eval<NodeId> {
        let result = self.builder.leaf(op);
        self.at(at, result)
    }

    pub(super) fn dtype(&self, id: NodeId) -> DType {
        self.builder.graph.node(id).dtype
    }

    pub(super) fn shape(&self, id: NodeId) -> Shape {
        self.builder.graph.node(id).shape.clone()
    }

    /// The element type that a value brings along; numbers adapt and bring none.
    fn own_dtype(&self, value: &Value<'a>) -> Option<DType> {
        match value {
            Value::Node(id) => Some(self.dtype(*id)),
            Value::Vector(_) => Some(DType::F32),
            Value::Bool(_) => Some(DType::Bool),
            _ => None,
        }
    }

    /// The element type that `values` have in common when they meet in one operation.
    fn common_dtype(&self, values: &[&Value<'a>]) -> DType {
        let own = values.iter().find_map(|v| self.own_dtype(v));
        let float = values.iter().any(|v| matches!(v, Value::Float(_)));
        own.unwrap_or(if float { DType::F32 } else { DType::I32 })
    }

    /// `value` as a tensor; numbers take the element type `dtype`.
    pub(super) fn node_of(&mut self, value: &Value<'a>, dtype: DType, at: &'a str) -> Eval<NodeId> {
        let literal = match (value, dtype) {
            (Value::Node(id), _) => return Ok(*id),
            (Value::Vector(all), _) => return self.table(all, at),
            (Value::Dim(d), _) => {
                let size = self.leaf(at, Op::Size(d.clone()))?;
                return if dtype == DType::F32 { self.push(at, Op::Cast(DType::F32), &[size]) } else { Ok(size) };
            }
            (Value::Bool(b), DType::Bool) => Literal::Bool(*b),
            (Value::Int(v), DType::I32) => match i32::try_from(*v) {
                Ok(v) => Literal::I32(v),
                Err(_) => return Err(self.fail(at, format!("{v} does not fit into an i32 tensor"))),
            },
            (Value::Int(_) | Value::Float(_), DType::F32) => {
                let number = value.as_number().unwrap_or_default() as f32;
                if !number.is_finite() {
                    return Err(self.fail(at, "this number does not fit into an f32 tensor"));
                }
                Literal::f32(number)
            }
            (Value::Float(v), DType::I32) => {
                let hint = Some("convert the tensor with `f32(x)`".to_string());
                return Err(self.fail_with(at, format!("cannot combine {v:?} with an i32 tensor"), hint));
            }
            _ => {
                let found = self.describe(value);
                return Err(self.fail(at, format!("{found} cannot be used as a tensor of {dtype}")));
            }
        };
        let result = self.builder.constant(literal);
        self.at(at, result)
    }

    /// `value` as a tensor of its natural element type.
    pub(super) fn natural_node(&mut self, value: &Value<'a>, at: &'a str) -> Eval<NodeId> {
        let dtype = self.common_dtype(&[value]);
        self.node_of(value, dtype, at)
    }

    /// A vector as an f32 tensor.
    pub(super) fn table(&mut self, all: &[f64], at: &'a str) -> Eval<NodeId> {
        let bits: Vec<Bits> = all.iter().map(|v| Bits::new(*v as f32)).collect();
        if bits.iter().any(|b| !b.get().is_finite()) {
            return Err(self.fail(at, "an element of this vector does not fit into an f32 tensor"));
        }
        self.leaf(at, Op::Table(bits))
    }

    /// `select(condition, a, b)`.
    pub(super) fn select(&mut self, condition: NodeId, a: &Value<'a>, b: &Value<'a>, at: &'a str) -> Eval<Value<'a>> {
        let dtype = self.common_dtype(&[a, b]);
        let (a, b) = (self.node_of(a, dtype, at)?, self.node_of(b, dtype, at)?);
        self.push(at, Op::Select, &[condition, a, b]).map(Value::Node)
    }

    pub(super) fn apply_unary(&mut self, op: Unary, value: &Value<'a>, at: &'a str) -> Eval<Value<'a>> {
        let folded = arith::unary(op, value);
        if let Some(v) = self.at(at, folded)? {
            return Ok(v);
        }
        let dtype = match value {
            Value::Dim(_) if op != Unary::Abs => DType::F32,
            _ => self.common_dtype(&[value]),
        };
        let x = self.node_of(value, dtype, at)?;
        self.push(at, Op::Unary(op), &[x]).map(Value::Node)
    }

    pub(super) fn apply_binary(&mut self, op: Operator, a: &Value<'a>, b: &Value<'a>, at: &'a str) -> Eval<Value<'a>> {
        let folded = match arith::binary(op, a, b) {
            Ok(v) => v,
            Err(message) => {
                let (x, y) = (self.describe(a), self.describe(b));
                return Err(self.fail(at, format!("{message}: {x} and {y}")));
            }
        };
        if let Some(v) = folded {
            return Ok(v);
        }
        if matches!((a, b), (Value::Dim(_) | Value::Int(_), Value::Dim(_) | Value::Int(_)))
            && matches!(op, Operator::FloorDiv | Operator::Op(Binary::Div))
        {
            let (x, y) = (self.describe(a), self.describe(b));
            return Err(self.fail(at, format!("{x} is not divisible by {y} for every value")));
        }
        let dtype = self.common_dtype(&[a, b]);
        let (x, y) = (self.node_of(a, dtype, at)?, self.node_of(b, dtype, at)?);
        let (dx, dy) = (self.dtype(x), self.dtype(y));
        if dx != dy {
            let hint = Some("convert one of them with `f32(x)` or `i32(x)`".to_string());
            return Err(self.fail_with(at, format!("cannot combine a tensor of {dx} with a tensor of {dy}"), hint));
        }
        match op {
            Operator::Op(op) => self.push(at, Op::Binary(op), &[x, y]).map(Value::Node),
            Operator::FloorDiv if dx == DType::F32 => {
                let quotient = self.push(at, Op::Binary(Binary::Div), &[x, y])?;
                self.push(at, Op::Unary(Unary::Floor), &[quotient]).map(Value::Node)
            }
            Operator::FloorDiv => Err(self.fail(at, "`//` needs f32 tensors; `/` of i32 rounds towards zero")),
            Operator::In => Err(self.fail(at, "`in` needs a list on its right")),
        }
    }

    // ---- axes and indexing

    /// An axis of a tensor of this rank; negative ones count from the back.
    pub(super) fn axis(&mut self, axis: i64, rank: usize, at: &'a str) -> Eval<usize> {
        let n = rank as i64;
        if axis >= -n && axis < n {
            Ok(axis.rem_euclid(n) as usize)
        } else {
            Err(self.fail(at, format!("axis {axis} does not exist in a tensor of rank {rank}")))
        }
    }

    /// `value[items]`.
    pub(super) fn index(&mut self, expr: &Expr<'a>, value: Value<'a>, items: &[Item<'a>]) -> Eval<Value<'a>> {
        match (value, items) {
            (Value::Node(id), _) => self.index_tensor(expr, id, items),
            (Value::List(all), [Item::At(at)]) => {
                let i = self.eval_int(at)?;
                let n = all.len() as i64;
                match all.get(if i < 0 { i + n } else { i } as usize) {
                    Some(v) if i >= -n => Ok(v.clone()),
                    _ => Err(self.fail(at.text, format!("index {i} is outside of a list of {n}"))),
                }
            }
            (Value::List(all), [Item::Range(from, to)]) => {
                let (a, b) = self.list_range(from.as_ref(), to.as_ref(), all.len())?;
                Ok(Value::List(all[a..b].to_vec()))
            }
            (Value::Vector(all), [Item::At(at)]) => {
                let (i, n) = (self.eval_int(at)?, all.len() as i64);
                match all.get(if i < 0 { i + n } else { i } as usize) {
                    Some(v) if i >= -n => Ok(Value::Float(*v)),
                    _ => Err(self.fail(at.text, format!("index {i} is outside of a vector of {n} numbers"))),
                }
            }
            (Value::Vector(all), [Item::Range(from, to)]) => {
                let (a, b) = self.list_range(from.as_ref(), to.as_ref(), all.len())?;
                Ok(Value::Vector(all[a..b].to_vec()))
            }
            (other, _) => {
                let found = self.describe(&other);
                Err(self.fail(expr.text, format!("{found} cannot be indexed like this")))
            }
        }
    }

    /// The bounds of a slice of a list, within it as in Python.
    fn list_range(&mut self, from: Option<&Expr<'a>>, to: Option<&Expr<'a>>, len: usize) -> Eval<(usize, usize)> {
        let n = len as i64;
        let clamp = |v: i64| (if v < 0 { v.saturating_add(n) } else { v }).clamp(0, n) as usize;
        let a = match from {
            Some(e) => clamp(self.eval_int(e)?),
            None => 0,
        };
        let b = match to {
            Some(e) => clamp(self.eval_int(e)?),
            None => len,
        };
        Ok((a, b.max(a)))
    }

    fn index_tensor(&mut self, expr: &Expr<'a>, id: NodeId, items: &[Item<'a>]) -> Eval<Value<'a>> {
        let rank = self.shape(id).len();
        let rests = items.iter().filter(|i| matches!(i, Item::Rest)).count();
        let given = items.len() - rests;
        if rests > 1 || given > rank {
            let shape = show_shape(&self.shape(id));
            return Err(self.fail(expr.text, format!("{given} indices are too many for a tensor {shape}")));
        }
        let (mut node, mut axis) = (id, 0);
        let mut dropped = Vec::new();
        for item in items {
            match item {
                Item::Rest => axis += rank - given,
                Item::Range(from, to) => {
                    let len = self.shape(node)[axis].clone();
                    let start = self.position(from.as_ref(), &len, Dim::constant(0))?;
                    let end = self.position(to.as_ref(), &len, len.clone())?;
                    node = self.slice(node, axis, start.clone(), &end - &start, expr.text)?;
                    axis += 1;
                }
                Item::At(at) => {
                    let len = self.shape(node)[axis].clone();
                    let start = self.position(Some(at), &len, Dim::constant(0))?;
                    node = self.slice(node, axis, start, Dim::constant(1), expr.text)?;
                    dropped.push(axis);
                    axis += 1;
                }
            }
        }
        if !dropped.is_empty() {
            let shape = self.shape(node);
            let kept = shape.into_iter().enumerate().filter(|(i, _)| !dropped.contains(i)).map(|(_, d)| d).collect();
            node = self.push(expr.text, Op::Reshape(kept), &[node])?;
        }
        Ok(Value::Node(node))
    }

    /// A position on an axis of length `len`; negative numbers count from its end.
    fn position(&mut self, expr: Option<&Expr<'a>>, len: &Dim, default: Dim) -> Eval<Dim> {
        let Some(expr) = expr else { return Ok(default) };
        let dim = self.eval_dim(expr)?;
        Ok(if dim.as_const().is_some_and(|v| v < 0) { len + &dim } else { dim })
    }

    /// A part of an axis; all of it is no node.
    pub(super) fn slice(&mut self, x: NodeId, axis: usize, start: Dim, len: Dim, at: &'a str) -> Eval<NodeId> {
        let whole = self.shape(x)[axis].clone();
        if start.as_const() == Some(0) && len == whole {
            return Ok(x);
        }
        let outside = |v: Option<i64>| v.is_some_and(|v| v < 0);
        let behind = (&whole - &(&start + &len)).as_const();
        if outside(start.as_const()) || outside(len.as_const()) || outside(behind) {
            let end = &start + &len;
            return Err(self.fail(at, format!("the slice {start}:{end} is outside of an axis of length {whole}")));
        }
        self.push(at, Op::Slice { axis: axis as u32, start, len }, &[x])
    }
}
