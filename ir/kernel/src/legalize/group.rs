//! Reductions over the threads of a workgroup.

use gristmill_graph::Binary;

use super::Legalizer;
use crate::expr::u;
use crate::kernel::{Bind, Expr, GroupOp, Sh, Shared, Stmt, Type, U32, Var};
use crate::types::var_type;

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
    /// Position on the innermost axis.
    inner: Expr,
    /// Number of the thread in the workgroup.
    index: Expr,
}

impl Span {
    /// The thread at position 0 of the innermost axis.
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
            return;
        }
        let inner = Expr::Var(axis.var);
        let index = if extent == threads { inner.clone() } else { Expr::LocalIndex };
        let span = Span { axis: axis.name, extent, threads, inner, index };
        if self.caps.subgroups && (extent == threads || extent.is_multiple_of(LARGEST_SUBGROUP)) {
            self.reduce_by_subgroups(op, var, ty, &span);
        } else {
            self.reduce_by_tree(op, var, ty, &span);
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

    /// Halves the number of partial results until one is left. What exceeds a power of two folds onto the front
    /// first.
    fn reduce_by_tree(&mut self, op: GroupOp, var: Var, ty: Type, span: &Span) {
        let slots = self.slots(ty, span.threads);
        self.out.push(Stmt::Comment(format!("{} over {}", word(op), span.axis.replace('_', " "))));
        self.out.push(Stmt::StoreShared(slots, span.index.clone(), Expr::Var(var)));
        self.out.push(Stmt::Barrier);
        let fold = |width: &Expr| {
            let (mine, other) = (slots.at(&span.index), slots.at(&span.index + width));
            Stmt::StoreShared(slots, span.index.clone(), combine(op, mine, other))
        };
        let power = if span.extent.is_power_of_two() { span.extent } else { span.extent.next_power_of_two() / 2 };
        if power < span.extent {
            let excess = span.inner.lt(span.extent - power);
            self.out.push(Stmt::If(excess, vec![fold(&u(power))], Vec::new()));
            self.out.push(Stmt::Barrier);
        }
        if power > 1 {
            let turn = self.declare("turn", U32);
            let width = self.declare("width", U32);
            let body = vec![
                Stmt::Let(width, u(power / 2).shr(turn)),
                Stmt::If(span.inner.lt(width), vec![fold(&Expr::Var(width))], Vec::new()),
                Stmt::Barrier,
            ];
            self.out.push(Stmt::Comment("half of what is left in every turn".to_string()));
            self.out.push(Stmt::Loop {
                axis: "turn".to_string(),
                var: turn,
                begin: u(0),
                end: u(power.ilog2()),
                step: u(1),
                bind: Bind::Serial,
                body,
            });
        }
        self.out.push(Stmt::Assign(var, slots.at(span.first())));
        // The next reduction writes the same slots.
        self.out.push(Stmt::Barrier);
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
        let slot = self.declare("slot", U32);
        self.out.push(Stmt::Comment("results of the other subgroups".to_string()));
        self.out.push(Stmt::Loop {
            axis: "slot".to_string(),
            var: slot,
            begin: first + 1,
            end,
            step: u(1),
            bind: Bind::Serial,
            body: vec![Stmt::Assign(var, combine(op, Expr::Var(var), slots.at(slot)))],
        });
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
