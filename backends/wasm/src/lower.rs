//! Lowers kernels to nodes and statements.

use std::collections::HashMap;

use gristmill_kernel::{Expr, Kernel, Scalar, Type, Var, VarDecl};
use gristmill_kernel::{Stmt as KernelStmt, Table};

use crate::code::{Stmt, Write};
use crate::node::{Graph, Id, Inst, Pure, Read, Ty};

/// Parameters of a kernel function: address of the arguments, grid range, scratch memory.
pub(crate) const PARAMS: u32 = 4;
const ARGS: u32 = 0;
const BEGIN: u32 = 1;
const END: u32 = 2;
const SCRATCH: u32 = 3;

/// What the functions of a module share.
pub(crate) struct World<'w> {
    /// Whether to use fused multiply-add and dot products of bytes.
    pub(crate) relaxed: bool,
    /// The address of a constant array.
    pub(crate) table_at: &'w dyn Fn(&Table) -> u32,
    /// The function of each helper of the kernel.
    pub(crate) helpers: &'w [u32],
}

/// The value of a kernel register.
#[derive(Clone, Copy)]
enum Bound {
    Fixed(Id),
    /// A mutable local.
    Mutable(u32),
}

/// A function under construction.
pub(crate) struct Lower<'w> {
    pub(crate) graph: Graph,
    pub(crate) kernel: &'w Kernel,
    pub(crate) world: &'w World<'w>,
    vars: &'w [VarDecl],
    bound: HashMap<Var, Bound>,
    params: u32,
    pub(crate) locals: Vec<Ty>,
    /// Names of locals, for the text format.
    pub(crate) names: Vec<(u32, String)>,
    /// Offsets of shared arrays in scratch memory.
    shared: Vec<u32>,
    level: u32,
    /// Index of the innermost block.
    pub(crate) block: u32,
    blocks: u32,
}

/// A value and its type in the kernel.
pub(crate) type Value = (Id, Type);
pub(crate) type Outcome<T> = Result<T, String>;

/// The WebAssembly type of a kernel type. Vectors of two use the lower half of a vector.
pub(crate) fn ty(t: Type) -> Outcome<Ty> {
    match (t.lanes, t.scalar) {
        (1, Scalar::F32) => Ok(Ty::F32),
        (1, _) => Ok(Ty::I32),
        (_, Scalar::Bool) => Err("vectors of truth values are not legalised".to_string()),
        _ => Ok(Ty::V128),
    }
}

/// The offsets of a kernel's shared arrays in scratch memory, and their total size in bytes.
pub(crate) fn scratch(kernel: &Kernel) -> (Vec<u32>, u32) {
    let mut end = 0u32;
    let offsets = kernel
        .shared
        .iter()
        .map(|s| {
            let at = end;
            end += (s.len * s.elem.bytes().unwrap_or(4)).next_multiple_of(16);
            at
        })
        .collect();
    (offsets, end)
}

impl<'w> Lower<'w> {
    fn new(kernel: &'w Kernel, vars: &'w [VarDecl], params: u32, world: &'w World<'w>) -> Self {
        Lower {
            graph: Graph::default(),
            kernel,
            world,
            vars,
            bound: HashMap::new(),
            params,
            locals: Vec::new(),
            names: Vec::new(),
            shared: scratch(kernel).0,
            level: 0,
            block: 0,
            blocks: 0,
        }
    }

    /// The body of a kernel function, and the function's nodes.
    pub(crate) fn kernel(kernel: &'w Kernel, world: &'w World<'w>) -> Outcome<(Self, Vec<Stmt>)> {
        let mut l = Lower::new(kernel, &kernel.vars, PARAMS, world);
        let position = l.local(Ty::I32, "position");
        let (begin, end) = (l.graph.local(BEGIN, Ty::I32, 0), l.graph.local(END, Ty::I32, 0));
        l.level = 1;
        l.enter_block();
        let whole = l.graph.local(position, Ty::I32, 1);
        let mut rest = whole;
        for (n, axis) in kernel.grid.iter().enumerate().rev() {
            let mut at = rest;
            if n > 0 {
                let extent = l.value(&axis.extent)?.0;
                at = l.divide_unsigned(Pure::I32RemU, rest, extent);
                rest = l.divide_unsigned(Pure::I32DivU, rest, extent);
            }
            l.bound.insert(axis.var, Bound::Fixed(at));
        }
        for axis in &kernel.group {
            let zero = l.constant(0);
            l.bound.insert(axis.var, Bound::Fixed(zero));
        }
        let body = l.statements(&kernel.body)?;
        let step = l.constant(1);
        [begin, end, step].into_iter().for_each(|id| l.graph.used(id));
        l.level = 0;
        Ok((l, vec![Stmt::Loop { var: position, begin, end, step, level: 0, body }]))
    }

