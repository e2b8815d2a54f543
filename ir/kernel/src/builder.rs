//! Builds kernels.
//!
//! ```
//! use gristmill_kernel::{Bind, Builder, Expr, F32, GroupOp, f};
//! // y[row] = sum of x[row, 0..n], one workgroup of 64 threads per row.
//! let mut b = Builder::new("row_sum");
//! let x = b.buffer("x", F32, false);
//! let y = b.buffer("y", F32, true);
//! let row = b.grid_axis("row", Expr::symbol("B"));
//! let lane = b.group_axis("lane", 64);
//! let sum = b.var("sum", f(0.0));
//! b.for_("column", &lane, 1000, 64, Bind::Serial, |b, column| {
//!     b.add(sum, x.at(&row * 1000 + column));
//! });
//! b.group_reduce(GroupOp::Add, sum);
//! b.if_(lane.equals(0), |b| b.store(y, &row, sum));
//! let kernel = b.finish(&["B".to_string()]).unwrap();
//! assert_eq!(kernel.workgroup_size(), 64);
//! ```

use std::collections::BTreeSet;

use gristmill_graph::Binary;

use crate::caps::Caps;
use crate::kernel::{
    Axis, Bind, Buf, Buffer, Expr, GroupOp, Kernel, Sh, Shared, Stmt, Tab, Table, Type, U32, Var, VarDecl,
};
use crate::simplify::Facts;
use crate::verify::verify;

/// Builds a [`Kernel`] statement by statement. It simplifies index arithmetic with the known bounds of axes and loops.
/// [`Builder::finish`] reports all mistakes, such as wrong types.
#[derive(Clone, Debug)]
pub struct Builder {
    kernel: Kernel,
    /// Statement lists under construction; the last is the innermost.
    blocks: Vec<Vec<Stmt>>,
    facts: Facts,
    mutable: BTreeSet<Var>,
    error: Option<String>,
}

impl Builder {
    /// An empty kernel with this name (a valid identifier).
    pub fn new(name: &str) -> Self {
        Builder {
            kernel: Kernel { name: name.to_string(), ..Kernel::default() },
            blocks: vec![Vec::new()],
            facts: Facts::default(),
            mutable: BTreeSet::new(),
            error: None,
        }
    }

    /// Adds a line to the header.
    pub fn doc(&mut self, line: impl Into<String>) {
        self.kernel.doc.push(line.into());
    }

    /// Declares a buffer. The order of declarations is the binding order.
    pub fn buffer(&mut self, name: &str, elem: Type, writable: bool) -> Buf {
        self.kernel.buffers.push(Buffer { name: name.to_string(), elem, writable });
        Buf(self.kernel.buffers.len() as u32 - 1)
    }

    /// Declares an array that the threads of a workgroup share.
    pub fn shared(&mut self, name: &str, elem: Type, len: u32) -> Sh {
        self.kernel.shared.push(Shared { name: name.to_string(), elem, len });
        Sh(self.kernel.shared.len() as u32 - 1)
    }

    /// Declares a constant array. Equal arrays are declared once.
    pub fn table(&mut self, name: &str, values: &[f32]) -> Tab {
        let known = self.kernel.tables.iter().position(|t| t.values == values);
        let index = known.unwrap_or_else(|| {
            self.kernel.tables.push(Table { name: name.to_string(), values: values.to_vec() });
            self.kernel.tables.len() - 1
        });
        Tab(index as u32)
    }

    /// Adds an axis over workgroups and returns its index. The last axis varies fastest. An axis of length 1 is left
    /// out.
    pub fn grid_axis(&mut self, name: &str, extent: impl Into<Expr>) -> Expr {
        let extent = self.facts.simplify(extent.into());
        if extent == Expr::U32(1) {
            return Expr::U32(0);
        }
        let var = self.declare(name, U32);
        self.bound_below(var, &extent);
        self.kernel.grid.push(Axis { name: name.to_string(), var, extent });
        self.facts.simplify(Expr::Var(var))
    }

