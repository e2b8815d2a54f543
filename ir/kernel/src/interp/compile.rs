//! Resolves a kernel for the interpreter: types are attached, names and symbols are gone.

use std::collections::BTreeMap;

use gristmill_graph::{Binary, Unary};

use crate::kernel::{Bit, Expr, GroupOp, Kernel, Scalar, Stmt, VarDecl};
use crate::types::{type_of, var_type};

/// An expression with the types that its evaluation needs.
pub(super) enum Node {
    /// The same word in all threads.
    Const(u32),
    Var(usize),
    Unary(Unary, Scalar, Box<Node>),
    Binary(Binary, Scalar, Box<Node>, Box<Node>),
    /// Operands, and whether the second is a scalar while the first is a vector.
    Bit(Bit, Scalar, Box<Node>, Box<Node>),
    Select(Box<Node>, Box<Node>, Box<Node>),
    Cast {
        from: Scalar,
        to: Scalar,
        value: Box<Node>,
    },
    Load(usize, Box<Node>),
    LoadShared(usize, Box<Node>),
    Table(usize, Box<Node>),
    Vec(Vec<Node>),
    Splat(u8, Box<Node>),
    Lane(Box<Node>, Box<Node>),
    Dot(Scalar, Box<Node>, Box<Node>),
    Fma(Scalar, Box<Node>, Box<Node>, Box<Node>),
    Bytes {
        signed: bool,
        word: Box<Node>,
    },
    UnpackF16x2(Box<Node>),
    PackF16(Box<Node>),
    Shuffle(Box<Node>, Box<Node>, [u8; 4]),
    DotBytes(Box<Node>, Box<Node>, Box<Node>),
    PairSums(Box<Node>, Box<Node>),
    Lookup(Box<Node>, [u32; 4]),
    Subgroup(GroupOp, Scalar, Box<Node>),
    SubgroupLane,
    SubgroupSize,
    DotSignedness,
    LocalIndex,
    Call(usize, Vec<Node>),
}

/// A statement.
pub(super) enum Code {
    Set(usize, Node),
    /// Register, value.
    Assign(usize, Node),
    Store(usize, Node, Node),
    StoreShared(usize, Node, Node),
    Loop {
        var: usize,
        begin: Node,
        end: Node,
        step: Node,
        body: Vec<Code>,
    },
    If(Node, Vec<Code>, Vec<Code>),
    Barrier,
    GroupReduce(GroupOp, Scalar, usize),
}

/// A helper function.
pub(super) struct Function {
    pub(super) registers: usize,
    pub(super) lets: Vec<(usize, Node)>,
    pub(super) result: Node,
}

/// A resolved kernel.
pub(super) struct Program {
    pub(super) body: Vec<Code>,
    pub(super) functions: Vec<Function>,
}

struct Resolver<'a> {
    kernel: &'a Kernel,
    vars: &'a [VarDecl],
    symbols: &'a BTreeMap<String, u32>,
}

impl Program {
    pub(super) fn new(kernel: &Kernel, symbols: &BTreeMap<String, u32>) -> Result<Program, String> {
        let functions = kernel
            .helpers
            .iter()
            .map(|helper| {
                let r = Resolver { kernel, vars: &helper.vars, symbols };
                let mut lets = Vec::new();
                for stmt in &helper.body {
                    if let Stmt::Let(var, e) = stmt {
                        lets.push((var.0 as usize, r.node(e)?));
                    }
                }
                Ok(Function { registers: helper.vars.len(), lets, result: r.node(&helper.result)? })
            })
            .collect::<Result<Vec<_>, String>>()?;
        let r = Resolver { kernel, vars: &kernel.vars, symbols };
        Ok(Program { body: r.block(&kernel.body)?, functions })
    }
}

