//! The rules that every kernel must satisfy.
//!
//! - The name, and the names of symbols, are identifiers.
//! - Expressions are well-typed, and statements store values of the right type.
//! - No literal is NaN.
//! - A register is declared once, before its uses, in the same or an enclosing block; only `Mut` registers are assigned.
//! - Group axes have literal extents; their product is at most the limit of the target.
//! - Only writable buffers are written. The total size of shared arrays is within the limit of the target.
//! - Barriers and reductions over the group are reached by all threads: conditions and loop bounds around them
//!   depend neither on the thread nor on memory that may be written.
//! - Loops do not have the step zero, and unrolled loops have literal bounds.
//! - Subgroup operations occur only in kernels that require them, on targets that have them.
//! - Helpers only name values, and only call helpers before them.

use std::collections::{BTreeMap, BTreeSet};

use crate::caps::Caps;
use crate::kernel::{BOOL, Bind, Expr, Helper, Kernel, Stmt, Type, U32, Var, VarDecl};
use crate::types::{reducible, type_of, var_type};

/// Checks a kernel for a target.
///
/// # Errors
/// All mistakes, one per line, each with the name of the kernel and the place of the statement.
pub fn verify(kernel: &Kernel, caps: &Caps) -> Result<(), String> {
    let mut v =
        Verifier { kernel, varying: varying(kernel), scope: BTreeMap::new(), path: Vec::new(), errors: Vec::new() };
    v.header(caps);
    for (i, helper) in kernel.helpers.iter().enumerate() {
        v.helper(i, helper);
    }
    v.block(&kernel.body, true);
    if v.errors.is_empty() { Ok(()) } else { Err(v.errors.join("\n")) }
}

/// How a register was declared.
#[derive(Clone, Copy, PartialEq)]
enum Declared {
    Fixed,
    Mutable,
}

struct Verifier<'a> {
    kernel: &'a Kernel,
    /// Registers that may differ between the threads of a workgroup.
    varying: BTreeSet<Var>,
    scope: BTreeMap<Var, Declared>,
    path: Vec<String>,
    errors: Vec<String>,
}

/// Whether a text is an identifier of the printed languages.
pub(crate) fn is_identifier(name: &str) -> bool {
    let mut chars = name.chars();
    chars.next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_')
        && chars.all(|c| c.is_ascii_alphanumeric() || c == '_')
        && !name.starts_with("__")
        && name != "_"
}

