//! Pulling values into a kernel: views become index arithmetic, element-wise nodes become expressions.
//!
//! `Pull::value(id, index)` gives the expression for one element of a node. It stops at memory (buffers,
//! weights, states, inputs) and computes everything above it in place.

use gristmill_graph::{DType, Literal, NodeId, Op, Precision};
use gristmill_kernel::WeightFormat;
use gristmill_kernel::quant::unpack_at;
use gristmill_kernel::{self as k, Bind, Buf, Builder, Expr, Scalar, Type, f, i, u};

use super::count::{Count, grid_size};
use super::index::{dim_expr, through_broadcast, through_reshape};
use super::{Built, CAPACITY, Lowering, Memory, Place};
use crate::error::CompileError;

/// An element of a node: its index, and its row-major position where the reader has it at hand.
#[derive(Clone, Debug)]
pub struct At {
    /// One expression (u32) per axis.
    pub index: Vec<Expr>,
    /// `flatten(index)`, if that is already computed.
    pub flat: Option<Expr>,
}

impl At {
    /// Known by its index only.
    pub fn index(index: Vec<Expr>) -> Self {
        At { index, flat: None }
    }
}

/// A kernel under construction, with the memory that it binds.
pub struct Ctx<'a> {
    /// The graph around it.
    pub low: &'a Lowering<'a>,
    /// The kernel.
    pub b: Builder,
    /// What every buffer of the kernel is, in binding order.
    pub places: Vec<Place>,
    bound: Vec<(Place, Type, Buf)>,
    names: Vec<String>,
}

impl<'a> Ctx<'a> {
    /// Starts a kernel.
    pub fn new(low: &'a Lowering<'a>, name: &str) -> Self {
        let mut b = Builder::new(name);
        for symbol in &low.setting.model.symbols {
            b.bound_symbol(&symbol.name, u32::try_from(symbol.max).unwrap_or(u32::MAX));
        }
        Ctx { low, b, places: Vec::new(), bound: Vec::new(), names: Vec::new() }
    }

    /// Takes the builder out, so that its closures can be given this context with the builder back in it.
    pub(crate) fn take_builder(&mut self) -> Builder {
        std::mem::replace(&mut self.b, Builder::new(""))
    }

    /// A loop; see [`Builder::for_`].
    pub fn for_(
        &mut self,
        axis: &str,
        (begin, end, step): (Expr, Expr, u32),
        bind: Bind,
        body: impl FnOnce(&mut Self, Expr),
    ) {
        let mut b = self.take_builder();
        b.for_(axis, begin, end, u(step), bind, |b, position| {
            std::mem::swap(&mut self.b, b);
            body(self, position);
            std::mem::swap(&mut self.b, b);
        });
        self.b = b;
    }

    /// A conditional; see [`Builder::if_`].
    pub fn if_(&mut self, condition: Expr, then: impl FnOnce(&mut Self)) {
        let mut b = self.take_builder();
        b.if_(condition, |b| {
            std::mem::swap(&mut self.b, b);
            then(self);
            std::mem::swap(&mut self.b, b);
        });
        self.b = b;
    }

    /// The finished kernel with its grid.
    ///
    /// # Errors
    /// If the algorithm built something ill-typed, which is a bug.
    pub fn built(self, grid: &[Count]) -> Result<Built, CompileError> {
        let mut symbols: Vec<String> = self.low.setting.model.symbols.iter().map(|s| s.name.clone()).collect();
        symbols.push(CAPACITY.to_string());
        let kernel = self.b.finish(&symbols).map_err(CompileError::Internal)?;
        Ok(Built { kernel, places: self.places, grid: grid_size(grid) })
    }

    /// Binds memory for reading as elements of `elem`; the same memory and element are bound once.
    pub fn read(&mut self, place: Place, elem: Type, name: &str) -> Buf {
        if let Some((_, _, buf)) = self.bound.iter().find(|(p, e, _)| *p == place && *e == elem) {
            return *buf;
        }
        self.bind(place, elem, name, false)
    }

