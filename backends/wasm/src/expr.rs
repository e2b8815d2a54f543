//! Instructions for expressions.

use gristmill_graph::scalar::{Form, Native};
use gristmill_graph::{Binary, Unary};
use gristmill_kernel::{BOOL, Bit, Expr, F32, I32, Scalar, Type, U32};

use crate::lower::{Lower, Outcome, Value, ty};
use crate::node::{Id, Inst, Pure, Read, Ty};

impl Lower<'_> {
    fn op(&mut self, op: Pure, args: Vec<Id>, ty: Ty) -> Id {
        self.graph.pure(Inst::Pure(op), args, ty)
    }

    fn vector(&mut self, op: Pure, args: Vec<Id>) -> Id {
        self.op(op, args, Ty::V128)
    }

    fn float(&mut self, x: f32) -> Id {
        self.graph.pure(Inst::F32(x.to_bits()), Vec::new(), Ty::F32)
    }

    /// A vector with the same word in all lanes.
    fn words(&mut self, word: u32) -> Id {
        let lane = u128::from(word);
        let all = lane | lane << 32 | lane << 64 | lane << 96;
        self.graph.pure(Inst::V128(all as i128), Vec::new(), Ty::V128)
    }

    /// Lowers an expression to a node.
    pub(crate) fn value(&mut self, e: &Expr) -> Outcome<Value> {
        Ok(match e {
            Expr::F32(x) => (self.float(*x), F32),
            Expr::U32(n) | Expr::Named(_, n) => (self.constant(*n as i32), U32),
            Expr::I32(n) => (self.constant(*n), I32),
            Expr::Bool(b) => (self.constant(i32::from(*b)), BOOL),
            Expr::Var(v) => self.register(*v)?,
            Expr::Symbol(name) => (self.symbol(name)?, U32),
            Expr::Unary(op, a) => self.unary(*op, a)?,
            Expr::Binary(op, a, b) => {
                let (a, b) = (self.value(a)?, self.value(b)?);
                self.binary(*op, a, b)?
            }
            Expr::Bit(op, a, b) => self.bit(*op, a, b)?,
            Expr::Select(c, a, b) => {
                let (c, a, b) = (self.value(c)?.0, self.value(a)?, self.value(b)?);
                (self.op(Pure::Select, vec![a.0, b.0, c], ty(a.1)?), a.1)
            }
            Expr::Cast(to, a) => {
                let a = self.value(a)?;
                self.cast(*to, a)?
            }
            Expr::Bitcast(to, a) => {
                let (id, of) = self.value(a)?;
                let id = match (of.lanes, of.scalar == Scalar::F32, *to == Scalar::F32) {
                    (1, true, false) => self.op(Pure::I32ReinterpretF32, vec![id], Ty::I32),
                    (1, false, true) => self.op(Pure::F32ReinterpretI32, vec![id], Ty::F32),
                    _ => id,
                };
                (id, Type::vec(*to, of.lanes))
            }
            Expr::Load(buf, index) => self.load(buf.0, index)?,
            Expr::LoadShared(sh, index) => self.load_shared(sh.0, index)?,
            Expr::Table(table, index) => self.load_table(table.0, index)?,
            Expr::Vec(parts) => match self.four_halves(parts)? {
                Some(id) => (id, Type::vec(Scalar::F32, 4)),
                None => self.join(parts)?,
            },
            Expr::Splat(lanes, a) => {
                let (id, of) = self.value(a)?;
                (self.splat(id, of), Type::vec(of.scalar, *lanes))
            }
            Expr::Lane(a, lane) => self.lane(a, lane)?,
            Expr::Dot(a, b) => self.dot(a, b)?,
            Expr::Fma(a, b, c) => {
                let (a, b, c) = (self.value(a)?, self.value(b)?, self.value(c)?);
                (self.fma(a, b.0, c.0), a.1)
            }
            Expr::BytesU8(a) => {
                let id = self.value(a)?.0;
                (self.bytes(id, Pure::I16x8ExtendLowI8x16U, Pure::I32x4ExtendLowI16x8U), Type::vec(Scalar::U32, 4))
            }
            Expr::BytesI8(a) => {
                let id = self.value(a)?.0;
                (self.bytes(id, Pure::I16x8ExtendLowI8x16S, Pure::I32x4ExtendLowI16x8S), Type::vec(Scalar::I32, 4))
            }
            Expr::UnpackF16x2(a) => {
                let id = self.value(a)?.0;
                (self.widen_halves(id), Type::vec(Scalar::F32, 2))
            }
            Expr::PackF16(a) => {
                let id = self.value(a)?.0;
                (self.narrow_to_halves(id), U32)
            }
            Expr::Shuffle(a, b, lanes) => {
                let (a, b) = (self.value(a)?, self.value(b)?);
                (self.shuffle(a.0, b.0, *lanes), a.1)
            }
            Expr::Lookup(a, table) => self.lookup(a, table)?,
            Expr::DotBytes(a, b, c) => self.dot_bytes(a, b, c)?,
            Expr::PairSums(a, b) => {
                let (a, b) = (self.value(a)?.0, self.value(b)?.0);
                // Both fit into 16 bits: a dot product with ones adds neighbours.
                let narrow = self.vector(Pure::I16x8NarrowI32x4S, vec![a, b]);
                let ones = self.words(0x0001_0001);
                (self.vector(Pure::I32x4DotI16x8S, vec![narrow, ones]), Type::vec(Scalar::I32, 4))
            }
            Expr::DotSignedness => (self.dot_signedness(), U32),
            Expr::LocalIndex => (self.constant(0), U32),
            Expr::Call(helper, args) => {
                let ids = args.iter().map(|a| Ok(self.value(a)?.0)).collect::<Outcome<Vec<_>>>()?;
                let of = e.ty(self.kernel).or_else(|_| self.helper_type(*helper))?;
                (self.graph.pure(Inst::Call(self.world.helpers[*helper as usize]), ids, ty(of)?), of)
            }
            Expr::Subgroup(..) | Expr::SubgroupLane | Expr::SubgroupSize => {
                return Err("subgroups are not legalised".to_string());
            }
        })
    }

    /// The type of a helper's result, inside of another helper.
    fn helper_type(&self, helper: u32) -> Outcome<Type> {
        let helper = self.kernel.helpers.get(helper as usize).ok_or("no such helper")?;
        gristmill_kernel::types::type_of(&helper.result, self.kernel, &helper.vars)
    }

    fn splat(&mut self, id: Id, of: Type) -> Id {
        let node = self.graph.get(id);
        match node.op {
            Inst::F32(bits) => self.words(bits),
            Inst::I32(n) => self.words(n as u32),
            // One instruction loads a value into all lanes.
            Inst::Load(Read::I32 | Read::F32, offset) if !node.volatile => {
                let (address, level) = (node.args[0], node.level);
                self.graph.load((Read::Splat, offset), address, Ty::V128, level, self.block)
            }
            _ if of.scalar == Scalar::F32 => self.vector(Pure::F32x4Splat, vec![id]),
            _ => self.vector(Pure::I32x4Splat, vec![id]),
        }
    }

    pub(crate) fn replace_lane(&mut self, vector: Id, lane: u8, value: Id, of: Type) -> Id {
        let op = if of.scalar == Scalar::F32 { Inst::ReplaceF32(lane) } else { Inst::ReplaceI32(lane) };
        self.graph.pure(op, vec![vector, value], Ty::V128)
    }

    fn extract(&mut self, vector: Id, lane: u8, scalar: Scalar) -> Id {
        match scalar {
            Scalar::F32 => self.graph.pure(Inst::F32Lane(lane), vec![vector], Ty::F32),
            _ => self.graph.pure(Inst::I32Lane(lane), vec![vector], Ty::I32),
        }
    }

    fn shuffle(&mut self, a: Id, b: Id, lanes: [u8; 4]) -> Id {
        let mut bytes = [0u8; 16];
        for (i, byte) in bytes.iter_mut().enumerate() {
            *byte = lanes[i / 4] * 4 + (i % 4) as u8;
        }
        self.graph.pure(Inst::Shuffle(bytes), vec![a, b], Ty::V128)
    }

    fn join(&mut self, parts: &[Expr]) -> Outcome<Value> {
        let parts = parts.iter().map(|p| self.value(p)).collect::<Outcome<Vec<_>>>()?;
        let (first, of) = parts[0];
        if of.lanes == 2 {
            return Ok((self.shuffle(first, parts[1].0, [0, 1, 4, 5]), Type::vec(of.scalar, 4)));
        }
        let mut vector = self.splat(first, of);
        for (lane, (id, _)) in (0u8..).zip(&parts).skip(1) {
            if *id != first {
                vector = self.replace_lane(vector, lane, *id, of);
            }
        }
        Ok((vector, Type::vec(of.scalar, parts.len() as u8)))
    }

    fn lane(&mut self, a: &Expr, lane: &Expr) -> Outcome<Value> {
        let (vector, of) = self.value(a)?;
        let (lane, _) = self.value(lane)?;
        let result = Type::scalar(of.scalar);
        if let Some(n) = self.graph.as_i32(lane) {
            return Ok((self.extract(vector, n as u8 & 3, of.scalar), result));
        }
        // Moves the lane to the front. Its four bytes start at four times its index.
        let first = self.scaled(lane, 4);
        let all = self.vector(Pure::I8x16Splat, vec![first]);
        let order = self.graph.pure(Inst::V128(0x0f0e_0d0c_0b0a_0908_0706_0504_0302_0100), Vec::new(), Ty::V128);
        let order = self.vector(Pure::I8x16Add, vec![all, order]);
        let moved = self.vector(Pure::I8x16Swizzle, vec![vector, order]);
        Ok((self.extract(moved, 0, of.scalar), result))
    }

    fn dot(&mut self, a: &Expr, b: &Expr) -> Outcome<Value> {
        let ((a, of), (b, _)) = (self.value(a)?, self.value(b)?);
        let products = self.vector(Pure::F32x4Mul, vec![a, b]);
        let halves = if of.lanes == 4 {
            let swapped = self.shuffle(products, products, [2, 3, 0, 1]);
            self.vector(Pure::F32x4Add, vec![products, swapped])
        } else {
            products
        };
        let swapped = self.shuffle(halves, halves, [1, 0, 3, 2]);
        let sum = self.vector(Pure::F32x4Add, vec![halves, swapped]);
        Ok((self.extract(sum, 0, Scalar::F32), F32))
    }

    fn fma(&mut self, (a, of): Value, b: Id, c: Id) -> Id {
        match (of.lanes, self.world.relaxed) {
            (1, _) => {
                let product = self.op(Pure::F32Mul, vec![a, b], Ty::F32);
                self.op(Pure::F32Add, vec![product, c], Ty::F32)
            }
            (_, true) => self.vector(Pure::F32x4RelaxedMadd, vec![a, b, c]),
            (_, false) => {
                let product = self.vector(Pure::F32x4Mul, vec![a, b]);
                self.vector(Pure::F32x4Add, vec![product, c])
            }
        }
    }

    fn bytes(&mut self, word: Id, first: Pure, second: Pure) -> Id {
        let splat = self.vector(Pure::I32x4Splat, vec![word]);
        let wide = self.vector(first, vec![splat]);
        self.vector(second, vec![wide])
    }

    /// Looks up bytes of a table by indices below 16, for which relaxed and plain SIMD agree.
    fn lookup(&mut self, a: &Expr, table: &[u32; 4]) -> Outcome<Value> {
        let (a, of) = self.value(a)?;
        let indices = if of.lanes == 1 { self.vector(Pure::I32x4Splat, vec![a]) } else { a };
        let table = table.iter().rev().fold(0i128, |all, word| all << 32 | i128::from(*word));
        let table = self.graph.pure(Inst::V128(table), Vec::new(), Ty::V128);
        let swizzle = if self.world.relaxed { Pure::I8x16RelaxedSwizzle } else { Pure::I8x16Swizzle };
        let found = self.vector(swizzle, vec![table, indices]);
        Ok((if of.lanes == 1 { self.extract(found, 0, Scalar::U32) } else { found }, of))
    }

    fn dot_bytes(&mut self, a: &Expr, b: &Expr, c: &Expr) -> Outcome<Value> {
        let ((mut a, of), (mut b, _), (mut c, result)) = (self.value(a)?, self.value(b)?, self.value(c)?);
        if of.lanes == 1 {
            [a, b, c] = [a, b, c].map(|id| self.vector(Pure::I32x4Splat, vec![id]));
        }
        let sum = if self.world.relaxed {
            self.vector(Pure::I32x4RelaxedDotI8x16I7x16AddS, vec![a, b, c])
        } else {
            // Products of i8 and 0..127 fit i16, and so do sums of two.
            let pairs = [Pure::I16x8ExtMulLowI8x16S, Pure::I16x8ExtMulHighI8x16S].map(|half| {
                let products = self.vector(half, vec![a, b]);
                self.vector(Pure::I32x4ExtAddPairwiseI16x8S, vec![products])
            });
            let narrow = self.vector(Pure::I16x8NarrowI32x4S, pairs.to_vec());
            let quads = self.vector(Pure::I32x4ExtAddPairwiseI16x8S, vec![narrow]);
            self.vector(Pure::I32x4Add, vec![c, quads])
        };
        Ok((if of.lanes == 1 { self.extract(sum, 0, Scalar::I32) } else { sum }, result))
    }

    /// Plain SIMD multiplies signed bytes. How the relaxed instruction interprets large bytes depends on the engine,
    /// and is detected from the product of 127 and 255. It is the same for all instructions of a module.
    fn dot_signedness(&mut self) -> Id {
        if !self.world.relaxed {
            return self.constant(1);
        }
        let (a, b, zero) = (self.words(0x7f7f_7f7f), self.words(u32::MAX), self.words(0));
        let dot = self.vector(Pure::I32x4RelaxedDotI8x16I7x16AddS, vec![a, b, zero]);
        let found = self.extract(dot, 0, Scalar::I32);
        let is = |l: &mut Self, expected: i32, value: i32| {
            let expected = l.constant(expected);
            let equal = l.op(Pure::I32Eq, vec![found, expected], Ty::I32);
            l.scaled(equal, value as u32)
        };
        let (signed, unsigned) = (is(self, -4 * 127, 1), is(self, 4 * 127 * 255, 2));
        self.op(Pure::I32Or, vec![signed, unsigned], Ty::I32)
    }

    fn unary(&mut self, op: Unary, a: &Expr) -> Outcome<Value> {
        let (id, of) = self.value(a)?;
        let wide = of.lanes > 1;
        let Form::Native(native) = op.row().form else { return Err(format!("{op:?} is not legalised")) };
        let pure = match (native, of.scalar, wide) {
            (Native::Neg, Scalar::F32, false) => Pure::F32Neg,
            (Native::Neg, Scalar::F32, true) => Pure::F32x4Neg,
            (Native::Neg, _, true) => Pure::I32x4Neg,
            (Native::Neg, _, false) => {
                let zero = self.constant(0);
                return Ok((self.op(Pure::I32Sub, vec![zero, id], Ty::I32), of));
            }
            (Native::Abs, Scalar::F32, false) => Pure::F32Abs,
            (Native::Abs, Scalar::F32, true) => Pure::F32x4Abs,
            (Native::Abs, _, true) => Pure::I32x4Abs,
            (Native::Abs, _, false) => {
                let zero = self.constant(0);
                let negative = self.op(Pure::I32Sub, vec![zero, id], Ty::I32);
                let below = self.op(Pure::I32LtS, vec![id, zero], Ty::I32);
                return Ok((self.op(Pure::Select, vec![negative, id, below], Ty::I32), of));
            }
            (Native::Sqrt, _, false) => Pure::F32Sqrt,
            (Native::Sqrt, _, true) => Pure::F32x4Sqrt,
            (Native::Floor, _, false) => Pure::F32Floor,
            (Native::Floor, _, true) => Pure::F32x4Floor,
            (Native::Not, Scalar::Bool, _) => Pure::I32Eqz,
            (Native::Not, _, true) => Pure::V128Not,
            (Native::Not, _, false) => {
                let ones = self.constant(-1);
                return Ok((self.op(Pure::I32Xor, vec![id, ones], Ty::I32), of));
            }
            (Native::Exp | Native::Log, ..) => return Err(format!("{op:?} is not legalised")),
        };
        Ok((self.op(pure, vec![id], ty(of)?), of))
    }

    fn bit(&mut self, op: Bit, a: &Expr, b: &Expr) -> Outcome<Value> {
        let ((a, of), (b, _)) = (self.value(a)?, self.value(b)?);
        let signed = of.scalar == Scalar::I32;
        let pure = match (op, of.lanes > 1) {
            (Bit::And, false) => Pure::I32And,
            (Bit::Or, false) => Pure::I32Or,
            (Bit::Xor, false) => Pure::I32Xor,
            (Bit::Shl, false) => Pure::I32Shl,
            (Bit::Shr, false) => {
                if signed {
                    Pure::I32ShrS
                } else {
                    Pure::I32ShrU
                }
            }
            (Bit::And, true) => Pure::V128And,
            (Bit::Or, true) => Pure::V128Or,
            (Bit::Xor, true) => Pure::V128Xor,
            (Bit::Shl, true) => Pure::I32x4Shl,
            (Bit::Shr, true) => {
                if signed {
                    Pure::I32x4ShrS
                } else {
                    Pure::I32x4ShrU
                }
            }
        };
        Ok((self.op(pure, vec![a, b], ty(of)?), of))
    }

    fn cast(&mut self, to: Scalar, (id, of): Value) -> Outcome<Value> {
        let result = Type::vec(to, of.lanes);
        let wide = of.lanes > 1;
        let pure = match (of.scalar, to) {
            (Scalar::F32, Scalar::I32) => {
                if wide {
                    Pure::I32x4TruncSatF32x4S
                } else {
                    Pure::I32TruncSatF32S
                }
            }
            (Scalar::F32, Scalar::U32) => {
                if wide {
                    Pure::I32x4TruncSatF32x4U
                } else {
                    Pure::I32TruncSatF32U
                }
            }
            (Scalar::I32, Scalar::F32) => {
                if wide {
                    Pure::F32x4ConvertI32x4S
                } else {
                    Pure::F32ConvertI32S
                }
            }
            (Scalar::U32 | Scalar::Bool, Scalar::F32) => {
                if wide {
                    Pure::F32x4ConvertI32x4U
                } else {
                    Pure::F32ConvertI32U
                }
            }
            (Scalar::F32, Scalar::Bool) => {
                let zero = self.float(0.0);
                return Ok((self.op(Pure::F32Ne, vec![id, zero], Ty::I32), result));
            }
            (Scalar::I32 | Scalar::U32, Scalar::Bool) => {
                let zero = self.constant(0);
                return Ok((self.op(Pure::I32Ne, vec![id, zero], Ty::I32), result));
            }
            (from, to) if from == to => return Ok((id, of)),
            _ => return Ok((id, result)),
        };
        Ok((self.op(pure, vec![id], ty(result)?), result))
    }

    fn binary(&mut self, op: Binary, (a, of): Value, (b, _): Value) -> Outcome<Value> {
        if of.lanes > 1 {
            return self.binary_vector(op, (a, of), b);
        }
        let result = if op.is_comparison() { BOOL } else { of };
        if of.scalar == Scalar::F32 {
            return Ok((self.binary_float(op, a, b)?, result));
        }
        let signed = of.scalar == Scalar::I32;
        let choose = |s: Pure, u: Pure| if signed { s } else { u };
        let pure = match op {
            Binary::Add => return Ok((self.sum(a, b), of)),
            Binary::Mul => return Ok((self.product(a, b), of)),
            Binary::Sub => Pure::I32Sub,
            Binary::Div if signed => return Ok((self.divide_signed(Pure::I32DivS, a, b), of)),
            Binary::Rem if signed => return Ok((self.divide_signed(Pure::I32RemS, a, b), of)),
            Binary::Div => return Ok((self.divide_unsigned(Pure::I32DivU, a, b), of)),
            Binary::Rem => return Ok((self.divide_unsigned(Pure::I32RemU, a, b), of)),
            Binary::Max => return Ok((self.pick(choose(Pure::I32GtS, Pure::I32GtU), a, b), of)),
            Binary::Min => return Ok((self.pick(choose(Pure::I32LtS, Pure::I32LtU), a, b), of)),
            Binary::Lt => choose(Pure::I32LtS, Pure::I32LtU),
            Binary::Le => choose(Pure::I32LeS, Pure::I32LeU),
            Binary::Gt => choose(Pure::I32GtS, Pure::I32GtU),
            Binary::Ge => choose(Pure::I32GeS, Pure::I32GeU),
            Binary::Eq => Pure::I32Eq,
            Binary::Ne => Pure::I32Ne,
            Binary::And => Pure::I32And,
            Binary::Or => Pure::I32Or,
            Binary::Pow => return Err("powers of integers do not exist".to_string()),
        };
        Ok((self.op(pure, vec![a, b], Ty::I32), result))
    }

    /// Constants go to the right, and zero is dropped.
    fn sum(&mut self, a: Id, b: Id) -> Id {
        match (self.graph.as_i32(a), self.graph.as_i32(b)) {
            (Some(a), Some(b)) => self.constant(a.wrapping_add(b)),
            (_, Some(0)) => a,
            (Some(0), _) => b,
            (Some(_), None) => self.op(Pure::I32Add, vec![b, a], Ty::I32),
            _ => self.op(Pure::I32Add, vec![a, b], Ty::I32),
        }
    }

    fn product(&mut self, a: Id, b: Id) -> Id {
        match (self.graph.as_i32(a), self.graph.as_i32(b)) {
            (Some(a), Some(b)) => self.constant(a.wrapping_mul(b)),
            (_, Some(n)) => self.scaled(a, n as u32),
            (Some(n), _) => self.scaled(b, n as u32),
            _ => self.op(Pure::I32Mul, vec![a, b], Ty::I32),
        }
    }

    fn pick(&mut self, first: Pure, a: Id, b: Id) -> Id {
        let chosen = self.op(first, vec![a, b], Ty::I32);
        self.op(Pure::Select, vec![a, b, chosen], Ty::I32)
    }

    /// Division by zero gives the dividend; its remainder is zero.
    pub(crate) fn divide_unsigned(&mut self, op: Pure, a: Id, b: Id) -> Id {
        if let Some(n) = self.graph.as_i32(b).filter(|n| *n != 0) {
            let n = n as u32;
            if n.is_power_of_two() {
                let (op, by) = match op {
                    Pure::I32DivU => (Pure::I32ShrU, n.trailing_zeros()),
                    _ => (Pure::I32And, n - 1),
                };
                let by = self.constant(by as i32);
                return self.op(op, vec![a, by], Ty::I32);
            }
            return self.op(op, vec![a, b], Ty::I32);
        }
        let safe = self.at_least_one(b);
        self.op(op, vec![a, safe], Ty::I32)
    }

    /// `b`, or 1 if it is 0.
    fn at_least_one(&mut self, b: Id) -> Id {
        let zero = self.op(Pure::I32Eqz, vec![b], Ty::I32);
        self.op(Pure::I32Or, vec![b, zero], Ty::I32)
    }

    /// Like unsigned division; the smallest number divided by -1 wraps around instead of trapping.
    fn divide_signed(&mut self, op: Pure, a: Id, b: Id) -> Id {
        if self.graph.as_i32(b).is_some_and(|n| n != 0 && n != -1) {
            return self.op(op, vec![a, b], Ty::I32);
        }
        let (ones, zero) = (self.constant(-1), self.constant(0));
        let negated = self.op(Pure::I32Eq, vec![b, ones], Ty::I32);
        let one = self.constant(1);
        let divisor = self.op(Pure::Select, vec![one, b, negated], Ty::I32);
        let divisor = self.at_least_one(divisor);
        let divided = self.op(op, vec![a, divisor], Ty::I32);
        if op == Pure::I32RemS {
            return divided;
        }
        let negative = self.op(Pure::I32Sub, vec![zero, a], Ty::I32);
        self.op(Pure::Select, vec![negative, divided, negated], Ty::I32)
    }

    fn binary_float(&mut self, op: Binary, a: Id, b: Id) -> Outcome<Id> {
        let pure = match op {
            Binary::Add => Pure::F32Add,
            Binary::Sub => Pure::F32Sub,
            Binary::Mul => Pure::F32Mul,
            Binary::Div => Pure::F32Div,
            Binary::Max => Pure::F32Max,
            Binary::Min => Pure::F32Min,
            Binary::Rem => {
                let quotient = self.op(Pure::F32Div, vec![a, b], Ty::F32);
                let whole = self.op(Pure::F32Trunc, vec![quotient], Ty::F32);
                let taken = self.op(Pure::F32Mul, vec![whole, b], Ty::F32);
                return Ok(self.op(Pure::F32Sub, vec![a, taken], Ty::F32));
            }
            Binary::Lt | Binary::Le | Binary::Gt | Binary::Ge | Binary::Eq | Binary::Ne => {
                let pure = match op {
                    Binary::Lt => Pure::F32Lt,
                    Binary::Le => Pure::F32Le,
                    Binary::Gt => Pure::F32Gt,
                    Binary::Ge => Pure::F32Ge,
                    Binary::Eq => Pure::F32Eq,
                    _ => Pure::F32Ne,
                };
                return Ok(self.op(pure, vec![a, b], Ty::I32));
            }
            Binary::Pow | Binary::And | Binary::Or => return Err(format!("{op:?} of f32 is not legalised")),
        };
        Ok(self.op(pure, vec![a, b], Ty::F32))
    }

    fn binary_vector(&mut self, op: Binary, (a, of): Value, b: Id) -> Outcome<Value> {
        let pure = match (of.scalar, op) {
            (Scalar::F32, Binary::Add) => Pure::F32x4Add,
            (Scalar::F32, Binary::Sub) => Pure::F32x4Sub,
            (Scalar::F32, Binary::Mul) => Pure::F32x4Mul,
            (Scalar::F32, Binary::Div) => Pure::F32x4Div,
            (Scalar::F32, Binary::Max) => Pure::F32x4PMax,
            (Scalar::F32, Binary::Min) => Pure::F32x4PMin,
            (Scalar::I32 | Scalar::U32, Binary::Add) => Pure::I32x4Add,
            (Scalar::I32 | Scalar::U32, Binary::Sub) => Pure::I32x4Sub,
            (Scalar::I32 | Scalar::U32, Binary::Mul) => Pure::I32x4Mul,
            (Scalar::I32, Binary::Max) => Pure::I32x4MaxS,
            (Scalar::U32, Binary::Max) => Pure::I32x4MaxU,
            (Scalar::I32, Binary::Min) => Pure::I32x4MinS,
            (Scalar::U32, Binary::Min) => Pure::I32x4MinU,
            _ => return self.lane_by_lane(op, (a, of), b),
        };
        Ok((self.vector(pure, vec![a, b]), of))
    }

    fn lane_by_lane(&mut self, op: Binary, (a, of): Value, b: Id) -> Outcome<Value> {
        let scalar = Type::scalar(of.scalar);
        let mut vector = a;
        for lane in 0..of.lanes {
            let (x, y) = (self.extract(a, lane, of.scalar), self.extract(b, lane, of.scalar));
            let (value, _) = self.binary(op, (x, scalar), (y, scalar))?;
            vector = self.replace_lane(vector, lane, value, scalar);
        }
        Ok((vector, of))
    }

    /// Converts the two f16 of a word to f32, in lanes 0 and 1.
    fn widen_halves(&mut self, word: Id) -> Id {
        let both = self.vector(Pure::I32x4Splat, vec![word]);
        self.widen_lanes(both, 0, 1)
    }

    /// The f16 of two words as a vector of four; `None` for other operands.
    fn four_halves(&mut self, parts: &[Expr]) -> Outcome<Option<Id>> {
        let [Expr::UnpackF16x2(first), Expr::UnpackF16x2(second)] = parts else { return Ok(None) };
        if let (Expr::Lane(a, i), Expr::Lane(b, j)) = (&**first, &**second)
            && let (Some(i), Some(j)) = (i.as_u32(), j.as_u32())
            && a == b
        {
            let words = self.value(a)?.0;
            return Ok(Some(self.widen_lanes(words, i as u8 & 3, j as u8 & 3)));
        }
        let (first, second) = (self.value(first)?.0, self.value(second)?.0);
        let words = self.vector(Pure::I32x4Splat, vec![first]);
        let words = self.replace_lane(words, 1, second, U32);
        Ok(Some(self.widen_lanes(words, 0, 1)))
    }

    /// Converts the f16 in lanes `i` and `j` of a vector of words. Shifting exponent and mantissa into place and
    /// scaling by 2^112 is exact even for subnormal numbers; infinities and NaN get their exponent back.
    fn widen_lanes(&mut self, words: Id, i: u8, j: u8) -> Id {
        let zero = self.words(0);
        let mut bytes = [16u8; 16];
        for (lane, first) in [4 * i, 4 * i + 2, 4 * j, 4 * j + 2].into_iter().enumerate() {
            bytes[4 * lane] = first;
            bytes[4 * lane + 1] = first + 1;
        }
        let both = self.graph.pure(Inst::Shuffle(bytes), vec![words, zero], Ty::V128);
        let (digits, thirteen) = (self.words(0x7fff), self.constant(13));
        let magnitude = self.vector(Pure::V128And, vec![both, digits]);
        let placed = self.vector(Pure::I32x4Shl, vec![magnitude, thirteen]);
        let scale = self.words(0x7780_0000);
        let scaled = self.vector(Pure::F32x4Mul, vec![placed, scale]);
        let (largest, exponent) = (self.words(0x7bff), self.words(0x7f80_0000));
        let special = self.vector(Pure::I32x4GtS, vec![magnitude, largest]);
        let special = self.vector(Pure::V128And, vec![special, exponent]);
        let (sign, sixteen) = (self.words(0x8000), self.constant(16));
        let sign = self.vector(Pure::V128And, vec![both, sign]);
        let sign = self.vector(Pure::I32x4Shl, vec![sign, sixteen]);
        let value = self.vector(Pure::V128Or, vec![scaled, special]);
        self.vector(Pure::V128Or, vec![value, sign])
    }

    /// Converts lanes 0 and 1 to f16 in a word, rounded to nearest, ties to even. Normal numbers are rounded with
    /// integer arithmetic; subnormal ones by adding 0.5, whose last bit has their precision.
    fn narrow_to_halves(&mut self, x: Id) -> Id {
        let sign_mask = self.words(0x8000_0000);
        let sign = self.vector(Pure::V128And, vec![x, sign_mask]);
        let bits = self.vector(Pure::V128Xor, vec![x, sign]);
        let (thirteen, sixteen) = (self.constant(13), self.constant(16));
        let one = self.words(1);
        let odd = self.vector(Pure::I32x4ShrU, vec![bits, thirteen]);
        let odd = self.vector(Pure::V128And, vec![odd, one]);
        // Rebiases the exponent from 127 to 15, and rounds at bit 13.
        let moved = self.words((15u32.wrapping_sub(127) << 23).wrapping_add(0xfff));
        let normal = self.vector(Pure::I32x4Add, vec![bits, moved]);
        let normal = self.vector(Pure::I32x4Add, vec![normal, odd]);
        let normal = self.vector(Pure::I32x4ShrU, vec![normal, thirteen]);
        let half = self.words(0.5f32.to_bits());
        let small = self.vector(Pure::F32x4Add, vec![bits, half]);
        let small = self.vector(Pure::I32x4Sub, vec![small, half]);
        let least = self.words(0x3880_0000);
        let is_small = self.vector(Pure::I32x4GtS, vec![least, bits]);
        let value = self.vector(Pure::V128Bitselect, vec![small, normal, is_small]);
        // Out of range: infinity; NaN stays NaN.
        let (last, infinite) = (self.words(0x477f_ffff), self.words(0x7f80_0000));
        let is_large = self.vector(Pure::I32x4GtS, vec![bits, last]);
        let is_nan = self.vector(Pure::I32x4GtS, vec![bits, infinite]);
        let (quiet, infinity) = (self.words(0x0200), self.words(0x7c00));
        let nan = self.vector(Pure::V128And, vec![is_nan, quiet]);
        let large = self.vector(Pure::V128Or, vec![infinity, nan]);
        let value = self.vector(Pure::V128Bitselect, vec![large, value, is_large]);
        let sign = self.vector(Pure::I32x4ShrU, vec![sign, sixteen]);
        let value = self.vector(Pure::V128Or, vec![value, sign]);
        let (low, high) = (self.extract(value, 0, Scalar::U32), self.extract(value, 1, Scalar::U32));
        let high = self.op(Pure::I32Shl, vec![high, sixteen], Ty::I32);
        self.op(Pure::I32Or, vec![low, high], Ty::I32)
    }
}
