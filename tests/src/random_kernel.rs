//! Random kernels whose results are fully defined: no NaN, no infinity, no visible sign of zero, no index out of
//! bounds, and no operation whose rounding depends on the target.
//!
//! A kernel is made from a list of choices. Fewer and smaller choices make simpler kernels, so that lists shrink well.

use gristmill_graph::{Binary, Unary};
use gristmill_kernel::{
    BOOL, Bind, Bit, Buf, Builder, Expr, F32, I32, Kernel, Scalar, Sh, Tab, Type, U32, VEC4F, VEC4U, Var, f, i, u,
};

use crate::models::Numbers;
use crate::module::Symbols;

/// Elements per buffer and shared array; a power of two.
const LEN: u32 = 16;
/// Elements of the constant array.
const TABLE: u32 = 8;
/// Upper bound for floats.
const LARGEST: f32 = 1e6;
const VEC2F: Type = Type::vec(Scalar::F32, 2);
const VEC2U: Type = Type::vec(Scalar::U32, 2);
const VEC4I: Type = Type::vec(Scalar::I32, 4);
/// The types of registers.
const TYPES: [Type; 9] = [U32, F32, I32, VEC4F, VEC4I, VEC4U, VEC2F, VEC2U, BOOL];
/// The element types of buffers. For each type, one buffer is only read, and one is also written.
const MEMORY: [Type; 7] = [U32, F32, I32, VEC4F, VEC4I, VEC4U, VEC2F];

/// A random kernel and its inputs.
#[derive(Clone, Debug)]
pub struct Random {
    /// The kernel, before legalization.
    pub kernel: Kernel,
    /// The values of its symbols.
    pub symbols: Symbols,
    /// The content of its buffers.
    pub buffers: Vec<Vec<u32>>,
}

/// Builds a kernel. `functions` says whether it may use functions that legalization approximates; their results only
/// agree where the same roundings are made.
///
/// # Panics
/// If the kernel is ill-typed, which is a bug here.
pub fn random_kernel(choices: &[u32], functions: bool) -> Random {
    let mut b = Builder::new("random");
    b.bound_symbol("S", 8);
    let memory = MEMORY.map(|ty| {
        let name = ty.to_string().replace(['<', '>'], "");
        let read = b.buffer(&format!("in_{name}"), ty, false);
        (ty, read, b.buffer(&format!("out_{name}"), ty, true))
    });
    let shared = [(F32, b.shared("shared_f32", F32, LEN)), (VEC4U, b.shared("shared_vec4u", VEC4U, LEN))];
    let table = b.table("table", &[0.0, 1.0, -2.5, 3.25, 1e5, -0.125, 7.0, 1e-9]);
    let (outer, inner) = (b.grid_axis("outer", Expr::symbol("S")), b.grid_axis("inner", 3));
    b.for_("element", 0, LEN, 1, Bind::Serial, |b, n| {
        b.store_shared(shared[0].1, &n, n.to_f32() - 3.0);
        b.store_shared(shared[1].1, &n, n.splat(4));
    });
    let known = vec![(outer, U32, None), (inner, U32, None)];
    let mut g = Maker { choices, at: 0, functions, memory, shared, table, known, loops: 0 };
    g.block(&mut b, 3);
    let symbols = ["S".to_string(), "K".to_string()];
    let kernel = b.finish(&symbols).unwrap_or_else(|e| panic!("{e}"));
    let mut numbers = Numbers::new(u64::from(choices.first().copied().unwrap_or(0)));
    let buffers = kernel.buffers.iter().map(|b| words(&mut numbers, b.elem)).collect();
    Random { kernel, symbols: Symbols::from([("S".to_string(), 2), ("K".to_string(), 5)]), buffers }
}