    /// The result of helper `index` of a kernel, with the function's nodes.
    pub(crate) fn helper(kernel: &'w Kernel, index: usize, world: &'w World<'w>) -> Outcome<(Self, Id, Ty)> {
        let helper = &kernel.helpers[index];
        let mut l = Lower::new(kernel, &helper.vars, helper.params as u32, world);
        for (i, var) in (0u32..).zip(&helper.vars[..helper.params]) {
            let param = l.graph.local(i, ty(var.ty)?, 0);
            l.bound.insert(Var(i), Bound::Fixed(param));
        }
        let body = l.statements(&helper.body)?;
        if !body.is_empty() {
            return Err(format!("helper `{}` has effects", helper.name));
        }
        let (result, of) = l.value(&helper.result)?;
        l.graph.used(result);
        Ok((l, result, ty(of)?))
    }

    fn local(&mut self, ty: Ty, name: &str) -> u32 {
        self.locals.push(ty);
        let local = self.params + self.locals.len() as u32 - 1;
        self.names.push((local, name.to_string()));
        local
    }

    fn enter_block(&mut self) -> u32 {
        self.blocks += 1;
        std::mem::replace(&mut self.block, self.blocks)
    }

    pub(crate) fn constant(&mut self, n: i32) -> Id {
        self.graph.pure(Inst::I32(n), Vec::new(), Ty::I32)
    }

