//! Adapts a kernel to a target, so that printers make no decisions.
//!
//! - Loops that are bound as `Unroll` are unrolled.
//! - [`Stmt::GroupReduce`] becomes two rounds over shared memory, or subgroup operations where the target has them.
//! - Functions that targets lack or compute badly become helpers with a stated error bound.
//! - Loop bounds that read memory or mutable registers are named before the loop, where they are evaluated once.
//! - Infinite literals become the largest finite ones of their sign: shading languages may assume that there are none.
//!
//! The result computes the same except for rounding within the error bounds.

mod body;
mod composed;
mod exponentials;
mod functions;
mod group;
mod unroll;

use std::collections::{BTreeMap, BTreeSet};

use gristmill_graph::scalar::{Approximation, Form, Native};
use gristmill_graph::{Binary, Unary};

use crate::caps::Caps;
use crate::expr::f;
use crate::kernel::{Bind, Expr, F32, Kernel, Sh, Stmt, Type, Var, VarDecl};
use crate::simplify::Facts;
use crate::types::type_of;
use functions::Function;

/// The form of a verified kernel that a target with these capabilities can run. [`Kernel::needs`] then has the features
/// that it requires of the device.
pub fn legalize(kernel: &Kernel, caps: &Caps) -> Kernel {
    let mut facts = Facts::default();
    for axis in kernel.grid.iter().chain(&kernel.group) {
        if let Expr::U32(n) = axis.extent {
            facts.bound(axis.var, n.saturating_sub(1));
        }
    }
    let mut l = Legalizer {
        kernel: Kernel { body: Vec::new(), ..kernel.clone() },
        caps: *caps,
        facts,
        mutable: BTreeSet::new(),
        helpers: BTreeMap::new(),
        slots: Vec::new(),
        out: Vec::new(),
    };
    let body = l.block(kernel.body.clone());
    l.kernel.body = body;
    l.kernel
}

struct Legalizer {
    /// The result; its body is set at the end.
    kernel: Kernel,
    caps: Caps,
    facts: Facts,
    mutable: BTreeSet<Var>,
    /// Indices of helpers that are already defined.
    helpers: BTreeMap<Function, u32>,
    /// Shared arrays for reductions, by element type.
    slots: Vec<(Type, Sh)>,
    /// The block under construction.
    out: Vec<Stmt>,
}

impl Legalizer {
    fn block(&mut self, block: Vec<Stmt>) -> Vec<Stmt> {
        let outer = std::mem::take(&mut self.out);
        block.into_iter().for_each(|stmt| self.stmt(stmt));
        std::mem::replace(&mut self.out, outer)
    }

    fn declare(&mut self, name: &str, ty: Type) -> Var {
        self.kernel.vars.push(VarDecl { name: name.to_string(), ty });
        Var(self.kernel.vars.len() as u32 - 1)
    }

    /// Names a value before the statement in progress, unless it is a register or a literal.
    fn name(&mut self, name: &str, e: Expr) -> Expr {
        if matches!(e, Expr::Var(_) | Expr::F32(_) | Expr::U32(_) | Expr::I32(_)) {
            return e;
        }
        let Some(ty) = self.ty(&e) else { return e };
        let var = self.declare(name, ty);
        self.out.push(Stmt::Let(var, e));
        Expr::Var(var)
    }

    fn ty(&self, e: &Expr) -> Option<Type> {
        type_of(e, &self.kernel, &self.kernel.vars).ok()
    }

