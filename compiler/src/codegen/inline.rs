//! Inlines values into a kernel: views become index arithmetic, and element-wise nodes become expressions.
//!
//! [`Ctx::value`] returns the expression for one element of a node. It stops at memory (buffers, weights, states,
//! inputs) and computes everything that follows in place.

use gristmill_graph::{DType, Dim, Literal, Node, NodeId, Op, Precision};
use gristmill_kernel::WeightFormat;
use gristmill_kernel::quant::unpack_at;
use gristmill_kernel::{self as k, Buf, Expr, Scalar, Type, f, i, u};

use super::context::{Lowering, Memory, Place};
use super::index::{dim_expr, through_broadcast};
use super::kernel::{At, Ctx};
use super::views::{below_view, resolve_views};
use crate::error::CompileError;

impl Ctx<'_> {
    /// One element of a node. If it cannot be computed in place, [`Ctx::built`] returns the error.
    pub fn value(&mut self, id: NodeId, at: &At) -> Expr {
        let value = Pull { ctx: self, memo: Vec::new() }.value(id, at);
        self.settle(value, placeholder(self.low.graph.node(id).dtype))
    }

    /// One element of the node that this kernel computes, although it has memory of its own. If it cannot be computed,
    /// [`Ctx::built`] returns the error.
    pub fn compute(&mut self, id: NodeId, at: &At) -> Expr {
        let value = Pull { ctx: self, memo: Vec::new() }.compute(id, at);
        self.settle(value, placeholder(self.low.graph.node(id).dtype))
    }
}

/// A value of this type, for a kernel that will be rejected.
fn placeholder(dtype: DType) -> Expr {
    literal(match dtype {
        DType::F32 => Literal::f32(0.0),
        DType::I32 => Literal::I32(0),
        DType::Bool => Literal::Bool(false),
    })
}

/// The expression for an element, or why it cannot be inlined.
type Pulled = Result<Expr, CompileError>;

/// Inlines one straight-line computation. The same element of the same node is computed once.
struct Pull<'c, 'a> {
    ctx: &'c mut Ctx<'a>,
    memo: Vec<(NodeId, Vec<Expr>, Expr)>,
}

impl Pull<'_, '_> {
    fn value(&mut self, id: NodeId, at: &At) -> Pulled {
        if let Some((_, _, e)) = self.memo.iter().find(|(n, index, _)| *n == id && *index == at.index) {
            return Ok(e.clone());
        }
        let e = match self.ctx.low.place(id) {
            Some(place) => self.load(id, place, at)?,
            None => self.compute(id, at)?,
        };
        let node = self.ctx.low.graph.node(id);
        let worth_a_name = !matches!(e, Expr::F32(_) | Expr::I32(_) | Expr::U32(_) | Expr::Bool(_) | Expr::Var(_))
            && !node.op.is_view()
            && self.ctx.low.users[id.index()].len() > 1;
        let e = if worth_a_name {
            let name = self.ctx.label(id);
            self.ctx.b.let_(&name, e)
        } else {
            e
        };
        self.memo.push((id, at.index.clone(), e.clone()));
        Ok(e)
    }