    /// Binds memory for writing.
    pub fn write(&mut self, place: Place, elem: Type, name: &str) -> Buf {
        self.bind(place, elem, name, true)
    }

    fn bind(&mut self, place: Place, elem: Type, name: &str, writable: bool) -> Buf {
        let mut unique = name.to_string();
        let mut n = 2;
        while self.names.contains(&unique) {
            unique = format!("{name}_{n}");
            n += 1;
        }
        self.names.push(unique.clone());
        let buf = self.b.buffer(&unique, elem, writable);
        self.places.push(place);
        self.bound.push((place, elem, buf));
        buf
    }

    /// A name for a constant array, whatever the path of its node is.
    fn table_name(&self, id: NodeId) -> String {
        let label = self.label(id);
        if label.starts_with('v') && label[1..].chars().all(|c| c.is_ascii_digit()) { "table".into() } else { label }
    }

    /// A short name for a node: the last part of its path.
    /// A stored weight is called by its own name.
    pub fn label(&self, id: NodeId) -> String {
        let node = self.low.graph.node(id);
        match node.op {
            Op::Dequantize => self.label(node.inputs[0]),
            _ => label(&node.path),
        }
    }

    /// One element of a node.
    pub fn value(&mut self, id: NodeId, at: &At) -> Expr {
        Pull { ctx: self, memo: Vec::new() }.value(id, at)
    }

    /// One element of the node that this kernel computes, although it has a place.
    pub fn compute(&mut self, id: NodeId, at: &At) -> Expr {
        Pull { ctx: self, memo: Vec::new() }.compute(id, at)
    }

    /// A row (all axes but the last given) that can be read four aligned elements at a time; `None` where
    /// memory does not lie so.
    pub fn quad_row(&mut self, id: NodeId, lead: &[Expr]) -> Option<QuadRow> {
        if !self.quads(id) {
            return None;
        }
        let mut index = lead.to_vec();
        index.push(u(0));
        let (base, index) = resolve_views(self.low, id, index);
        let place = self.low.place(base)?;
        let flat = self.b.simplify(self.low.flat(place, base, &index));
        let first = super::index::divide_exact(&flat, 4)?;
        let name = self.label(base);
        let first = self.b.let_(&format!("{name}_row"), first);
        Some(self.quad_row_at(place, base, first))
    }

    /// As [`Ctx::quad_row`], for a node in plain memory whose row starts at quad `first`.
    pub fn quad_row_at(&mut self, place: Place, id: NodeId, first: Expr) -> QuadRow {
        let halves = self.low.memory(place, id) == Memory::Halves;
        let elem = if halves { Type::vec(Scalar::U32, 2) } else { k::VEC4F };
        let name = format!("{}4", self.label(id));
        QuadRow { buf: self.read(place, elem, &name), first, halves }
    }

    /// Whether [`Ctx::quad_row`] works for this node.
    pub fn quads(&self, id: NodeId) -> bool {
        contiguous_last(self.low, id, true).is_some_and(|base| self.quads_of(id, base))
    }

    /// Four elements of a row from `column` (a multiple of 4) on, where only quads lie together in memory, and not whole
    /// rows: what a filter sees of a picture. `None` where they do not.
    pub fn quad_at(&mut self, id: NodeId, lead: &[Expr], column: &Expr) -> Option<Expr> {
        let base = contiguous_last(self.low, id, false).filter(|base| self.quads_of(id, *base))?;
        let place = self.low.place(base)?;
        let mut index = lead.to_vec();
        // Written so that the sum below is a multiple of 4 for all to see.
        let quad = self.b.let_("quad", column / 4);
        index.push(quad * 4);
        let (_, index) = resolve_views(self.low, id, index);
        let flat = self.b.simplify(self.low.flat(place, base, &index));
        let first = super::index::divide_exact(&flat, 4)?;
        let first = self.b.let_("place", first);
        Some(self.quad_row_at(place, base, first).at(self, 0))
    }

