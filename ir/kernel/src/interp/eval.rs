//! Evaluation of expressions, for all threads of a workgroup at once.

use gristmill_graph::Binary;
use half::f16;

use super::compile::Node;
use super::machine::{Lanes, Machine};
use super::numeric;
use crate::kernel::{Bit, GroupOp, Scalar};

impl Machine<'_> {
    pub(super) fn eval(&mut self, node: &Node, mask: &[bool]) -> Result<Lanes, String> {
        Ok(match node {
            Node::Const(word) => {
                let mut out = self.empty();
                out.resize(self.n, *word);
                out
            }
            Node::Var(var) => {
                let mut out = self.empty();
                out.extend_from_slice(&self.regs[*var]);
                out
            }
            Node::Unary(op, scalar, a) => {
                let mut a = self.eval(a, mask)?;
                numeric::unary(*op, *scalar, &mut a);
                a
            }
            Node::Binary(op, scalar, a, b) => {
                let (mut a, b) = (self.eval(a, mask)?, self.eval(b, mask)?);
                binary(*op, *scalar, &mut a, &b);
                self.recycle(b);
                a
            }
            Node::Bit(op, scalar, a, b) => {
                let (mut a, b) = (self.eval(a, mask)?, self.eval(b, mask)?);
                bit(*op, *scalar, &mut a, &b);
                self.recycle(b);
                a
            }
            Node::Select(c, a, b) => {
                let (c, a, mut b) = (self.eval(c, mask)?, self.eval(a, mask)?, self.eval(b, mask)?);
                for (b, a) in b.chunks_mut(self.n).zip(a.chunks(self.n)) {
                    for t in 0..b.len() {
                        b[t] = if c[t] != 0 { a[t] } else { b[t] };
                    }
                }
                self.recycle(c);
                self.recycle(a);
                b
            }
            Node::Cast { from, to, value } => {
                let mut a = self.eval(value, mask)?;
                a.iter_mut().for_each(|word| *word = cast(*from, *to, *word));
                a
            }
            Node::Load(buf, index) => {
                let index = self.eval(index, mask)?;
                let out = self.load(*buf, &index, mask)?;
                self.recycle(index);
                out
            }
            Node::LoadShared(sh, index) => {
                let index = self.eval(index, mask)?;
                let lanes = usize::from(self.kernel.shared[*sh].elem.lanes);
                let mut out = self.zeros(lanes);
                self.shared[*sh].load(&index, mask, &mut out)?;
                self.recycle(index);
                out
            }
            Node::Table(table, index) => {
                let mut index = self.eval(index, mask)?;
                self.table(*table, &mut index, mask)?;
                index
            }
            Node::Vec(parts) => {
                let mut out = self.empty();
                for part in parts {
                    let part = self.eval(part, mask)?;
                    out.extend_from_slice(&part);
                    self.recycle(part);
                }
                out
            }
            Node::Splat(lanes, a) => {
                let mut a = self.eval(a, mask)?;
                for _ in 1..*lanes {
                    a.extend_from_within(..self.n);
                }
                a
            }
            Node::Lane(a, lane) => self.lane(a, lane, mask)?,
            Node::Dot(scalar, a, b) => {
                let (mut a, b) = (self.eval(a, mask)?, self.eval(b, mask)?);
                binary(Binary::Mul, *scalar, &mut a, &b);
                self.recycle(b);
                let (sum, rest) = a.split_at_mut(self.n);
                for lane in rest.chunks(sum.len()) {
                    binary(Binary::Add, *scalar, sum, lane);
                }
                a.truncate(self.n);
                a
            }
            Node::Fma(scalar, a, b, c) => {
                let (mut a, b, c) = (self.eval(a, mask)?, self.eval(b, mask)?, self.eval(c, mask)?);
                binary(Binary::Mul, *scalar, &mut a, &b);
                binary(Binary::Add, *scalar, &mut a, &c);
                self.recycle(b);
                self.recycle(c);
                a
            }
            Node::Bytes { signed, word } => {
                let word = self.eval(word, mask)?;
                let mut out = self.empty();
                for byte in 0..4 {
                    out.extend(word.iter().map(|w| {
                        let byte = (w >> (8 * byte)) as u8;
                        if *signed { i32::from(byte as i8) as u32 } else { u32::from(byte) }
                    }));
                }
                self.recycle(word);
                out
            }
            Node::UnpackF16x2(word) => {
                let word = self.eval(word, mask)?;
                let mut out = self.empty();
                for half in 0..2 {
                    out.extend(word.iter().map(|w| f16::from_bits((w >> (16 * half)) as u16).to_f32().to_bits()));
                }
                self.recycle(word);
                out
            }
            Node::PackF16(a) => {
                let mut a = self.eval(a, mask)?;
                let half = |w: u32| u32::from(f16::from_f32(f32::from_bits(w)).to_bits());
                for t in 0..self.n {
                    a[t] = half(a[t]) | (half(a[self.n + t]) << 16);
                }
                a.truncate(self.n);
                a
            }
            Node::Shuffle(a, b, lanes) => {
                let (mut a, b) = (self.eval(a, mask)?, self.eval(b, mask)?);
                a.extend_from_slice(&b);
                self.recycle(b);
                let mut out = self.empty();
                lanes.iter().for_each(|l| out.extend_from_slice(&a[usize::from(*l) * self.n..][..self.n]));
                self.recycle(a);
                out
            }
            Node::DotBytes(a, b, c) => {
                let (a, b, mut c) = (self.eval(a, mask)?, self.eval(b, mask)?, self.eval(c, mask)?);
                for (i, c) in c.iter_mut().enumerate() {
                    if self.dot_signedness == 0 && b[i] & 0x8080_8080 != 0 && mask[i % self.n] {
                        return Err(format!("a dot product of bytes with {:#010x}, which is beyond 127", b[i]));
                    }
                    *c = c.wrapping_add(dot_bytes(a[i], b[i], self.dot_signedness) as u32);
                }
                self.recycle(a);
                self.recycle(b);
                c
            }
            Node::PairSums(a, b) => {
                let (mut a, b) = (self.eval(a, mask)?, self.eval(b, mask)?);
                a.extend_from_slice(&b);
                self.recycle(b);
                let wide = |(i, w): (usize, &u32)| i16::try_from(*w as i32).is_err() && mask[i % self.n];
                if let Some((_, word)) = a.iter().enumerate().find(|(i, w)| wide((*i, w))) {
                    return Err(format!("a sum of pairs with {}, which is beyond 16 bits", *word as i32));
                }
                let mut out = self.empty();
                for pair in a.chunks(2 * self.n) {
                    let (x, y) = pair.split_at(self.n);
                    out.extend(x.iter().zip(y).map(|(x, y)| x.wrapping_add(*y)));
                }
                self.recycle(a);
                out
            }
            Node::Lookup(a, table) => {
                let mut a = self.eval(a, mask)?;
                let bytes: Vec<u8> = table.iter().flat_map(|w| w.to_le_bytes()).collect();
                for (i, word) in a.iter_mut().enumerate() {
                    if *word & 0xf0f0_f0f0 != 0 && mask[i % self.n] {
                        return Err(format!("bytes of a table by {word:#010x}, which has one beyond 15"));
                    }
                    *word = u32::from_le_bytes(word.to_le_bytes().map(|b| bytes[usize::from(b & 15)]));
                }
                a
            }
            Node::Subgroup(op, scalar, a) => {
                let mut a = self.eval(a, mask)?;
                for lane in a.chunks_mut(self.n) {
                    for (group, mask) in lane.chunks_mut(self.subgroup).zip(mask.chunks(self.subgroup)) {
                        let active = group.iter().zip(mask).filter(|(_, m)| **m).map(|(w, _)| *w);
                        if let Some(all) = active.reduce(|a, b| combine(*op, *scalar, a, b)) {
                            group.fill(all);
                        }
                    }
                }
                a
            }
            Node::SubgroupLane => (0..self.n).map(|t| (t % self.subgroup) as u32).collect(),
            Node::SubgroupSize => vec![self.subgroup as u32; self.n],
            Node::DotSignedness => vec![self.dot_signedness; self.n],
            Node::LocalIndex => (0..self.n as u32).collect(),
            Node::Call(function, args) => self.call(*function, args, mask)?,
        })
    }

    fn lane(&mut self, a: &Node, lane: &Node, mask: &[bool]) -> Result<Lanes, String> {
        let (mut a, lane) = (self.eval(a, mask)?, self.eval(lane, mask)?);
        for t in 0..self.n {
            let at = lane[t] as usize * self.n + t;
            match a.get(at) {
                Some(word) => a[t] = *word,
                None if mask[t] => return Err(format!("thread {t} takes lane {} of a smaller vector", lane[t])),
                None => {}
            }
        }
        a.truncate(self.n);
        self.recycle(lane);
        Ok(a)
    }

    fn call(&mut self, function: usize, args: &[Node], mask: &[bool]) -> Result<Lanes, String> {
        let program = self.program;
        let function = &program.functions[function];
        let mut frame = vec![Lanes::new(); function.registers];
        for (i, arg) in args.iter().enumerate() {
            frame[i] = self.eval(arg, mask)?;
        }
        let caller = std::mem::replace(&mut self.regs, frame);
        let result = (|| {
            for (var, e) in &function.lets {
                self.regs[*var] = self.eval(e, mask)?;
            }
            self.eval(&function.result, mask)
        })();
        let frame = std::mem::replace(&mut self.regs, caller);
        frame.into_iter().for_each(|lanes| self.recycle(lanes));
        result
    }
}