    fn compute(&mut self, id: NodeId, at: &At) -> Pulled {
        let low = self.ctx.low;
        let node = low.graph.node(id);
        Ok(match &node.op {
            Op::Const(l) => literal(*l),
            Op::Size(d) => dim_expr(d).cast(Scalar::I32),
            Op::Table(values) => {
                let values: Vec<f32> = values.iter().map(|x| x.get()).collect();
                let name = self.ctx.table_name(id);
                self.ctx.b.table(&name, &values).at(at.index[0].clone())
            }
            Op::Iota(_) => at.index[0].clone().cast(Scalar::I32),
            Op::Unary(op) => {
                let x = self.operand(id, 0, at)?;
                Expr::Unary(*op, Box::new(x))
            }
            Op::Binary(op) => {
                let (a, b) = (self.operand(id, 0, at)?, self.operand(id, 1, at)?);
                match (op, a, b) {
                    // A position within a range that starts at zero.
                    (gristmill_graph::Binary::Add, Expr::I32(0), x)
                    | (gristmill_graph::Binary::Add, x, Expr::I32(0)) => x,
                    (op, a, b) => Expr::Binary(*op, Box::new(a), Box::new(b)),
                }
            }
            Op::Select => {
                let c = self.operand(id, 0, at)?;
                let (a, b) = (self.operand(id, 1, at)?, self.operand(id, 2, at)?);
                c.select(a, b)
            }
            Op::Cast(t) => {
                let x = self.operand(id, 0, at)?;
                convert(x, low.graph.node(node.inputs[0]).dtype, *t)
            }
            Op::Reshape(_) | Op::Transpose(_) | Op::Broadcast(_) | Op::Slice { .. } | Op::Windows { .. } => {
                let Some(view) = node.op.view() else { return unlowered(node) };
                let (below, index) = below_view(low, id, view, at.index.clone());
                let (base, index) = resolve_views(low, below, index);
                self.value(base, &At::index(index))?
            }
            Op::Concat { axis } => self.concat(id, *axis as usize, at)?,
            Op::Pad { axis, before, value, .. } => {
                let a = *axis as usize;
                let inner = low.graph.node(node.inputs[0]).shape[a].clone();
                let shifted = at.index[a].clone() - dim_expr(before);
                let inside = at.index[a].clone().ge(dim_expr(before)).and(shifted.clone().lt(dim_expr(&inner)));
                let mut index = at.index.clone();
                index[a] = inside.clone().select(shifted, u(0));
                let x = self.value(node.inputs[0], &At::index(index))?;
                inside.select(x, literal(*value))
            }
            Op::Gather => self.gather(id, at)?,
            Op::TakeLast => {
                let picked = self.operand_at(node.inputs[1], &at.index)?;
                let mut index = at.index.clone();
                let last = index.len() - 1;
                index[last] = picked.cast(Scalar::U32);
                self.value(node.inputs[0], &At::index(index))?
            }
            // These are in memory, so they were loaded above.
            Op::Input(_) | Op::Weight(_) | Op::StateRead(_) | Op::StatePrevious(_) | Op::Dequantize => {
                return unlowered(node);
            }
            // Anchors have kernels of their own; all other kernels load their results.
            Op::Reduce { .. } | Op::ArgMax | Op::TopK { .. } | Op::MatMul { .. } | Op::QuantizeActivations => {
                return unlowered(node);
            }
            Op::StateAppend(_) | Op::StateKeep(_) | Op::StateUpdate(_) => return unlowered(node),
            Op::Softmax | Op::Norm { .. } | Op::Linear { .. } | Op::Attention { .. } => return unlowered(node),
        })
    }

    /// Operand `n` of an element-wise node, broadcast to the node's shape.
    fn operand(&mut self, id: NodeId, n: usize, at: &At) -> Pulled {
        let low = self.ctx.low;
        let node = low.graph.node(id);
        let input = node.inputs[n];
        let from = &low.graph.node(input).shape;
        if *from == node.shape {
            return self.value(input, at);
        }
        self.value(input, &At::index(through_broadcast(&at.index, from)))
    }

    fn operand_at(&mut self, id: NodeId, index: &[Expr]) -> Pulled {
        self.value(id, &At::index(index.to_vec()))
    }

    /// Binds a computed value to a name, so that printed lines stay short.
    fn named(&mut self, id: NodeId, e: Expr) -> Expr {
        let name = self.ctx.label(id);
        self.ctx.b.let_(&name, e)
    }

    /// Both operands are loaded, so the index of the one that is not selected is clamped to a valid position.
    fn concat(&mut self, id: NodeId, axis: usize, at: &At) -> Pulled {
        let low = self.ctx.low;
        let node = low.graph.node(id);
        let mut start = Dim::constant(0);
        let mut result: Option<Expr> = None;
        for input in &node.inputs {
            let len = low.graph.node(*input).shape[axis].clone();
            let position = at.index[axis].clone();
            let mut index = at.index.clone();
            let e = match result.take() {
                None => {
                    index[axis] = position.min(dim_expr(&len) - u(1));
                    self.operand_at(*input, &index)?
                }
                Some(before) => {
                    let begin = dim_expr(&start);
                    let here = position.clone().ge(begin.clone());
                    let offset = here.clone().select(position - begin, u(0)).min(dim_expr(&len) - u(1));
                    index[axis] = offset;
                    let x = self.operand_at(*input, &index)?;
                    let before = self.named(node.inputs[0], before);
                    let x = self.named(*input, x);
                    here.select(x, before)
                }
            };
            result = Some(e);
            start = &start + &len;
        }
        result.ok_or_else(|| CompileError::unlowered(node, "operands"))
    }