    /// Whether rows of `id` and of the memory `base` below it are whole quads of floats.
    fn quads_of(&self, id: NodeId, base: NodeId) -> bool {
        let Some(place) = self.low.place(base) else { return false };
        let multiple_of_4 =
            |id: NodeId| self.low.graph.node(id).shape.last().and_then(|d| d.as_const()).is_some_and(|d| d % 4 == 0);
        multiple_of_4(id)
            && multiple_of_4(base)
            && matches!(self.low.memory(place, base), Memory::Dense(Scalar::F32) | Memory::Halves)
    }
}

/// A row of memory, in aligned groups of four elements.
pub struct QuadRow {
    buf: Buf,
    first: Expr,
    halves: bool,
}

impl QuadRow {
    /// Quad `q` of the row, as `vec4<f32>`.
    pub fn at(&self, ctx: &mut Ctx<'_>, q: impl Into<Expr>) -> Expr {
        let loaded = self.buf.at(&self.first + q.into());
        if !self.halves {
            return loaded;
        }
        let words = ctx.b.let_("words", loaded);
        let low = ctx.b.let_("low", words.lane(u(0)).halves_f16());
        let high = ctx.b.let_("high", words.lane(u(1)).halves_f16());
        Expr::vec([low.lane(u(0)), low.lane(u(1)), high.lane(u(0)), high.lane(u(1))])
    }
}

/// The last part of a path, as an identifier. Parts of a weight have the name of the weight.
pub fn label(path: &str) -> String {
    let whole = path.split('[').next().unwrap_or(path);
    let last = whole.rsplit(['.', '/']).next().unwrap_or(whole);
    let clean: String = last.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
    match clean.chars().next() {
        Some(c) if c.is_ascii_alphabetic() => clean,
        _ => format!("v{clean}"),
    }
}

/// Follows views down to memory (or to the first node that is not a view).
pub fn resolve_views(low: &Lowering<'_>, mut id: NodeId, mut index: Vec<Expr>) -> (NodeId, Vec<Expr>) {
    while low.place(id).is_none() && low.graph.node(id).op.is_view() {
        (id, index) = below_view(low, id, index);
    }
    (id, index)
}

/// The operand of a view, and the index in it.
fn below_view(low: &Lowering<'_>, id: NodeId, mut index: Vec<Expr>) -> (NodeId, Vec<Expr>) {
    let node = low.graph.node(id);
    let below = node.inputs[0];
    let from = &low.graph.node(below).shape;
    let index = match &node.op {
        Op::Reshape(_) => through_reshape(&index, &node.shape, from),
        Op::Transpose(perm) => {
            let mut out = vec![u(0); perm.len()];
            for (i, p) in perm.iter().enumerate() {
                out[*p as usize] = index[i].clone();
            }
            out
        }
        Op::Slice { axis, start, .. } => {
            let a = *axis as usize;
            index[a] = index[a].clone() + dim_expr(start);
            index
        }
        Op::Windows { axis, stride, dilation, .. } => {
            let a = *axis as usize;
            let inside = index.remove(a + 1);
            index[a] = index[a].clone() * u(*stride) + inside * u(*dilation);
            index
        }
        _ => through_broadcast(&index, from),
    };
    (below, index)
}

/// The memory below a chain of views that keep whole quads of the last axis together, and with `rows` also whole rows.
fn contiguous_last(low: &Lowering<'_>, mut id: NodeId, rows: bool) -> Option<NodeId> {
    while low.place(id).is_none() {
        let node = low.graph.node(id);
        let below = *node.inputs.first()?;
        let from = &low.graph.node(below).shape;
        let last = node.shape.last()?;
        let fine = match &node.op {
            Op::Transpose(perm) => perm.last().map(|p| *p as usize) == Some(perm.len() - 1),
            Op::Reshape(_) => {
                let source = from.last()?;
                let parts = || last.exact_div(source).is_some() && source.as_const().is_some_and(|n| n % 4 == 0);
                source == last || source.exact_div(last).is_some() || (!rows && parts())
            }
            Op::Broadcast(_) => from.last() == Some(last),
            Op::Slice { axis, start, .. } => {
                *axis as usize != node.shape.len() - 1 || start.as_const().is_some_and(|s| s % 4 == 0)
            }
            Op::Windows { axis, .. } => *axis as usize != from.len() - 1,
            _ => false,
        };
        if !fine {
            return None;
        }
        id = below;
    }
    Some(id)
}