    fn stmt(&mut self, stmt: Stmt) {
        let stmt = match stmt {
            // A single thread waits for nobody.
            Stmt::Barrier if self.kernel.workgroup_size() == 1 => return,
            Stmt::Comment(_) | Stmt::Barrier => stmt,
            Stmt::GroupReduce(op, var) => return self.group_reduce(op, var),
            Stmt::Let(var, e) => Stmt::Let(var, self.expr(e)),
            Stmt::Mut(var, e) => {
                self.mutable.insert(var);
                Stmt::Mut(var, self.expr(e))
            }
            Stmt::Assign(var, e) => Stmt::Assign(var, self.expr(e)),
            Stmt::Store(buf, i, e) => Stmt::Store(buf, self.expr(i), self.expr(e)),
            Stmt::StoreShared(sh, i, e) => Stmt::StoreShared(sh, self.expr(i), self.expr(e)),
            Stmt::If(c, a, b) => {
                let c = self.expr(c);
                match c {
                    Expr::Bool(true) => return a.into_iter().for_each(|s| self.stmt(s)),
                    Expr::Bool(false) => return b.into_iter().for_each(|s| self.stmt(s)),
                    c => Stmt::If(c, self.block(a), self.block(b)),
                }
            }
            Stmt::Loop { axis, var, begin, end, step, bind: Bind::Unroll, body } => {
                return match (begin.as_u32(), end.as_u32(), step.as_u32()) {
                    (Some(begin), Some(end), Some(step)) if step > 0 => {
                        self.unroll(&axis, var, (begin, end, step), &body);
                    }
                    _ => self.stmt(Stmt::Loop { axis, var, begin, end, step, bind: Bind::Serial, body }),
                };
            }
            Stmt::Loop { axis, var, begin, end, step, bind: Bind::Serial, body } => {
                let (begin, end, step) = (self.expr(begin), self.expr(end), self.expr(step));
                let (end, step) = (self.fixed("end", end), self.fixed("step", step));
                let max = self.facts.upper(&end);
                if max < u32::MAX {
                    self.facts.bound(var, max.saturating_sub(1));
                }
                Stmt::Loop { axis, var, begin, end, step, bind: Bind::Serial, body: self.block(body) }
            }
        };
        self.out.push(stmt);
    }

    /// A loop bound whose value cannot change while the loop runs.
    fn fixed(&mut self, name: &str, e: Expr) -> Expr {
        let changes = e.any(&mut |e| match e {
            Expr::Var(v) => self.mutable.contains(v),
            e => matches!(e, Expr::Load(..) | Expr::LoadShared(..) | Expr::Subgroup(..)),
        });
        match e {
            Expr::Var(v) if changes => {
                let ty = self.kernel.vars.get(v.0 as usize).map_or(crate::kernel::U32, |v| v.ty);
                let var = self.declare(name, ty);
                self.out.push(Stmt::Let(var, Expr::Var(v)));
                Expr::Var(var)
            }
            e if changes => self.name(name, e),
            e => e,
        }
    }

    fn expr(&mut self, e: Expr) -> Expr {
        let e = self.facts.simplify(e);
        self.rewrite(e)
    }

    fn rewrite(&mut self, e: Expr) -> Expr {
        match e.map_parts(&mut |part| self.rewrite(part)) {
            Expr::F32(x) if x.is_infinite() => Expr::F32(f32::MAX.copysign(x)),
            Expr::Unary(op, a) => self.unary(op, *a),
            Expr::Binary(Binary::Pow, a, b) => self.pow(*a, *b),
            // Kernels without threads in a group count from 0.
            Expr::LocalIndex if self.kernel.workgroup_size() == 1 => Expr::U32(0),
            Expr::BytesU8(a) if !self.caps.packed_bytes => self.call(Function::BytesU8, vec![*a]),
            Expr::BytesI8(a) if !self.caps.packed_bytes => self.call(Function::BytesI8, vec![*a]),
            Expr::Lookup(a, table) if !self.caps.byte_lookup => {
                let Some(ty) = self.ty(&a) else { return Expr::Lookup(a, table) };
                self.lanes(ty, vec![*a], |l, args| l.call(Function::Lookup(table), args))
            }
            other => other,
        }
    }

