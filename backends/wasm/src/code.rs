//! Turns nodes and statements into instructions. Common subexpressions get locals, and loop invariants are computed
//! before the loop. Engines do neither reliably.

use std::collections::{HashMap, HashSet};

use wasm_encoder::{BlockType, Function, Instruction, ValType};

use crate::node::{Graph, Id, Inst, Ty, memarg};

/// How a value is stored to memory.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Write {
    I32,
    F32,
    V128,
    /// The lower half of a vector.
    Half,
}

/// A statement.
#[derive(Debug)]
pub(crate) enum Stmt {
    Set(u32, Id),
    Store {
        write: Write,
        address: Id,
        offset: u32,
        value: Id,
    },
    /// `for var = begin; var < end; var += step`, unsigned. `level` is the number of enclosing loops.
    Loop {
        var: u32,
        begin: Id,
        end: Id,
        step: Id,
        level: u32,
        body: Vec<Stmt>,
    },
    If(Id, Vec<Stmt>, Vec<Stmt>),
}

/// Emits the body of a function.
pub(crate) struct Coder<'g> {
    graph: &'g Graph,
    params: u32,
    locals: Vec<Ty>,
    out: Vec<Instruction<'static>>,
    /// Values in locals, by the block that computed them, innermost last.
    held: Vec<HashMap<Id, u32>>,
    /// Values in locals that statements may change, valid only during the current statement.
    now: HashMap<Id, u32>,
}

impl<'g> Coder<'g> {
    /// A function with this many parameters; `locals` are the types of the locals after them.
    pub(crate) fn new(graph: &'g Graph, params: u32, locals: Vec<Ty>) -> Self {
        Coder { graph, params, locals, out: Vec::new(), held: vec![HashMap::new()], now: HashMap::new() }
    }

    /// The finished function.
    pub(crate) fn finish(mut self) -> Function {
        self.out.push(Instruction::End);
        let mut runs: Vec<(u32, ValType)> = Vec::new();
        for ty in &self.locals {
            match runs.last_mut() {
                Some((n, last)) if *last == ty.val() => *n += 1,
                _ => runs.push((1, ty.val())),
            }
        }
        let mut function = Function::new(runs);
        for instruction in &self.out {
            function.instruction(instruction);
        }
        function
    }

    fn local(&mut self, ty: Ty) -> u32 {
        self.locals.push(ty);
        self.params + self.locals.len() as u32 - 1
    }

    /// Constants that cost at most one instruction.
    fn trivial(op: Inst) -> bool {
        matches!(op, Inst::I32(_) | Inst::F32(_) | Inst::Local(_) | Inst::Variable(_) | Inst::V128(0 | -1))
    }

    /// Pushes a value onto the stack.
    pub(crate) fn value(&mut self, id: Id) {
        let graph = self.graph;
        let node = graph.get(id);
        if let Some(local) = self.held.iter().rev().find_map(|block| block.get(&id)).or(self.now.get(&id)) {
            self.out.push(Instruction::LocalGet(*local));
            return;
        }
        node.args.iter().for_each(|a| self.value(*a));
        self.out.push(node.op.instruction());
        if node.uses > 1 && !Self::trivial(node.op) {
            let local = self.local(node.ty);
            self.out.push(Instruction::LocalTee(local));
            if node.volatile {
                self.now.insert(id, local);
            } else {
                self.hold(id, local);
            }
        }
    }

    /// Makes sure that a value is in a local.
    fn keep(&mut self, id: Id) {
        if self.held.iter().any(|block| block.contains_key(&id)) {
            return;
        }
        self.value(id);
        match self.out.last() {
            Some(Instruction::LocalTee(local)) => {
                let local = *local;
                self.out.pop();
                self.out.push(Instruction::LocalSet(local));
            }
            _ => {
                let local = self.local(self.graph.get(id).ty);
                self.out.push(Instruction::LocalSet(local));
                self.hold(id, local);
            }
        }
    }