/// Memory with all kinds of numbers: extreme integers, moderate floats.
fn words(numbers: &mut Numbers, ty: Type) -> Vec<u32> {
    let edges = [0, 1, u32::MAX, 1 << 31, i32::MAX as u32, 31, 32];
    (0..LEN * u32::from(ty.lanes))
        .map(|_| match (ty.scalar, numbers.below(4)) {
            (Scalar::F32, 0) => (numbers.below(64) as f32 - 32.0).to_bits(),
            (Scalar::F32, _) => (numbers.normal() * 100.0).to_bits(),
            (_, 0) => edges[numbers.below(edges.len())],
            (_, 1) => numbers.below(40) as u32,
            _ => (numbers.uniform().to_bits()).wrapping_mul(0x9e37_79b9),
        })
        .collect()
}

struct Maker<'c> {
    choices: &'c [u32],
    at: usize,
    functions: bool,
    memory: [(Type, Buf, Buf); 7],
    shared: [(Type, Sh); 2],
    table: Tab,
    /// Registers in scope.
    known: Vec<(Expr, Type, Option<Var>)>,
    /// Number of enclosing loops.
    loops: u32,
}

impl Maker<'_> {
    /// A choice among `n`; the first is the simplest.
    fn pick(&mut self, n: u32) -> u32 {
        let choice = self.choices.get(self.at).copied().unwrap_or(0);
        self.at += 1;
        choice % n
    }

    fn done(&self) -> bool {
        self.at >= self.choices.len()
    }

    fn block(&mut self, b: &mut Builder, depth: u32) {
        let known = self.known.len();
        for _ in 0..1 + self.pick(5) {
            self.statement(b, depth);
        }
        self.store(b);
        self.known.truncate(known);
    }

    fn statement(&mut self, b: &mut Builder, depth: u32) {
        if self.done() {
            return;
        }
        match self.pick(if depth > 0 { 11 } else { 7 }) {
            0 | 1 => self.store(b),
            2 => {
                let ty = TYPES[self.pick(9) as usize];
                let value = self.expr(ty, 3);
                let value = b.let_("fixed", value);
                self.known.push((value, ty, None));
            }
            3 => {
                let ty = TYPES[self.pick(9) as usize];
                let value = self.expr(ty, 2);
                let var = b.var("changing", value);
                self.known.push((var.get(), ty, Some(var)));
            }
            4 | 5 => self.assign(b),
            6 => self.store_shared(b),
            7 | 8 => {
                let condition = self.expr(BOOL, 2);
                let both = self.pick(2) == 1;
                // Both closures need the maker, one after the other.
                let maker = std::cell::RefCell::new(self);
                b.if_else(
                    condition,
                    |b| maker.borrow_mut().block(b, depth - 1),
                    |b| {
                        if both {
                            maker.borrow_mut().block(b, depth - 1);
                        }
                    },
                );
            }
            _ => self.repeat(b, depth),
        }
    }

    fn repeat(&mut self, b: &mut Builder, depth: u32) {
        let begin = if self.pick(2) == 0 { u(0) } else { self.index(3) };
        let literal = self.pick(3) == 0;
        let end = if literal { u(1 + self.pick(5)) } else { self.index(7) };
        let step = if self.pick(2) == 0 { u(1) } else { self.index(1) + 1 };
        let unroll = literal && begin.as_u32().is_some() && step.as_u32().is_some();
        let bind = if unroll && self.pick(2) == 1 { Bind::Unroll } else { Bind::Serial };
        self.loops += 1;
        b.for_("step", begin, end, step, bind, |b, position| {
            let known = self.known.len();
            self.known.push((position, U32, None));
            self.block(b, depth - 1);
            self.known.truncate(known);
        });
        self.loops -= 1;
    }

    fn assign(&mut self, b: &mut Builder) {
        let mutable: Vec<(Type, Var)> = self.known.iter().filter_map(|(_, ty, var)| Some((*ty, (*var)?))).collect();
        if mutable.is_empty() {
            return self.store(b);
        }
        let (ty, var) = mutable[self.pick(mutable.len() as u32) as usize];
        if ty.lanes > 1 && self.pick(2) == 1 {
            let lane = self.pick(u32::from(ty.lanes)) as u8;
            let value = self.expr(Type::scalar(ty.scalar), 2);
            let lanes = (0..ty.lanes).map(|n| if n == lane { value.clone() } else { var.get().lane(u32::from(n)) });
            let lanes: Vec<Expr> = lanes.collect();
            b.assign(var, Expr::vec(lanes));
        } else {
            let value = self.expr(ty, 3);
            b.assign(var, value);
        }
    }

    fn store(&mut self, b: &mut Builder) {
        let (ty, _, buf) = self.memory[self.pick(7) as usize];
        let (index, value) = (self.index(LEN - 1), self.expr(ty, 3));
        b.store(buf, index, value);
    }

    fn store_shared(&mut self, b: &mut Builder) {
        let (ty, sh) = self.shared[self.pick(2) as usize];
        let (index, value) = (self.index(LEN - 1), self.expr(ty, 2));
        b.store_shared(sh, index, value);
    }

    /// An index of at most `mask`, which is a power of two minus one.
    fn index(&mut self, mask: u32) -> Expr {
        match self.pick(5) {
            0 => u(self.pick(mask + 1)),
            1 => {
                let known: Vec<Expr> = self.of_type(U32);
                let e = if known.is_empty() { u(0) } else { known[self.pick(known.len() as u32) as usize].clone() };
                bits(Bit::And, e, u(mask))
            }
            // Negative intermediate values.
            2 => {
                let (e, n) = (self.expr(U32, 1), self.pick(4000));
                bits(Bit::And, e, u(mask)) - n + n
            }
            3 => Expr::Binary(Binary::Min, Box::new(self.small(2)), Box::new(u(mask))),
            _ => bits(Bit::And, self.expr(U32, 2), u(mask)),
        }
    }

    fn of_type(&self, ty: Type) -> Vec<Expr> {
        self.known.iter().filter(|(_, t, _)| *t == ty).map(|(e, ..)| e.clone()).collect()
    }

    fn leaf(&mut self, ty: Type) -> Expr {
        let known = self.of_type(ty);
        match self.pick(4) {
            0 => {}
            1 if !known.is_empty() => return known[self.pick(known.len() as u32) as usize].clone(),
            2 if ty != BOOL && ty != VEC2U => return self.load(ty),
            _ => {}
        }
        let n = self.pick(12);
        match ty.scalar {
            Scalar::Bool => Expr::Bool(n.is_multiple_of(2)),
            _ if ty.lanes > 1 => self.leaf(Type::scalar(ty.scalar)).splat(ty.lanes),
            Scalar::F32 => f([1.0, -2.0, 0.5, 100.25, -1e-3, 3.0][n as usize % 6]),
            Scalar::I32 => i([1, 0, -1, 7, i32::MIN, i32::MAX][n as usize % 6]),
            _ if n >= 10 => Expr::symbol(if n == 10 { "S" } else { "K" }),
            _ => u([1, 0, 3, 8, 0x8000_0000, u32::MAX, 31, 77, 255, 12][n as usize]),
        }
    }

    /// An element of a buffer, a shared array or the table.
    fn load(&mut self, ty: Type) -> Expr {
        let index = self.index(LEN - 1);
        let kind = self.pick(4);
        if kind == 3 && ty == F32 {
            return self.table.at(self.index(TABLE - 1));
        }
        if kind == 2
            && let Some((_, sh)) = self.shared.iter().find(|(t, _)| *t == ty)
        {
            return sh.at(index);
        }
        match self.memory.iter().find(|(t, ..)| *t == ty) {
            Some((_, _, out)) if kind == 1 => out.at(index),
            Some((_, read, _)) => read.at(index),
            None => self.leaf(ty),
        }
    }

    /// A float of magnitude at most [`LARGEST`], whatever `e` is.
    fn moderate(&self, e: Expr, ty: Type) -> Expr {
        let limit = |x: f32| if ty.lanes == 1 { f(x) } else { f(x).splat(ty.lanes) };
        binary(Binary::Max, binary(Binary::Min, e, limit(LARGEST)), limit(-LARGEST))
    }

    /// A u32 below a thousand that cannot overflow on the way.
    fn small(&mut self, depth: u32) -> Expr {
        if depth == 0 {
            return bits(Bit::And, self.leaf(U32), u(31));
        }
        let (a, b) = (self.small(depth - 1), self.small(depth - 1));
        let op = [Binary::Add, Binary::Mul, Binary::Div, Binary::Rem, Binary::Max, Binary::Min][self.pick(6) as usize];
        bits(Bit::And, binary(op, a, b), u(255))
    }

    fn expr(&mut self, ty: Type, depth: u32) -> Expr {
        if depth == 0 || self.done() {
            return self.leaf(ty);
        }
        let depth = depth - 1;
        match self.pick(8) {
            0 => self.leaf(ty),
            1 => {
                let (c, a, b) = (self.expr(BOOL, depth), self.expr(ty, depth), self.expr(ty, depth));
                Expr::Select(Box::new(c), Box::new(a), Box::new(b))
            }
            2 if ty.lanes > 1 => self.vector(ty, depth),
            2 if ty != BOOL => self.lane(ty, depth),
            _ => match ty.scalar {
                Scalar::Bool => self.truth(depth),
                Scalar::F32 => self.float(ty, depth),
                Scalar::I32 => self.signed(ty, depth),
                _ => self.unsigned(ty, depth),
            },
        }
    }

    fn vector(&mut self, ty: Type, depth: u32) -> Expr {
        let part = Type::scalar(ty.scalar);
        match self.pick(4) {
            0 => self.expr(part, depth).splat(ty.lanes),
            1 if ty.lanes == 4 => {
                let lanes = [(); 4].map(|()| self.pick(8) as u8);
                let (a, b) = (self.expr(ty, depth), self.expr(ty, depth));
                a.shuffle(b, lanes)
            }
            2 if ty == VEC4F || ty == VEC4U => {
                let half = Type::vec(ty.scalar, 2);
                Expr::Vec(vec![self.expr(half, depth), self.expr(half, depth)])
            }
            _ => Expr::Vec((0..ty.lanes).map(|_| self.expr(part, depth)).collect()),
        }
    }

    fn lane(&mut self, ty: Type, depth: u32) -> Expr {
        let lanes = if ty != I32 && self.pick(2) == 1 { 2 } else { 4u8 };
        let vector = self.expr(Type::vec(ty.scalar, lanes), depth);
        let lane = if self.pick(2) == 0 { u(self.pick(u32::from(lanes))) } else { self.index(u32::from(lanes) - 1) };
        Expr::Lane(Box::new(vector), Box::new(lane))
    }

    fn truth(&mut self, depth: u32) -> Expr {
        let compare = [Binary::Lt, Binary::Le, Binary::Gt, Binary::Ge, Binary::Eq, Binary::Ne];
        let op = compare[self.pick(6) as usize];
        match self.pick(7) {
            0 => binary(op, self.small(depth), self.small(depth)),
            1 => binary(op, self.expr(I32, depth), self.expr(I32, depth)),
            2 => binary(op, self.expr(F32, depth), self.expr(F32, depth)),
            3 => Expr::Unary(Unary::Not, Box::new(self.expr(BOOL, depth))),
            4 => binary(Binary::And, self.expr(BOOL, depth), self.expr(BOOL, depth)),
            5 => binary(Binary::Or, self.expr(BOOL, depth), self.expr(BOOL, depth)),
            _ => {
                let ty = [U32, I32, F32][self.pick(3) as usize];
                self.expr(ty, depth).cast(Scalar::Bool)
            }
        }
    }

    /// An exact float: an integer.
    fn whole(&mut self, ty: Type, depth: u32) -> Expr {
        let of = if ty.lanes == 2 { U32 } else { I32 };
        let e = self.expr(Type::vec(of.scalar, ty.lanes), depth);
        let byte = if of == U32 { u(255) } else { i(255) };
        let byte = if ty.lanes == 1 { byte } else { byte.splat(ty.lanes) };
        bits(Bit::And, e, byte).cast(Scalar::F32)
    }

    fn float(&mut self, ty: Type, depth: u32) -> Expr {
        let one = if ty.lanes == 1 { f(1.0) } else { f(1.0).splat(ty.lanes) };
        let sum = [Binary::Add, Binary::Sub, Binary::Mul][self.pick(3) as usize];
        match self.pick(if self.functions { 13 } else { 12 }) {
            0 | 1 => {
                let e = binary(sum, self.expr(ty, depth), self.expr(ty, depth));
                self.moderate(e, ty)
            }
            2 => binary(Binary::Max, self.expr(ty, depth), self.expr(ty, depth)),
            3 => binary(Binary::Min, self.expr(ty, depth), self.expr(ty, depth)),
            4 => binary(Binary::Div, self.expr(ty, depth), self.expr(ty, depth).unary(Unary::Abs) + one),
            5 => {
                let op = [Unary::Sqrt, Unary::Rsqrt, Unary::Recip][self.pick(3) as usize];
                (self.expr(ty, depth).unary(Unary::Abs) + one).unary(op)
            }
            6 => {
                let op = [Unary::Neg, Unary::Abs, Unary::Floor][self.pick(3) as usize];
                self.expr(ty, depth).unary(op)
            }
            7 => self.whole(ty, depth).fma(self.whole(ty, depth), self.whole(ty, depth)),
            8 if ty == F32 => {
                let of = if self.pick(2) == 0 { VEC4F } else { VEC2F };
                self.whole(of, depth).dot(self.whole(of, depth))
            }
            9 => {
                let of = if ty.lanes == 2 || self.pick(2) == 0 { Scalar::U32 } else { Scalar::I32 };
                let e = self.expr(Type::vec(of, ty.lanes), depth).cast(Scalar::F32);
                self.moderate(e, ty)
            }
            10 if ty == VEC2F => {
                // Finite f16 only.
                bits(Bit::And, self.expr(U32, depth), u(0xbfff_bfff)).halves_f16()
            }
            11 if ty == F32 => self.expr(BOOL, depth).to_f32(),
            12 => {
                // Functions other than single instructions and roots.
                let inexact = |op: &&Unary| op.row().f32.is_some_and(|f| !f.exact);
                let all: Vec<&Unary> = Unary::ALL.iter().filter(inexact).collect();
                let op = *all[self.pick(all.len() as u32) as usize];
                let e = self.expr(ty, depth);
                let [least, largest] = op.row().domain;
                let limit = |x: f32| if ty.lanes == 1 { f(x) } else { f(x).splat(ty.lanes) };
                let argument = if least > 0.0 {
                    e.unary(Unary::Abs) + one
                } else {
                    let below = binary(Binary::Min, e, limit(largest.min(10.0)));
                    binary(Binary::Max, below, limit(least.max(-10.0)))
                };
                argument.unary(op)
            }
            _ => self.leaf(ty),
        }
    }

    /// A shift amount; amounts above 31 count modulo 32.
    fn amount(&mut self) -> Expr {
        if self.pick(3) == 0 { u(self.pick(32)) } else { bits(Bit::And, self.leaf(U32), u(31)) }
    }

    fn bit_operation(&mut self, ty: Type, depth: u32) -> Expr {
        let op = [Bit::And, Bit::Or, Bit::Xor, Bit::Shl, Bit::Shr][self.pick(5) as usize];
        let a = self.expr(ty, depth);
        let b = if matches!(op, Bit::Shl | Bit::Shr) { self.amount() } else { self.expr(ty, depth) };
        bits(op, a, b)
    }

    fn signed(&mut self, ty: Type, depth: u32) -> Expr {
        use Binary::{Add, Div, Max, Min, Mul, Rem, Sub};
        let op = [Add, Sub, Mul, Div, Rem, Max, Min][self.pick(7) as usize];
        match self.pick(9) {
            0 | 1 => binary(op, self.expr(ty, depth), self.expr(ty, depth)),
            2 => self.bit_operation(ty, depth),
            3 => self.expr(ty, depth).unary(if self.pick(2) == 0 { Unary::Neg } else { Unary::Abs }),
            4 => self.expr(Type::vec(Scalar::U32, ty.lanes), depth).bitcast(Scalar::I32),
            5 => self.expr(Type::vec(Scalar::F32, ty.lanes), depth).cast(Scalar::I32),
            6 if ty == VEC4I => self.expr(U32, depth).bytes_i8(),
            7 if ty == VEC4I => {
                let wide = |m: &mut Self| bits(Bit::Shr, m.expr(VEC4I, depth), u(16));
                let (a, b) = (wide(self), wide(self));
                a.pair_sums(b)
            }
            8 => {
                let of = Type::vec(Scalar::U32, ty.lanes);
                let seven = if ty.lanes == 1 { u(0x7f7f_7f7f) } else { u(0x7f7f_7f7f).splat(ty.lanes) };
                let (a, b) = (self.expr(of, depth), bits(Bit::And, self.expr(of, depth), seven));
                a.dot_bytes(b, self.expr(ty, depth))
            }
            _ => self.expr(Type::vec(Scalar::U32, ty.lanes), depth).cast(Scalar::I32),
        }
    }

    fn unsigned(&mut self, ty: Type, depth: u32) -> Expr {
        use Binary::{Add, Div, Max, Min, Mul, Rem, Sub};
        match self.pick(10) {
            0 | 1 => {
                let op = [Add, Sub, Mul, Max, Min][self.pick(5) as usize];
                binary(op, self.expr(ty, depth), self.expr(ty, depth))
            }
            2 if ty.lanes == 1 => {
                // Dividends must not be sums that overflow; elements of memory are not sums.
                let op = if self.pick(2) == 0 { Div } else { Rem };
                let dividend = if self.pick(2) == 0 { self.load(U32) } else { self.small(depth) };
                binary(op, dividend, self.expr(U32, depth))
            }
            2 => binary(if self.pick(2) == 0 { Div } else { Rem }, self.leaf(ty), self.expr(ty, depth)),
            3 => self.bit_operation(ty, depth),
            4 => self.expr(ty, depth).unary(Unary::Not),
            5 if ty.lanes != 2 => self.expr(Type::vec(Scalar::I32, ty.lanes), depth).bitcast(Scalar::U32),
            6 => self.expr(Type::vec(Scalar::F32, ty.lanes), depth).cast(Scalar::U32),
            7 if ty == VEC4U => self.expr(U32, depth).bytes_u8(),
            8 if ty == U32 => self.expr(VEC2F, depth).pack_f16(),
            9 if ty == U32 => self.small(depth),
            5 => self.expr(ty, depth),
            _ => {
                // One plus something positive is never a zero, whose sign would be visible.
                let of = Type::vec(Scalar::F32, ty.lanes);
                let one = if ty.lanes == 1 { f(1.0) } else { f(1.0).splat(ty.lanes) };
                (self.expr(of, depth).unary(Unary::Abs) + one).bitcast(Scalar::U32)
            }
        }
    }
}

fn binary(op: Binary, a: Expr, b: Expr) -> Expr {
    Expr::Binary(op, Box::new(a), Box::new(b))
}

fn bits(op: Bit, a: Expr, b: Expr) -> Expr {
    Expr::Bit(op, Box::new(a), Box::new(b))
}