impl Verifier<'_> {
    fn error(&mut self, message: impl AsRef<str>) {
        let place = if self.path.is_empty() { String::new() } else { format!(" at {}", self.path.join("/")) };
        self.errors.push(format!("kernel `{}`{place}: {}", self.kernel.name, message.as_ref()));
    }

    fn header(&mut self, caps: &Caps) {
        let kernel = self.kernel;
        for name in std::iter::once(&kernel.name).chain(&kernel.symbols) {
            if !is_identifier(name) {
                self.error(format!("`{name}` is not an identifier"));
            }
        }
        for axis in &kernel.grid {
            self.path = vec![format!("grid axis {}", axis.name)];
            self.typed(&axis.extent, U32);
            if axis.extent.any(&mut |e| !matches!(e, Expr::U32(_) | Expr::Symbol(_) | Expr::Binary(..))) {
                self.error("the extent must be made of literals and symbols");
            }
        }
        let mut size = 1u32;
        for axis in &kernel.group {
            self.path = vec![format!("group axis {}", axis.name)];
            match axis.extent {
                Expr::U32(n) if n > 0 => size = size.saturating_mul(n),
                _ => self.error("the extent must be a positive literal"),
            }
        }
        self.path.clear();
        if size > caps.max_group_size {
            self.error(format!("{size} threads in a group; the target has {}", caps.max_group_size));
        }
        for axis in kernel.grid.iter().chain(&kernel.group) {
            self.declare(axis.var, U32, Declared::Fixed);
        }
        self.memory(caps);
        if kernel.needs.subgroups && !caps.subgroups {
            self.error("the kernel needs subgroups, which the target lacks");
        }
    }

    fn memory(&mut self, caps: &Caps) {
        let kernel = self.kernel;
        let mut bytes = 0u64;
        for shared in &kernel.shared {
            match shared.elem.bytes() {
                Some(n) => bytes += u64::from(n) * u64::from(shared.len),
                None => self.error(format!("shared array `{}` of {}", shared.name, shared.elem)),
            }
        }
        if bytes > u64::from(caps.max_shared_bytes) {
            self.error(format!("{bytes} bytes of shared memory; the target has {}", caps.max_shared_bytes));
        }
        for table in &kernel.tables {
            if !is_identifier(&table.name) || table.values.is_empty() || table.values.iter().any(|x| !x.is_finite()) {
                self.error(format!("table `{}` needs a name and finite values", table.name));
            }
        }
        for buffer in &kernel.buffers {
            if buffer.elem.bytes().is_none() {
                self.error(format!("buffer `{}` of {}", buffer.name, buffer.elem));
            }
        }
    }

    fn helper(&mut self, index: usize, helper: &Helper) {
        self.path = vec![format!("helper {}", helper.name)];
        if !is_identifier(&helper.name) || helper.params > helper.vars.len() {
            self.error("the name or the number of parameters is wrong");
            return;
        }
        let mut known: BTreeSet<Var> = (0..helper.params as u32).map(Var).collect();
        for stmt in &helper.body {
            match stmt {
                Stmt::Comment(_) => {}
                Stmt::Let(var, e) => {
                    self.helper_expr(index, e, &helper.vars, &known);
                    match (var_type(*var, &helper.vars), type_of(e, self.kernel, &helper.vars)) {
                        (Ok(a), Ok(b)) if a != b => self.error(format!("a register of {a} holds {b}")),
                        _ => {}
                    }
                    known.insert(*var);
                }
                _ => self.error("a helper may only name values"),
            }
        }
        self.helper_expr(index, &helper.result, &helper.vars, &known);
        self.path.clear();
    }

    fn helper_expr(&mut self, index: usize, e: &Expr, vars: &[VarDecl], known: &BTreeSet<Var>) {
        if let Err(message) = type_of(e, self.kernel, vars) {
            self.error(message);
        }
        let impure = e.any(&mut |e| match e {
            Expr::Var(v) => !known.contains(v),
            Expr::Call(callee, _) => *callee as usize >= index,
            Expr::Load(..) | Expr::LoadShared(..) | Expr::Table(..) | Expr::Subgroup(..) | Expr::Symbol(_) => true,
            _ => false,
        });
        if impure {
            self.error("a helper may use its own registers and earlier helpers only");
        }
    }

    fn declare(&mut self, var: Var, ty: Type, how: Declared) {
        match var_type(var, &self.kernel.vars) {
            Err(message) => self.error(message),
            Ok(declared) if declared != ty => {
                let name = self.name(var);
                self.error(format!("register `{name}` of {declared} holds {ty}"));
            }
            Ok(_) => {}
        }
        if self.scope.insert(var, how).is_some() {
            let name = self.name(var);
            self.error(format!("register `{name}` is declared twice"));
        }
    }

    fn name(&self, var: Var) -> String {
        self.kernel.vars.get(var.0 as usize).map_or_else(|| var.0.to_string(), |v| v.name.clone())
    }

    /// The type of an expression whose registers are in scope.
    fn expr(&mut self, e: &Expr) -> Option<Type> {
        let (mut unknown, mut symbols, mut subgroup, mut nan) = (Vec::new(), Vec::new(), false, false);
        e.any(&mut |e| {
            match e {
                Expr::Var(v) if !self.scope.contains_key(v) => unknown.push(*v),
                Expr::Symbol(s) if !self.kernel.symbols.contains(s) => symbols.push(s.clone()),
                Expr::Subgroup(..) | Expr::SubgroupLane | Expr::SubgroupSize => subgroup = true,
                Expr::F32(x) if x.is_nan() => nan = true,
                _ => {}
            }
            false
        });
        if nan {
            self.error("a literal is NaN");
        }
        for v in unknown {
            let name = self.name(v);
            self.error(format!("register `{name}` is not in scope"));
        }
        for s in symbols {
            self.error(format!("symbol `{s}` is not declared"));
        }
        if subgroup && !self.kernel.needs.subgroups {
            self.error("a subgroup operation in a kernel that does not declare the need");
        }
        match e.ty(self.kernel) {
            Ok(ty) => Some(ty),
            Err(message) => {
                self.error(message);
                None
            }
        }
    }

    fn typed(&mut self, e: &Expr, want: Type) {
        if let Some(got) = self.expr(e)
            && got != want
        {
            self.error(format!("expected {want}, found {got}"));
        }
    }

    fn assignable(&mut self, var: Var) -> Option<Type> {
        let name = self.name(var);
        match self.scope.get(&var) {
            Some(Declared::Mutable) => var_type(var, &self.kernel.vars).ok(),
            Some(Declared::Fixed) => {
                self.error(format!("register `{name}` is not mutable"));
                None
            }
            None => {
                self.error(format!("register `{name}` is not in scope"));
                None
            }
        }
    }

    fn block(&mut self, block: &[Stmt], uniform: bool) {
        let outer = self.scope.clone();
        for (i, stmt) in block.iter().enumerate() {
            self.path.push(format!("{i}"));
            self.stmt(stmt, uniform);
            self.path.pop();
        }
        self.scope = outer;
    }

    fn stmt(&mut self, stmt: &Stmt, uniform: bool) {
        match stmt {
            Stmt::Comment(_) => {}
            Stmt::Let(var, e) | Stmt::Mut(var, e) => {
                let how = if matches!(stmt, Stmt::Let(..)) { Declared::Fixed } else { Declared::Mutable };
                if let Some(ty) = self.expr(e) {
                    self.declare(*var, ty, how);
                } else {
                    self.scope.insert(*var, how);
                }
            }
            Stmt::Assign(var, e) => {
                if let Some(ty) = self.assignable(*var) {
                    self.typed(e, ty);
                }
            }
            Stmt::Store(buf, index, e) => {
                self.typed(index, U32);
                match self.kernel.buffers.get(buf.0 as usize) {
                    Some(b) if b.writable => self.typed(e, b.elem),
                    Some(b) => self.error(format!("buffer `{}` is not writable", b.name)),
                    None => self.error(format!("no buffer {}", buf.0)),
                }
            }
            Stmt::StoreShared(sh, index, e) => {
                self.typed(index, U32);
                match self.kernel.shared.get(sh.0 as usize) {
                    Some(s) => self.typed(e, s.elem),
                    None => self.error(format!("no shared array {}", sh.0)),
                }
            }
            Stmt::Loop { axis, var, begin, end, step, bind, body } => {
                if let Some(place) = self.path.last_mut() {
                    place.push_str(&format!(" loop {axis}"));
                }
                let bounds = [begin, end, step];
                bounds.iter().for_each(|e| self.typed(e, U32));
                if *step == Expr::U32(0) {
                    self.error("a loop with step 0");
                }
                if *bind == Bind::Unroll && bounds.iter().any(|e| e.as_u32().is_none()) {
                    self.error("an unrolled loop needs literal bounds");
                }
                let uniform = uniform && bounds.iter().all(|e| !varies(e, self.kernel, &self.varying));
                let outer = self.scope.clone();
                self.declare(*var, U32, Declared::Fixed);
                self.block(body, uniform);
                self.scope = outer;
            }
            Stmt::If(condition, then, otherwise) => {
                if let Some(place) = self.path.last_mut() {
                    place.push_str(" if");
                }
                self.typed(condition, BOOL);
                let uniform = uniform && !varies(condition, self.kernel, &self.varying);
                self.block(then, uniform);
                self.block(otherwise, uniform);
            }
            Stmt::Barrier => self.meeting(uniform),
            Stmt::GroupReduce(op, var) => {
                self.meeting(uniform);
                if let Some(ty) = self.assignable(*var)
                    && let Err(message) = reducible(*op, ty)
                {
                    self.error(message);
                }
            }
        }
    }

    fn meeting(&mut self, uniform: bool) {
        if self.kernel.group.is_empty() {
            self.error("threads meet in a kernel without group axes");
        } else if !uniform {
            self.error("threads meet where not all of them may arrive");
        }
    }
}