    fn hold(&mut self, id: Id, local: u32) {
        if let Some(block) = self.held.last_mut() {
            block.insert(id, local);
        }
    }

    pub(crate) fn block(&mut self, block: &[Stmt]) {
        block.iter().for_each(|stmt| self.stmt(stmt));
    }

    fn inner(&mut self, block: &[Stmt]) {
        self.held.push(HashMap::new());
        self.block(block);
        self.held.pop();
    }

    fn stmt(&mut self, stmt: &Stmt) {
        self.now.clear();
        match stmt {
            Stmt::Set(local, value) => {
                self.value(*value);
                self.out.push(Instruction::LocalSet(*local));
            }
            Stmt::Store { write, address, offset, value } => {
                self.value(*address);
                self.value(*value);
                self.out.push(match write {
                    Write::I32 => Instruction::I32Store(memarg(*offset, 2)),
                    Write::F32 => Instruction::F32Store(memarg(*offset, 2)),
                    Write::V128 => Instruction::V128Store(memarg(*offset, 4)),
                    Write::Half => Instruction::V128Store64Lane { memarg: memarg(*offset, 3), lane: 0 },
                });
            }
            Stmt::If(condition, then, otherwise) => {
                self.value(*condition);
                self.out.push(Instruction::If(BlockType::Empty));
                self.inner(then);
                if !otherwise.is_empty() {
                    self.out.push(Instruction::Else);
                    self.inner(otherwise);
                }
                self.out.push(Instruction::End);
            }
            Stmt::Loop { var, begin, end, step, level, body } => self.repeat(*var, (*begin, *end, *step), *level, body),
        }
    }

    /// The condition is tested after the body, and once before the loop.
    fn repeat(&mut self, var: u32, (begin, end, step): (Id, Id, Id), level: u32, body: &[Stmt]) {
        self.value(begin);
        self.out.push(Instruction::LocalTee(var));
        self.value(end);
        self.out.extend([Instruction::I32LtU, Instruction::If(BlockType::Empty)]);
        self.held.push(HashMap::new());
        let mut fixed = Fixed { graph: self.graph, level, found: Vec::new(), seen: HashSet::new() };
        fixed.node(end);
        fixed.node(step);
        fixed.block(body);
        for id in fixed.found {
            self.keep(id);
        }
        self.out.push(Instruction::Loop(BlockType::Empty));
        self.inner(body);
        self.now.clear();
        self.out.push(Instruction::LocalGet(var));
        self.value(step);
        self.out.extend([Instruction::I32Add, Instruction::LocalTee(var)]);
        self.value(end);
        self.out.extend([Instruction::I32LtU, Instruction::BrIf(0), Instruction::End, Instruction::End]);
        self.held.pop();
    }
}

/// Finds the largest loop-invariant computations.
struct Fixed<'g> {
    graph: &'g Graph,
    level: u32,
    found: Vec<Id>,
    seen: HashSet<Id>,
}

impl Fixed<'_> {
    fn block(&mut self, block: &[Stmt]) {
        for stmt in block {
            match stmt {
                Stmt::Set(_, value) => self.node(*value),
                Stmt::Store { address, value, .. } => {
                    self.node(*address);
                    self.node(*value);
                }
                Stmt::If(condition, then, otherwise) => {
                    self.node(*condition);
                    self.block(then);
                    self.block(otherwise);
                }
                Stmt::Loop { begin, end, step, body, .. } => {
                    [begin, end, step].into_iter().for_each(|id| self.node(*id));
                    self.block(body);
                }
            }
        }
    }

    fn node(&mut self, id: Id) {
        if !self.seen.insert(id) {
            return;
        }
        let node = self.graph.get(id);
        if !node.volatile && node.level <= self.level {
            if !Coder::trivial(node.op) {
                self.found.push(id);
            }
            return;
        }
        node.args.iter().for_each(|a| self.node(*a));
    }
}