impl Resolver<'_> {
    fn scalar(&self, e: &Expr) -> Result<Scalar, String> {
        Ok(type_of(e, self.kernel, self.vars)?.scalar)
    }

    fn node(&self, e: &Expr) -> Result<Node, String> {
        let sub = |e: &Expr| self.node(e).map(Box::new);
        Ok(match e {
            Expr::F32(x) => Node::Const(x.to_bits()),
            Expr::U32(n) | Expr::Named(_, n) => Node::Const(*n),
            Expr::I32(n) => Node::Const(*n as u32),
            Expr::Bool(b) => Node::Const(u32::from(*b)),
            Expr::Var(v) => Node::Var(v.0 as usize),
            Expr::Symbol(s) => Node::Const(*self.symbols.get(s).ok_or_else(|| format!("symbol `{s}` has no value"))?),
            Expr::Unary(op, a) => Node::Unary(*op, self.scalar(a)?, sub(a)?),
            Expr::Binary(op, a, b) => Node::Binary(*op, self.scalar(a)?, sub(a)?, sub(b)?),
            Expr::Bit(op, a, b) => Node::Bit(*op, self.scalar(a)?, sub(a)?, sub(b)?),
            Expr::Select(c, a, b) => Node::Select(sub(c)?, sub(a)?, sub(b)?),
            Expr::Cast(to, a) => Node::Cast { from: self.scalar(a)?, to: *to, value: sub(a)? },
            // Registers hold raw words, so the same bits are the same value.
            Expr::Bitcast(_, a) => self.node(a)?,
            Expr::Load(buf, i) => Node::Load(buf.0 as usize, sub(i)?),
            Expr::LoadShared(sh, i) => Node::LoadShared(sh.0 as usize, sub(i)?),
            Expr::Table(table, i) => Node::Table(table.0 as usize, sub(i)?),
            Expr::Vec(parts) => Node::Vec(self.nodes(parts)?),
            Expr::Splat(n, a) => Node::Splat(*n, sub(a)?),
            Expr::Lane(a, n) => Node::Lane(sub(a)?, sub(n)?),
            Expr::Dot(a, b) => Node::Dot(self.scalar(a)?, sub(a)?, sub(b)?),
            Expr::Fma(a, b, c) => Node::Fma(self.scalar(a)?, sub(a)?, sub(b)?, sub(c)?),
            Expr::BytesU8(a) => Node::Bytes { signed: false, word: sub(a)? },
            Expr::BytesI8(a) => Node::Bytes { signed: true, word: sub(a)? },
            Expr::UnpackF16x2(a) => Node::UnpackF16x2(sub(a)?),
            Expr::PackF16(a) => Node::PackF16(sub(a)?),
            Expr::Shuffle(a, b, lanes) => Node::Shuffle(sub(a)?, sub(b)?, *lanes),
            Expr::DotBytes(a, b, c) => Node::DotBytes(sub(a)?, sub(b)?, sub(c)?),
            Expr::PairSums(a, b) => Node::PairSums(sub(a)?, sub(b)?),
            Expr::Lookup(a, table) => Node::Lookup(sub(a)?, *table),
            Expr::Subgroup(op, a) => Node::Subgroup(*op, self.scalar(a)?, sub(a)?),
            Expr::SubgroupLane => Node::SubgroupLane,
            Expr::SubgroupSize => Node::SubgroupSize,
            Expr::DotSignedness => Node::DotSignedness,
            Expr::LocalIndex => Node::LocalIndex,
            Expr::Call(helper, args) => Node::Call(*helper as usize, self.nodes(args)?),
        })
    }

    fn nodes(&self, parts: &[Expr]) -> Result<Vec<Node>, String> {
        parts.iter().map(|e| self.node(e)).collect()
    }

    fn block(&self, block: &[Stmt]) -> Result<Vec<Code>, String> {
        let mut out = Vec::with_capacity(block.len());
        for stmt in block {
            out.push(match stmt {
                Stmt::Comment(_) => continue,
                Stmt::Let(var, e) | Stmt::Mut(var, e) => Code::Set(var.0 as usize, self.node(e)?),
                Stmt::Assign(var, e) => Code::Assign(var.0 as usize, self.node(e)?),
                Stmt::Store(buf, i, e) => Code::Store(buf.0 as usize, self.node(i)?, self.node(e)?),
                Stmt::StoreShared(sh, i, e) => Code::StoreShared(sh.0 as usize, self.node(i)?, self.node(e)?),
                Stmt::Loop { var, begin, end, step, body, .. } => Code::Loop {
                    var: var.0 as usize,
                    begin: self.node(begin)?,
                    end: self.node(end)?,
                    step: self.node(step)?,
                    body: self.block(body)?,
                },
                Stmt::If(c, a, b) => Code::If(self.node(c)?, self.block(a)?, self.block(b)?),
                Stmt::Barrier => Code::Barrier,
                Stmt::GroupReduce(op, var) => Code::GroupReduce(*op, var_type(*var, self.vars)?.scalar, var.0 as usize),
            });
        }
        Ok(out)
    }
}