/// One straight-line computation: the same element of the same node is computed once.
struct Pull<'c, 'a> {
    ctx: &'c mut Ctx<'a>,
    memo: Vec<(NodeId, Vec<Expr>, Expr)>,
}

impl Pull<'_, '_> {
    fn value(&mut self, id: NodeId, at: &At) -> Expr {
        if let Some((_, _, e)) = self.memo.iter().find(|(n, index, _)| *n == id && *index == at.index) {
            return e.clone();
        }
        let e = match self.ctx.low.place(id) {
            Some(place) => self.load(id, place, at),
            None => self.compute(id, at),
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
        e
    }

    fn compute(&mut self, id: NodeId, at: &At) -> Expr {
        let low = self.ctx.low;
        let node = low.graph.node(id);
        match &node.op {
            Op::Const(l) => literal(*l),
            Op::Size(d) => dim_expr(d).cast(Scalar::I32),
            Op::Table(values) => {
                let values: Vec<f32> = values.iter().map(|x| x.get()).collect();
                let name = self.ctx.table_name(id);
                self.ctx.b.table(&name, &values).at(at.index[0].clone())
            }
            Op::Iota(_) => at.index[0].clone().cast(Scalar::I32),
            Op::Unary(op) => {
                let x = self.operand(id, 0, at);
                Expr::Unary(*op, Box::new(x))
            }
            Op::Binary(op) => {
                let (a, b) = (self.operand(id, 0, at), self.operand(id, 1, at));
                match (op, a, b) {
                    // A position in a stretch that begins at zero.
                    (gristmill_graph::Binary::Add, Expr::I32(0), x)
                    | (gristmill_graph::Binary::Add, x, Expr::I32(0)) => x,
                    (op, a, b) => Expr::Binary(*op, Box::new(a), Box::new(b)),
                }
            }
            Op::Select => {
                let c = self.operand(id, 0, at);
                let (a, b) = (self.operand(id, 1, at), self.operand(id, 2, at));
                c.select(a, b)
            }
            Op::Cast(t) => {
                let x = self.operand(id, 0, at);
                convert(x, low.graph.node(node.inputs[0]).dtype, *t)
            }
            op if op.is_view() => {
                let (below, index) = below_view(low, id, at.index.clone());
                let (base, index) = resolve_views(low, below, index);
                self.value(base, &At::index(index))
            }
            Op::Concat { axis } => self.concat(id, *axis as usize, at),
            Op::Pad { axis, before, value, .. } => {
                let a = *axis as usize;
                let inner = low.graph.node(node.inputs[0]).shape[a].clone();
                let shifted = at.index[a].clone() - dim_expr(before);
                let inside = at.index[a].clone().ge(dim_expr(before)).and(shifted.clone().lt(dim_expr(&inner)));
                let mut index = at.index.clone();
                index[a] = inside.clone().select(shifted, u(0));
                let x = self.value(node.inputs[0], &At::index(index));
                inside.select(x, literal(*value))
            }
            Op::Gather => self.gather(id, at),
            Op::TakeLast => {
                let picked = self.operand_at(node.inputs[1], &at.index);
                let mut index = at.index.clone();
                let last = index.len() - 1;
                index[last] = picked.cast(Scalar::U32);
                self.value(node.inputs[0], &At::index(index))
            }
            // Dequantize and leaves are memory; anchors are memory or the kernel being built.
            _ => f(0.0),
        }
    }

    /// Operand `n` of an element-wise node, broadcast to the node's shape.
    fn operand(&mut self, id: NodeId, n: usize, at: &At) -> Expr {
        let low = self.ctx.low;
        let node = low.graph.node(id);
        let input = node.inputs[n];
        let from = &low.graph.node(input).shape;
        if *from == node.shape {
            return self.value(input, at);
        }
        self.value(input, &At::index(through_broadcast(&at.index, from)))
    }

    fn operand_at(&mut self, id: NodeId, index: &[Expr]) -> Expr {
        self.value(id, &At::index(index.to_vec()))
    }

    /// Gives a computed value a name, so that lines stay short.
    fn named(&mut self, id: NodeId, e: Expr) -> Expr {
        let name = self.ctx.label(id);
        self.ctx.b.let_(&name, e)
    }

    /// Both sides are computed, so the side that is not chosen reads a place that exists.
    fn concat(&mut self, id: NodeId, axis: usize, at: &At) -> Expr {
        let low = self.ctx.low;
        let node = low.graph.node(id);
        let mut start = gristmill_graph::Dim::constant(0);
        let mut result: Option<Expr> = None;
        for input in &node.inputs {
            let len = low.graph.node(*input).shape[axis].clone();
            let position = at.index[axis].clone();
            let mut index = at.index.clone();
            let e = match result.take() {
                None => {
                    index[axis] = position.min(dim_expr(&len) - u(1));
                    self.operand_at(*input, &index)
                }
                Some(before) => {
                    let begin = dim_expr(&start);
                    let here = position.clone().ge(begin.clone());
                    let offset = here.clone().select(position - begin, u(0)).min(dim_expr(&len) - u(1));
                    index[axis] = offset;
                    let x = self.operand_at(*input, &index);
                    let before = self.named(node.inputs[0], before);
                    let x = self.named(*input, x);
                    here.select(x, before)
                }
            };
            result = Some(e);
            start = &start + &len;
        }
        result.unwrap_or(f(0.0))
    }

    fn gather(&mut self, id: NodeId, at: &At) -> Expr {
        let low = self.ctx.low;
        let node = low.graph.node(id);
        let (table, indices) = (node.inputs[0], node.inputs[1]);
        let rank = low.graph.node(indices).shape.len();
        let row = self.operand_at(indices, &at.index[..rank]);
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

    fn load(&mut self, id: NodeId, place: Place, at: &At) -> Expr {
        let low = self.ctx.low;
        let memory = low.memory(place, id);
        let name = self.ctx.label(id);
        let flat = match (&at.flat, place) {
            (Some(flat), Place::Value(_) | Place::Output(_) | Place::Input(_)) => flat.clone(),
            _ => low.flat(place, id, &at.index),
        };
        match memory {
            Memory::Dense(scalar) => {
                let buf = self.ctx.read(place, Type::scalar(scalar), &name);
                let e = Expr::Load(buf, Box::new(flat));
                if low.graph.node(id).dtype == DType::Bool { e.differs(i(0)) } else { e }
            }
            Memory::Halves => {
                let buf = self.ctx.read(place, k::U32, &name);
                half_of(buf, flat)
            }
            // Only linear layers read them, and these know how.
            Memory::Bytes => f(0.0),
            Memory::Blocks(spec) => {
                let shape = &low.graph.node(id).shape;
                let (n, kk) = (const_dim(&shape[0]), const_dim(&shape[1]));
                let format = WeightFormat::new(Precision::Quant(spec), n, kk);
                let buf = self.ctx.read(place, format.elem(), &name);
                unpack_at(&mut self.ctx.b, buf, &format, at.index[0].clone(), at.index[1].clone())
            }
        }
    }
}

/// Element `flat` of an array of halves, two in a word.
pub fn half_of(buf: Buf, flat: Expr) -> Expr {
    let pair = Expr::HalvesF16(Box::new(Expr::Load(buf, Box::new(flat.shr(u(1))))));
    Expr::Lane(Box::new(pair), Box::new(flat.band(u(1))))
}

/// A constant dimension as u32; weights have no others.
pub fn const_dim(d: &gristmill_graph::Dim) -> u32 {
    d.as_const().and_then(|v| u32::try_from(v).ok()).unwrap_or(0)
}

/// A literal.
pub fn literal(l: Literal) -> Expr {
    match l {
        Literal::F32(b) => f(b.get()),
        Literal::I32(v) => i(v),
        Literal::Bool(v) => Expr::Bool(v),
    }
}

/// Conversion between value types.
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
