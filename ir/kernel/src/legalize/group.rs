//! Reductions over the threads of a workgroup.

use gristmill_graph::Binary;

use super::Legalizer;
use crate::expr::u;
use crate::kernel::{Bind, Expr, GroupOp, Sh, Shared, Stmt, Type, U32, Var};
use crate::types::{reduce_width, var_type};

/// Smallest subgroup that a target may have; it bounds how many results meet.
const SMALLEST_SUBGROUP: u32 = 4;
/// Largest subgroup that a target may have. A reduction over an inner axis that is a multiple of it never shares
/// a subgroup with its neighbours.
const LARGEST_SUBGROUP: u32 = 128;

/// The threads of one reduction.
struct Span {
    /// Name and extent of the innermost axis.
    axis: String,
    extent: u32,
    /// Threads in the workgroup.
    threads: u32,
    /// The index on the innermost axis.
    inner: Expr,
    /// The index of the thread in the workgroup.
    index: Expr,
}

impl Span {
    /// The thread with index 0 on the innermost axis.
    fn first(&self) -> Expr {
        if self.extent == self.threads { u(0) } else { &self.index - &self.inner }
    }
}

impl Legalizer {
    pub(super) fn group_reduce(&mut self, op: GroupOp, var: Var) {
        let threads = self.kernel.workgroup_size();
        let (Some(axis), Ok(ty)) = (self.kernel.group.last().cloned(), var_type(var, &self.kernel.vars)) else {
            return;
        };
        let extent = axis.extent.as_u32().unwrap_or(1);
        if extent == 1 {
            // There is nothing to combine, but threads meet.
            return self.stmt(Stmt::Barrier);
        }
        let inner = Expr::Var(axis.var);
        let index = if extent == threads { inner.clone() } else { Expr::LocalIndex };
        let span = Span { axis: axis.name, extent, threads, inner, index };
        if self.caps.subgroups && (extent == threads || extent.is_multiple_of(LARGEST_SUBGROUP)) {
            self.reduce_by_subgroups(op, var, ty, &span);
        } else {
            self.reduce_by_slots(op, var, ty, &span);
        }
    }

    /// The shared array for reductions of this type, at least `len` long.
    fn slots(&mut self, ty: Type, len: u32) -> Sh {
        if let Some((_, sh)) = self.slots.iter().find(|(t, _)| *t == ty) {
            let shared = &mut self.kernel.shared[sh.0 as usize];
            shared.len = shared.len.max(len);
            return *sh;
        }
        let name = if self.slots.is_empty() { "partial".to_string() } else { format!("partial_{}", self.slots.len()) };
        self.kernel.shared.push(Shared { name, elem: ty, len });
        let sh = Sh(self.kernel.shared.len() as u32 - 1);
        self.slots.push((ty, sh));
        sh
    }

    /// In two rounds of about the square root of the threads each: some threads combine every so many results, then
    /// every thread combines what those have found. Halving in each round would make threads wait more often.
    fn reduce_by_slots(&mut self, op: GroupOp, var: Var, ty: Type, span: &Span) {
        let slots = self.slots(ty, span.threads);
        let width = reduce_width(span.extent);
        self.out.push(Stmt::Comment(format!("{} over {}", word(op), span.axis.replace('_', " "))));
        self.out.push(Stmt::StoreShared(slots, span.index.clone(), Expr::Var(var)));
        self.out.push(Stmt::Barrier);
        let first = if span.extent == span.threads { u(0) } else { self.name("first_slot", span.first()) };
        if width < span.extent {
            let fold = self.fold(op, var, slots, (&span.inner + width, u(span.extent), width), &first);
            let keep = Stmt::StoreShared(slots, span.index.clone(), Expr::Var(var));
            self.out.push(Stmt::If(span.inner.lt(width), vec![fold, keep], Vec::new()));
            self.out.push(Stmt::Barrier);
        }
        self.out.push(Stmt::Assign(var, slots.at(&first)));
        let rest = self.fold(op, var, slots, (u(1), u(width), 1), &first);
        self.out.push(rest);
        // The next reduction writes the same slots.
        self.out.push(Stmt::Barrier);
    }

    /// Combines slots `begin`, `begin + step`, .. behind `first` into `var`.
    fn fold(&mut self, op: GroupOp, var: Var, slots: Sh, (begin, end, step): (Expr, Expr, u32), first: &Expr) -> Stmt {
        let slot = self.declare("slot", U32);
        let other = slots.at(first + Expr::Var(slot));
        Stmt::Loop {
            axis: "slot".to_string(),
            var: slot,
            begin,
            end,
            step: u(step),
            bind: Bind::Serial,
            body: vec![Stmt::Assign(var, combine(op, Expr::Var(var), other))],
        }
    }

    /// One operation per subgroup, one slot for each result, and every thread combines the slots.
    fn reduce_by_subgroups(&mut self, op: GroupOp, var: Var, ty: Type, span: &Span) {
        self.kernel.needs.subgroups = true;
        let slots = self.slots(ty, span.threads.div_ceil(SMALLEST_SUBGROUP));
        self.out.push(Stmt::Comment(format!("{} over {}", word(op), span.axis.replace('_', " "))));
        self.out.push(Stmt::Assign(var, Expr::Subgroup(op, Box::new(Expr::Var(var)))));
        let elected = Expr::SubgroupLane.equals(0);
        let store = Stmt::StoreShared(slots, &span.index / Expr::SubgroupSize, Expr::Var(var));
        self.out.push(Stmt::If(elected, vec![store], Vec::new()));
        self.out.push(Stmt::Barrier);
        let first = span.first() / Expr::SubgroupSize;
        let first = if span.extent == span.threads { u(0) } else { self.name("first_slot", first) };
        let count = (Expr::SubgroupSize + (span.extent - 1)) / Expr::SubgroupSize;
        let end = self.name("slots_end", &first + count);
        self.out.push(Stmt::Assign(var, slots.at(&first)));
        self.out.push(Stmt::Comment("results of the other subgroups".to_string()));
        let rest = self.fold(op, var, slots, (first + 1, end, 1), &u(0));
        self.out.push(rest);
        self.out.push(Stmt::Barrier);
    }
}

fn word(op: GroupOp) -> &'static str {
    match op {
        GroupOp::Add => "sum",
        GroupOp::Max => "maximum",
        GroupOp::Min => "minimum",
    }
}

fn combine(op: GroupOp, a: Expr, b: Expr) -> Expr {
    let op = match op {
        GroupOp::Add => Binary::Add,
        GroupOp::Max => Binary::Max,
        GroupOp::Min => Binary::Min,
    };
    Expr::Binary(op, Box::new(a), Box::new(b))
}