/// `to = value` where the mask holds.
pub(super) fn select_lanes(to: &mut [u32], value: &[u32], mask: &[bool]) {
    for (to, value) in to.chunks_mut(mask.len()).zip(value.chunks(mask.len())) {
        for t in 0..to.len() {
            to[t] = if mask[t] { value[t] } else { to[t] };
        }
    }
}

/// Two values of a reduction.
pub(super) fn combine(op: GroupOp, scalar: Scalar, a: u32, b: u32) -> u32 {
    let op = match op {
        GroupOp::Add => Binary::Add,
        GroupOp::Max => Binary::Max,
        GroupOp::Min => Binary::Min,
    };
    let mut out = [a];
    binary(op, scalar, &mut out, &[b]);
    out[0]
}

fn each(a: &mut [u32], b: &[u32], f: impl Fn(u32, u32) -> u32) {
    for (a, b) in a.iter_mut().zip(b) {
        *a = f(*a, *b);
    }
}

fn binary(op: Binary, scalar: Scalar, a: &mut [u32], b: &[u32]) {
    match scalar {
        Scalar::F32 => binary_f32(op, a, b),
        Scalar::I32 => each(a, b, |a, b| numeric::binary_i32(op, a as i32, b as i32)),
        Scalar::U32 => each(a, b, |a, b| numeric::binary_u32(op, a, b).unwrap_or(0)),
        Scalar::Bool => each(a, b, |a, b| match op {
            Binary::And => a & b,
            Binary::Or => a | b,
            Binary::Eq => u32::from(a == b),
            _ => u32::from(a != b),
        }),
    }
}