    /// Adds an axis over the threads of a group and returns its index. The last axis varies fastest.
    pub fn group_axis(&mut self, name: &str, n: u32) -> Expr {
        let var = self.declare(name, U32);
        self.bound_below(var, &Expr::U32(n));
        self.kernel.group.push(Axis { name: name.to_string(), var, extent: Expr::U32(n) });
        self.facts.simplify(Expr::Var(var))
    }

    /// Asserts that a symbol is at most `max`, for simplification.
    pub fn bound_symbol(&mut self, name: &str, max: u32) {
        self.facts.bound_symbol(name, max);
    }

    /// Gives a value a name. Literals and constant registers are returned as they are.
    pub fn let_(&mut self, name: &str, value: impl Into<Expr>) -> Expr {
        let value = self.facts.simplify(value.into());
        match value {
            Expr::U32(_) | Expr::F32(_) | Expr::I32(_) | Expr::Bool(_) => return value,
            Expr::Var(v) if !self.mutable.contains(&v) => return value,
            _ => {}
        }
        let ty = self.type_of(&value);
        let var = self.declare(name, ty);
        // A definition through a register or memory that may change later must not be looked through.
        let fixed = !value.any(&mut |e| match e {
            Expr::Var(v) => self.mutable.contains(v),
            e => matches!(e, Expr::Load(..) | Expr::LoadShared(..)),
        });
        if ty == U32 && fixed {
            self.facts.define(var, &value);
        }
        self.push(Stmt::Let(var, value));
        Expr::Var(var)
    }

    /// Declares a register that may be assigned.
    pub fn var(&mut self, name: &str, init: impl Into<Expr>) -> Var {
        let init = self.facts.simplify(init.into());
        let ty = self.type_of(&init);
        let var = self.declare(name, ty);
        self.mutable.insert(var);
        self.push(Stmt::Mut(var, init));
        var
    }

    /// Assigns a register declared by [`Builder::var`].
    pub fn assign(&mut self, var: Var, value: impl Into<Expr>) {
        let value = self.facts.simplify(value.into());
        self.push(Stmt::Assign(var, value));
    }

    /// `var = var + value`.
    pub fn add(&mut self, var: Var, value: impl Into<Expr>) {
        self.assign(var, Expr::Var(var) + value.into());
    }

    /// Writes an element of a buffer.
    pub fn store(&mut self, buf: Buf, index: impl Into<Expr>, value: impl Into<Expr>) {
        let (index, value) = (self.facts.simplify(index.into()), self.facts.simplify(value.into()));
        self.push(Stmt::Store(buf, index, value));
    }

    /// Writes an element of a shared array.
    pub fn store_shared(&mut self, sh: Sh, index: impl Into<Expr>, value: impl Into<Expr>) {
        let (index, value) = (self.facts.simplify(index.into()), self.facts.simplify(value.into()));
        self.push(Stmt::StoreShared(sh, index, value));
    }

    /// A loop over `begin .. end` by `step`; the closure gets the index. A loop that runs exactly once becomes its
    /// body, and one that never runs becomes nothing.
    pub fn for_(
        &mut self,
        axis: &str,
        begin: impl Into<Expr>,
        end: impl Into<Expr>,
        step: impl Into<Expr>,
        bind: Bind,
        body: impl FnOnce(&mut Builder, Expr),
    ) {
        let simplify = |e: Expr| self.facts.simplify(e);
        let (begin, end, step) = (simplify(begin.into()), simplify(end.into()), simplify(step.into()));
        if let (Expr::U32(from), Expr::U32(to), Expr::U32(by)) = (&begin, &end, &step) {
            if from >= to {
                return;
            }
            if to - from <= *by {
                return body(self, begin);
            }
        }
        let var = self.declare(axis, U32);
        self.bound_below(var, &end);
        self.blocks.push(Vec::new());
        body(self, Expr::Var(var));
        let body = self.blocks.pop().unwrap_or_default();
        self.push(Stmt::Loop { axis: axis.to_string(), var, begin, end, step, bind, body });
    }