    fn unary(&mut self, op: Unary, a: Expr) -> Expr {
        let Some(ty) = self.ty(&a) else { return Expr::Unary(op, Box::new(a)) };
        let function = match op.row().form {
            Form::Native(Native::Exp | Native::Log) | Form::Approximated(Approximation::Tanh | Approximation::Erf)
                if !self.caps.exponentials =>
            {
                return self.by_arithmetic(op, ty, a);
            }
            Form::Native(_) => return Expr::Unary(op, Box::new(a)),
            Form::Composed(compose) => return self.composed(compose, ty, a),
            Form::Approximated(Approximation::Tanh) => Function::Tanh,
            Form::Approximated(Approximation::Erf) => Function::Erf,
            Form::Approximated(Approximation::Sin) => Function::Sin,
            Form::Approximated(Approximation::Cos) => Function::Cos,
        };
        self.lanes(ty, vec![a], |l, args| l.call(function, args))
    }

    /// Exponential functions where the target has none.
    fn by_arithmetic(&mut self, op: Unary, ty: Type, a: Expr) -> Expr {
        if op == Unary::Log {
            return self.lanes(ty, vec![a], |l, args| l.call(Function::Logarithm, args));
        }
        let exp = self.helper(Function::Exponential(ty.lanes));
        match op {
            Unary::Tanh => self.call(Function::TanhByExp(ty.lanes, exp), vec![a]),
            Unary::Erf => self.call(Function::ErfByExp(ty.lanes, exp), vec![a]),
            _ => Expr::Call(exp, vec![a]),
        }
    }

    /// Small constant exponents become products and roots, which are exact where a power function is not.
    fn pow(&mut self, a: Expr, b: Expr) -> Expr {
        let Some(ty) = self.ty(&a) else { return Expr::Binary(Binary::Pow, Box::new(a), Box::new(b)) };
        let exponent = match &b {
            Expr::F32(x) => Some(*x),
            Expr::Splat(_, x) => match **x {
                Expr::F32(x) => Some(x),
                _ => None,
            },
            _ => None,
        };
        if exponent == Some(1.0) {
            return a;
        } else if exponent == Some(2.0) || exponent == Some(3.0) {
            let base = self.name("base", a);
            let square = &base * &base;
            return if exponent == Some(2.0) { square } else { square * base };
        } else if exponent == Some(0.5) {
            return a.unary(Unary::Sqrt);
        } else if exponent == Some(-0.5) {
            return one(ty) / a.unary(Unary::Sqrt);
        } else if exponent == Some(-1.0) {
            return one(ty) / a;
        }
        match a {
            Expr::F32(x) if x > 0.0 && self.caps.exponentials => Expr::Binary(Binary::Pow, Box::new(a), Box::new(b)),
            a => self.lanes(ty, vec![a, b], |l, args| l.call(Function::Pow, args)),
        }
    }

    /// Applies a function of scalars lane by lane.
    fn lanes(&mut self, ty: Type, args: Vec<Expr>, apply: impl Fn(&mut Self, Vec<Expr>) -> Expr) -> Expr {
        if ty.lanes == 1 {
            return apply(self, args);
        }
        let args: Vec<Expr> = args.into_iter().map(|a| self.name("lanes", a)).collect();
        let parts: Vec<Expr> =
            (0..u32::from(ty.lanes)).map(|lane| apply(self, args.iter().map(|a| a.lane(lane)).collect())).collect();
        Expr::vec(parts)
    }

    fn call(&mut self, function: Function, args: Vec<Expr>) -> Expr {
        Expr::Call(self.helper(function), args)
    }

    /// The index of a helper, defined if it is not yet.
    fn helper(&mut self, function: Function) -> u32 {
        if let Some(index) = self.helpers.get(&function) {
            return *index;
        }
        let mut helper = function.define();
        if function == Function::Pow && !self.caps.exponentials {
            let (log, exp) = (self.helper(Function::Logarithm), self.helper(Function::Exponential(1)));
            let power = self.helper(Function::PowerOfPositive(log, exp));
            helper.replace_powers(power);
        }
        self.kernel.helpers.push(helper);
        let index = self.kernel.helpers.len() as u32 - 1;
        self.helpers.insert(function, index);
        index
    }
}

/// 1 in a float type.
fn one(ty: Type) -> Expr {
    let one = if ty.scalar == F32.scalar { f(1.0) } else { f(1.0).cast(ty.scalar) };
    if ty.lanes == 1 { one } else { one.splat(ty.lanes) }
}