fn binary_f32(op: Binary, a: &mut [u32], b: &[u32]) {
    // The frequent operations have their own loops.
    let float = f32::from_bits;
    match op {
        Binary::Add => each(a, b, |a, b| (float(a) + float(b)).to_bits()),
        Binary::Mul => each(a, b, |a, b| (float(a) * float(b)).to_bits()),
        _ => each(a, b, |a, b| numeric::binary_f32(op, float(a), float(b))),
    }
}

/// The sum of the products of the bytes, signed ones in `a`.
fn dot_bytes(a: u32, b: u32, wide: u32) -> i32 {
    let second = |b: u8| if wide == 2 { i32::from(b) } else { i32::from(b as i8) };
    a.to_le_bytes().iter().zip(b.to_le_bytes()).map(|(a, b)| i32::from(*a as i8) * second(b)).sum()
}

/// Operands of vectors with a scalar shift amount: the amount repeats.
fn bit(op: Bit, scalar: Scalar, a: &mut [u32], b: &[u32]) {
    for a in a.chunks_mut(b.len()) {
        match op {
            Bit::And => each(a, b, |a, b| a & b),
            Bit::Or => each(a, b, |a, b| a | b),
            Bit::Xor => each(a, b, |a, b| a ^ b),
            Bit::Shl => each(a, b, |a, b| a.wrapping_shl(b)),
            Bit::Shr if scalar == Scalar::I32 => each(a, b, |a, b| (a as i32).wrapping_shr(b) as u32),
            Bit::Shr => each(a, b, |a, b| a.wrapping_shr(b)),
        }
    }
}

fn cast(from: Scalar, to: Scalar, word: u32) -> u32 {
    match (from, to) {
        (Scalar::F32, Scalar::F32) => word,
        (Scalar::F32, Scalar::U32) => f32::from_bits(word) as u32,
        (Scalar::F32, Scalar::I32) => f32::from_bits(word) as i32 as u32,
        (Scalar::F32, Scalar::Bool) => u32::from(f32::from_bits(word) != 0.0),
        (Scalar::I32, Scalar::F32) => (word as i32 as f32).to_bits(),
        (Scalar::U32 | Scalar::Bool, Scalar::F32) => (word as f32).to_bits(),
        (Scalar::I32 | Scalar::U32 | Scalar::Bool, Scalar::Bool) => u32::from(word != 0),
        (Scalar::I32 | Scalar::U32 | Scalar::Bool, Scalar::I32 | Scalar::U32) => word,
    }
}