    fn gather(&mut self, id: NodeId, at: &At) -> Pulled {
        let low = self.ctx.low;
        let node = low.graph.node(id);
        let (table, indices) = (node.inputs[0], node.inputs[1]);
        let rank = low.graph.node(indices).shape.len();
        let row = self.operand_at(indices, &at.index[..rank])?;
        let rows = &low.graph.node(table).shape[0] - &1i64.into();
        let last = match rows.as_const().and_then(|n| i32::try_from(n).ok()) {
            Some(n) => i(n),
            None => dim_expr(&rows).cast(Scalar::I32),
        };
        let row = row.max(i(0)).min(last).cast(Scalar::U32);
        let row = self.ctx.b.let_("row", row);
        let mut index = vec![row];
        index.extend_from_slice(&at.index[rank..]);
        self.operand_at(table, &index)
    }

    fn load(&mut self, id: NodeId, place: Place, at: &At) -> Pulled {
        let low = self.ctx.low;
        let memory = low.memory(place, id);
        let name = self.ctx.label(id);
        let flat = match (&at.flat, place) {
            (Some(flat), Place::Value(_) | Place::Output(_) | Place::Input(_)) => flat.clone(),
            _ => low.flat(place, id, &at.index),
        };
        Ok(match memory {
            Memory::Dense(scalar) => {
                let buf = self.ctx.read(place, Type::scalar(scalar), &name);
                let e = Expr::Load(buf, Box::new(flat));
                if low.graph.node(id).dtype == DType::Bool { e.differs(i(0)) } else { e }
            }
            Memory::F16x2 => {
                let buf = self.ctx.read(place, k::U32, &name);
                half_of(buf, flat)
            }
            // Only linear layers read these, and they decode them themselves.
            Memory::Bytes => {
                return Err(CompileError::unlowered(low.graph.node(id), "elements: it is stored as bytes"));
            }
            Memory::Blocks(spec) => {
                let shape = &low.graph.node(id).shape;
                let (n, kk) = (const_dim(low, id, &shape[0])?, const_dim(low, id, &shape[1])?);
                let format = WeightFormat::new(Precision::Quant(spec), n, kk);
                let buf = self.ctx.read(place, format.elem(), &name);
                unpack_at(&mut self.ctx.b, buf, &format, at.index[0].clone(), at.index[1].clone())
            }
        })
    }
}

/// The error for an operation that has no inline form.
fn unlowered(node: &Node) -> Pulled {
    Err(CompileError::unlowered(node, "inlined form"))
}

/// Element `flat` of an f16 array with two elements per word.
pub fn half_of(buf: Buf, flat: Expr) -> Expr {
    let pair = Expr::UnpackF16x2(Box::new(Expr::Load(buf, Box::new(flat.shr(u(1))))));
    Expr::Lane(Box::new(pair), Box::new(flat.band(u(1))))
}

/// A dimension that must be constant, such as one of a weight, or the length of a row.
///
/// # Errors
/// An internal error if it is not constant.
pub fn const_dim(low: &Lowering<'_>, id: NodeId, d: &Dim) -> Result<u32, CompileError> {
    d.as_const().and_then(|v| u32::try_from(v).ok()).ok_or_else(|| {
        CompileError::Internal(format!("{}: expected a constant length, found {d}", low.graph.node(id).path))
    })
}

/// A literal as an expression.
pub fn literal(l: Literal) -> Expr {
    match l {
        Literal::F32(b) => f(b.get()),
        Literal::I32(v) => i(v),
        Literal::Bool(v) => Expr::Bool(v),
    }
}

/// Converts a value to another type.
pub fn convert(x: Expr, from: DType, to: DType) -> Expr {
    match (from, to) {
        (a, b) if a == b => x,
        (DType::F32, DType::Bool) => x.differs(f(0.0)),
        (DType::I32, DType::Bool) => x.differs(i(0)),
        (_, DType::F32) => x.cast(Scalar::F32),
        (_, DType::I32) => x.cast(Scalar::I32),
        (DType::Bool, DType::Bool) => x,
    }
}
