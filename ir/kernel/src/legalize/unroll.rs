//! Unrolls loops.

use std::collections::BTreeMap;

use super::Legalizer;
use crate::kernel::{Expr, Stmt, Var};

impl Legalizer {
    /// Copies of a loop body with the index as a literal. Each copy has registers of its own.
    pub(super) fn unroll(&mut self, axis: &str, var: Var, (begin, end, step): (u32, u32, u32), body: &[Stmt]) {
        let mut position = begin;
        while position < end {
            self.out.push(Stmt::Comment(format!("{axis} {position}")));
            let mut known = BTreeMap::from([(var, Expr::U32(position))]);
            let copy = self.copy(body, &mut known);
            copy.into_iter().for_each(|stmt| self.stmt(stmt));
            match position.checked_add(step) {
                Some(next) => position = next,
                None => break,
            }
        }
    }

    fn copy(&mut self, block: &[Stmt], known: &mut BTreeMap<Var, Expr>) -> Vec<Stmt> {
        block.iter().map(|stmt| self.copy_stmt(stmt, known)).collect()
    }

    fn copy_stmt(&mut self, stmt: &Stmt, known: &mut BTreeMap<Var, Expr>) -> Stmt {
        match stmt {
            Stmt::Comment(_) | Stmt::Barrier => stmt.clone(),
            Stmt::Let(var, e) => {
                let e = substitute(e, known);
                Stmt::Let(self.fresh(*var, known), e)
            }
            Stmt::Mut(var, e) => {
                let e = substitute(e, known);
                Stmt::Mut(self.fresh(*var, known), e)
            }
            Stmt::Assign(var, e) => Stmt::Assign(renamed(*var, known), substitute(e, known)),
            Stmt::Store(buf, i, e) => Stmt::Store(*buf, substitute(i, known), substitute(e, known)),
            Stmt::StoreShared(sh, i, e) => Stmt::StoreShared(*sh, substitute(i, known), substitute(e, known)),
            Stmt::Loop { axis, var, begin, end, step, bind, body } => {
                let [begin, end, step] = [begin, end, step].map(|e| substitute(e, known));
                let var = self.fresh(*var, known);
                Stmt::Loop { axis: axis.clone(), var, begin, end, step, bind: *bind, body: self.copy(body, known) }
            }
            Stmt::If(c, a, b) => Stmt::If(substitute(c, known), self.copy(a, known), self.copy(b, known)),
            Stmt::GroupReduce(op, var) => Stmt::GroupReduce(*op, renamed(*var, known)),
        }
    }

    fn fresh(&mut self, var: Var, known: &mut BTreeMap<Var, Expr>) -> Var {
        let Some(decl) = self.kernel.vars.get(var.0 as usize).cloned() else { return var };
        let fresh = self.declare(&decl.name, decl.ty);
        known.insert(var, Expr::Var(fresh));
        fresh
    }
}

fn substitute(e: &Expr, known: &BTreeMap<Var, Expr>) -> Expr {
    match e {
        Expr::Var(v) => known.get(v).unwrap_or(e).clone(),
        e => e.clone().map_parts(&mut |part| substitute(&part, known)),
    }
}

fn renamed(var: Var, known: &BTreeMap<Var, Expr>) -> Var {
    match known.get(&var) {
        Some(Expr::Var(fresh)) => *fresh,
        _ => var,
    }
}