/// Whether the value may differ between the threads of a workgroup.
fn varies(e: &Expr, kernel: &Kernel, varying: &BTreeSet<Var>) -> bool {
    e.any(&mut |e| match e {
        Expr::Var(v) => varying.contains(v),
        Expr::LocalIndex | Expr::SubgroupLane | Expr::SubgroupSize | Expr::Subgroup(..) | Expr::LoadShared(..) => true,
        Expr::Load(buf, _) => kernel.buffers.get(buf.0 as usize).is_none_or(|b| b.writable),
        _ => false,
    })
}

/// The registers that may differ between the threads of a workgroup: a fixed point, because a register that is assigned
/// late in a loop may be read early in the next iteration.
fn varying(kernel: &Kernel) -> BTreeSet<Var> {
    let mut found: BTreeSet<Var> = kernel.group.iter().map(|axis| axis.var).collect();
    loop {
        let before = found.len();
        mark_block(&kernel.body, false, kernel, &mut found);
        if found.len() == before {
            return found;
        }
    }
}

fn mark_block(block: &[Stmt], divergent: bool, kernel: &Kernel, found: &mut BTreeSet<Var>) {
    for stmt in block {
        match stmt {
            Stmt::Let(var, e) | Stmt::Mut(var, e) | Stmt::Assign(var, e) => {
                if divergent || varies(e, kernel, found) {
                    found.insert(*var);
                }
            }
            Stmt::Loop { var, begin, end, step, body, .. } => {
                let divergent = divergent || [begin, end, step].iter().any(|e| varies(e, kernel, found));
                if divergent {
                    found.insert(*var);
                }
                mark_block(body, divergent, kernel, found);
            }
            Stmt::If(condition, then, otherwise) => {
                let divergent = divergent || varies(condition, kernel, found);
                mark_block(then, divergent, kernel, found);
                mark_block(otherwise, divergent, kernel, found);
            }
            Stmt::GroupReduce(_, var) => {
                found.insert(*var);
            }
            Stmt::Comment(_) | Stmt::Store(..) | Stmt::StoreShared(..) | Stmt::Barrier => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::builder::Builder;
    use crate::expr::{f, u};
    use crate::kernel::{Bind, F32, GroupOp};

    fn errors(build: impl FnOnce(&mut Builder)) -> Vec<String> {
        let mut b = Builder::new("k");
        build(&mut b);
        match b.finish(&["T".to_string()]) {
            Ok(_) => Vec::new(),
            Err(text) => text.lines().map(str::to_string).collect(),
        }
    }

    #[test]
    fn barriers_must_be_reached_by_all() {
        let found = errors(|b| {
            let lane = b.group_axis("lane", 64);
            b.if_(lane.lt(3), |b| b.barrier());
        });
        assert_eq!(found, ["kernel `k` at 0 if/0: threads meet where not all of them may arrive"]);
        let found = errors(|b| {
            let lane = b.group_axis("lane", 64);
            let bound = b.var("bound", u(3));
            b.for_("turn", 0, Expr::symbol("T"), 1, Bind::Serial, |b, _| {
                b.for_("inner", 0, bound, 1, Bind::Serial, |b, _| b.barrier());
                b.assign(bound, &lane + 1);
            });
        });
        assert_eq!(found, ["kernel `k` at 1 loop turn/0 loop inner/0: threads meet where not all of them may arrive"]);
        let fine = errors(|b| {
            b.group_axis("lane", 64);
            b.for_("turn", 0, Expr::symbol("T"), 1, Bind::Serial, |b, _| b.barrier());
        });
        assert!(fine.is_empty(), "{fine:?}");
    }

    #[test]
    fn types_and_memory() {
        let found = errors(|b| {
            b.group_axis("lane", 64);
            let x = b.buffer("x", F32, false);
            let sum = b.var("sum", f(0.0));
            b.store(x, 0, sum);
            b.assign(sum, u(1));
            b.assign(sum, Expr::symbol("Q").to_f32());
            b.group_reduce(GroupOp::Add, sum);
        });
        assert_eq!(
            found,
            [
                "kernel `k` at 1: buffer `x` is not writable",
                "kernel `k` at 2: expected f32, found u32",
                "kernel `k` at 3: symbol `Q` is not declared",
            ]
        );
    }

    #[test]
    fn limits_of_the_target() {
        let mut b = Builder::new("k");
        b.group_axis("lane", 512);
        b.shared("tile", F32, 8192);
        let kernel = b.finish(&[]).unwrap();
        let found = verify(&kernel, &Caps::default()).unwrap_err();
        assert_eq!(
            found.lines().collect::<Vec<_>>(),
            [
                "kernel `k`: 512 threads in a group; the target has 256",
                "kernel `k`: 32768 bytes of shared memory; the target has 16384",
            ]
        );
    }
}