    /// A conditional. A constant condition is resolved.
    pub fn if_(&mut self, condition: impl Into<Expr>, then: impl FnOnce(&mut Builder)) {
        self.if_else(condition, then, |_| {});
    }

    /// A conditional with an alternative.
    pub fn if_else(
        &mut self,
        condition: impl Into<Expr>,
        then: impl FnOnce(&mut Builder),
        otherwise: impl FnOnce(&mut Builder),
    ) {
        let condition = self.facts.simplify(condition.into());
        match condition {
            Expr::Bool(true) => return then(self),
            Expr::Bool(false) => return otherwise(self),
            _ => {}
        }
        let mut learned = Vec::new();
        self.learn(&condition, &mut learned);
        self.blocks.push(Vec::new());
        then(self);
        let then = self.blocks.pop().unwrap_or_default();
        for (var, before) in learned.into_iter().rev() {
            self.facts.restore(var, before);
        }
        self.blocks.push(Vec::new());
        otherwise(self);
        let otherwise = self.blocks.pop().unwrap_or_default();
        if !then.is_empty() || !otherwise.is_empty() {
            self.push(Stmt::If(condition, then, otherwise));
        }
    }

    /// A barrier for all threads of the workgroup.
    pub fn barrier(&mut self) {
        self.push(Stmt::Barrier);
    }

    /// Combines a register over the threads that differ only in the innermost group axis.
    pub fn group_reduce(&mut self, op: GroupOp, var: Var) {
        self.push(Stmt::GroupReduce(op, var));
    }

    /// Adds a comment.
    pub fn comment(&mut self, text: impl Into<String>) {
        self.push(Stmt::Comment(text.into()));
    }

    /// Simplifies an expression with the known facts about axes, loops and named values.
    pub fn simplify(&self, e: impl Into<Expr>) -> Expr {
        self.facts.simplify(e.into())
    }

    /// The facts known so far.
    pub fn facts(&self) -> &Facts {
        &self.facts
    }

    /// The unfinished kernel, for types of expressions: `expr.ty(b.kernel())`.
    pub fn kernel(&self) -> &Kernel {
        &self.kernel
    }

    /// The finished and verified kernel. `symbols` are all symbols of the program, in the order of its uniform struct.
    ///
    /// # Errors
    /// All mistakes, one per line.
    pub fn finish(mut self, symbols: &[String]) -> Result<Kernel, String> {
        if let Some(error) = self.error {
            return Err(format!("kernel `{}`: {error}", self.kernel.name));
        }
        self.kernel.symbols = symbols.to_vec();
        self.kernel.body = self.blocks.pop().unwrap_or_default();
        verify(&self.kernel, &Caps::ANY)?;
        Ok(self.kernel)
    }

    fn push(&mut self, stmt: Stmt) {
        if let Some(block) = self.blocks.last_mut() {
            block.push(stmt);
        }
    }

    fn declare(&mut self, name: &str, ty: Type) -> Var {
        self.kernel.vars.push(VarDecl { name: name.to_string(), ty });
        Var(self.kernel.vars.len() as u32 - 1)
    }

    fn type_of(&mut self, e: &Expr) -> Type {
        e.ty(&self.kernel).unwrap_or_else(|error| {
            self.error.get_or_insert(error);
            U32
        })
    }

    fn bound_below(&mut self, var: Var, end: &Expr) {
        let max = self.facts.upper(end);
        if max < u32::MAX {
            self.facts.bound(var, max.saturating_sub(1));
        }
    }

    /// Inside `if var < n`, `var` is at most `n - 1`.
    fn learn(&mut self, condition: &Expr, learned: &mut Vec<(Var, Option<u32>)>) {
        match condition {
            Expr::Binary(Binary::And, a, b) => {
                self.learn(a, learned);
                self.learn(b, learned);
            }
            Expr::Binary(Binary::Lt, a, b) => {
                if let Expr::Var(v) = **a
                    && !self.mutable.contains(&v)
                {
                    let max = self.facts.upper(b).saturating_sub(1).min(self.facts.upper(a));
                    learned.push((v, self.facts.bound(v, max)));
                }
            }
            _ => {}
        }
    }
}