    fn decl(&self, var: Var) -> Outcome<&'w VarDecl> {
        self.vars.get(var.0 as usize).ok_or_else(|| format!("no register {}", var.0))
    }

    fn nested(&mut self, block: &[KernelStmt]) -> Outcome<Vec<Stmt>> {
        let outer = self.enter_block();
        let result = self.statements(block);
        self.block = outer;
        result
    }

    fn statements(&mut self, block: &[KernelStmt]) -> Outcome<Vec<Stmt>> {
        let mut out = Vec::new();
        for stmt in block {
            self.statement(stmt, &mut out)?;
        }
        Ok(out)
    }

    fn set(&mut self, local: u32, value: Id, out: &mut Vec<Stmt>) {
        self.graph.used(value);
        out.push(Stmt::Set(local, value));
    }

    fn statement(&mut self, stmt: &KernelStmt, out: &mut Vec<Stmt>) -> Outcome<()> {
        match stmt {
            KernelStmt::Comment(_) => {}
            KernelStmt::Let(var, e) => {
                let (mut id, of) = self.value(e)?;
                if self.graph.get(id).volatile {
                    let of = ty(of)?;
                    let local = self.local(of, &self.decl(*var)?.name);
                    self.set(local, id, out);
                    id = self.graph.local(local, of, self.level);
                }
                self.bound.insert(*var, Bound::Fixed(id));
            }
            KernelStmt::Mut(var, e) => {
                let (id, of) = self.value(e)?;
                let local = self.local(ty(of)?, &self.decl(*var)?.name);
                self.set(local, id, out);
                self.bound.insert(*var, Bound::Mutable(local));
            }
            KernelStmt::Assign(var, e) => {
                let (id, _) = self.value(e)?;
                let local = self.mutable(*var)?;
                self.set(local, id, out);
            }
            KernelStmt::Store(buf, index, e) => {
                let buffer = self.kernel.buffers.get(buf.0 as usize).ok_or("no such buffer")?;
                let base = self.pointer(buf.0 + 1);
                self.store(base, buffer.elem, index, e, out)?;
            }
            KernelStmt::StoreShared(sh, index, e) => {
                let elem = self.kernel.shared.get(sh.0 as usize).ok_or("no such shared array")?.elem;
                let base = self.shared_at(sh.0);
                self.store(base, elem, index, e, out)?;
            }
            KernelStmt::Loop { axis, var, begin, end, step, body, .. } => {
                let (begin, end, step) = (self.value(begin)?.0, self.value(end)?.0, self.value(step)?.0);
                [begin, end, step].into_iter().for_each(|id| self.graph.used(id));
                let local = self.local(Ty::I32, axis);
                let level = self.level;
                self.level += 1;
                let position = self.graph.local(local, Ty::I32, self.level);
                self.bound.insert(*var, Bound::Fixed(position));
                let body = self.nested(body)?;
                self.level = level;
                out.push(Stmt::Loop { var: local, begin, end, step, level, body });
            }
            KernelStmt::If(c, then, otherwise) => {
                let condition = self.value(c)?.0;
                self.graph.used(condition);
                let (then, otherwise) = (self.nested(then)?, self.nested(otherwise)?);
                out.push(Stmt::If(condition, then, otherwise));
            }
            KernelStmt::Barrier | KernelStmt::GroupReduce(..) => {
                return Err("threads that meet are not legalised".to_string());
            }
        }
        Ok(())
    }

    fn mutable(&self, var: Var) -> Outcome<u32> {
        match self.bound.get(&var) {
            Some(Bound::Mutable(local)) => Ok(*local),
            _ => Err(format!("register {} is not assignable", var.0)),
        }
    }

    pub(crate) fn register(&mut self, var: Var) -> Outcome<Value> {
        let of = self.decl(var)?.ty;
        match self.bound.get(&var) {
            Some(Bound::Fixed(id)) => Ok((*id, of)),
            Some(Bound::Mutable(local)) => Ok((self.graph.variable(*local, ty(of)?, self.level), of)),
            None => Err(format!("register {} has no value", var.0)),
        }
    }

    /// Address `n` of the arguments: symbols first, then buffers.
    fn pointer(&mut self, n: u32) -> Id {
        let args = self.graph.local(ARGS, Ty::I32, 0);
        self.graph.load((Read::I32, 4 * n), args, Ty::I32, 0, 0)
    }

    /// The address of a shared array.
    fn shared_at(&mut self, sh: u32) -> Id {
        let scratch = self.graph.local(SCRATCH, Ty::I32, 0);
        let offset = self.constant(self.shared[sh as usize] as i32);
        self.graph.pure(Inst::Pure(Pure::I32Add), vec![scratch, offset], Ty::I32)
    }

    pub(crate) fn symbol(&mut self, name: &str) -> Outcome<Id> {
        let n = self.kernel.symbols.iter().position(|s| s == name).ok_or_else(|| format!("no symbol `{name}`"))?;
        let symbols = self.pointer(0);
        Ok(self.graph.load((Read::I32, 4 * n as u32), symbols, Ty::I32, 0, 0))
    }

    fn store(&mut self, base: Id, elem: Type, index: &Expr, e: &Expr, out: &mut Vec<Stmt>) -> Outcome<()> {
        let (value, _) = self.value(e)?;
        let (address, offset) = self.address(base, elem, index)?;
        self.graph.used(address);
        self.graph.used(value);
        let write = match (ty(elem)?, elem.lanes) {
            (Ty::I32, _) => Write::I32,
            (Ty::F32, _) => Write::F32,
            (Ty::V128, 2) => Write::Half,
            (Ty::V128, _) => Write::V128,
        };
        out.push(Stmt::Store { write, address, offset, value });
        Ok(())
    }

    /// Reads an element.
    fn read(&mut self, base: Id, elem: Type, index: &Expr, changes: bool) -> Outcome<Value> {
        let (address, offset) = self.address(base, elem, index)?;
        let of = ty(elem)?;
        let read = match (of, elem.lanes) {
            (Ty::I32, _) => Read::I32,
            (Ty::F32, _) => Read::F32,
            (Ty::V128, 2) => Read::Half,
            (Ty::V128, _) => Read::V128,
        };
        let (level, block) = (self.level, self.block);
        Ok(match changes {
            true => (self.graph.load_now((read, offset), address, of, level), elem),
            false => (self.graph.load((read, offset), address, of, level, block), elem),
        })
    }

    pub(crate) fn load(&mut self, buf: u32, index: &Expr) -> Outcome<Value> {
        let buffer = self.kernel.buffers.get(buf as usize).ok_or("no such buffer")?;
        let base = self.pointer(buf + 1);
        self.read(base, buffer.elem, index, buffer.writable)
    }

    pub(crate) fn load_shared(&mut self, sh: u32, index: &Expr) -> Outcome<Value> {
        let elem = self.kernel.shared.get(sh as usize).ok_or("no such shared array")?.elem;
        let base = self.shared_at(sh);
        self.read(base, elem, index, true)
    }

    pub(crate) fn load_table(&mut self, table: u32, index: &Expr) -> Outcome<Value> {
        let table = self.kernel.tables.get(table as usize).ok_or("no such table")?;
        let base = self.constant((self.world.table_at)(table) as i32);
        self.read(base, gristmill_kernel::F32, index, false)
    }

    /// The address of an element as a node and a constant offset. The parts of the index that change least come first,
    /// so that loop invariants form one value.
    fn address(&mut self, base: Id, elem: Type, index: &Expr) -> Outcome<(Id, u32)> {
        let bytes = elem.bytes().ok_or("truth values have no memory")?;
        let (index, _) = self.value(index)?;
        let mut terms: Vec<(Id, u32)> = Vec::new();
        let mut constant = 0u64;
        self.terms(index, bytes, &mut terms, &mut constant, 0);
        terms.sort_by_key(|(id, _)| (self.graph.get(*id).volatile, self.graph.get(*id).level, *id));
        let mut address = base;
        for (id, factor) in terms {
            let term = self.scaled(id, factor);
            address = self.graph.pure(Inst::Pure(Pure::I32Add), vec![address, term], Ty::I32);
        }
        // Sums wrap around: a large constant was negative.
        let constant = constant as u32;
        if constant >= 1 << 31 {
            let rest = self.constant(constant as i32);
            return Ok((self.graph.pure(Inst::Pure(Pure::I32Add), vec![address, rest], Ty::I32), 0));
        }
        Ok((address, constant))
    }

    /// Splits an index into terms with factors.
    fn terms(&mut self, id: Id, factor: u32, terms: &mut Vec<(Id, u32)>, constant: &mut u64, depth: u32) {
        let node = self.graph.get(id).clone();
        let literal = |l: &Self, n: usize| node.args.get(n).and_then(|a| l.graph.as_i32(*a)).map(|n| n as u32);
        match node.op {
            Inst::I32(n) => *constant = constant.wrapping_add(u64::from((n as u32).wrapping_mul(factor))),
            Inst::Pure(Pure::I32Add) if depth < 24 => {
                self.terms(node.args[0], factor, terms, constant, depth + 1);
                self.terms(node.args[1], factor, terms, constant, depth + 1);
            }
            // Without its constant, a negative intermediate value would be a very large address.
            Inst::Pure(Pure::I32Sub) if literal(self, 1).is_some() && depth < 24 => {
                let less = literal(self, 1).unwrap_or(0).wrapping_neg();
                *constant = constant.wrapping_add(u64::from(less.wrapping_mul(factor)));
                self.terms(node.args[0], factor, terms, constant, depth + 1);
            }
            Inst::Pure(Pure::I32Mul) if literal(self, 1).is_some() => {
                let by = literal(self, 1).unwrap_or(1);
                self.terms(node.args[0], factor.wrapping_mul(by), terms, constant, depth + 1);
            }
            Inst::Pure(Pure::I32Shl) if literal(self, 1).is_some_and(|n| n < 32) => {
                let by = 1u32 << literal(self, 1).unwrap_or(0);
                self.terms(node.args[0], factor.wrapping_mul(by), terms, constant, depth + 1);
            }
            _ => match terms.iter_mut().find(|(t, _)| *t == id) {
                Some((_, f)) => *f = f.wrapping_add(factor),
                None => terms.push((id, factor)),
            },
        }
    }

    /// `id * factor`.
    pub(crate) fn scaled(&mut self, id: Id, factor: u32) -> Id {
        let (op, by) = match factor {
            1 => return id,
            n if n.is_power_of_two() => (Pure::I32Shl, n.trailing_zeros() as i32),
            n => (Pure::I32Mul, n as i32),
        };
        let by = self.constant(by);
        self.graph.pure(Inst::Pure(op), vec![id, by], Ty::I32)
    }
}
