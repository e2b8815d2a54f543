//! The values of a function as a graph. Equal computations are one node, and each node knows the outermost loop in
//! which it can be computed.

use std::collections::HashMap;

use wasm_encoder::{Instruction, MemArg, ValType};

/// Type of a value in WebAssembly.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Ty {
    I32,
    F32,
    V128,
}

impl Ty {
    pub(crate) fn val(self) -> ValType {
        match self {
            Ty::I32 => ValType::I32,
            Ty::F32 => ValType::F32,
            Ty::V128 => ValType::V128,
        }
    }
}

macro_rules! pure {
    ($($name:ident),* $(,)?) => {
        /// An instruction without immediate operands and side effects.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub(crate) enum Pure { $($name),* }

        impl Pure {
            fn instruction(self) -> Instruction<'static> {
                match self { $(Pure::$name => Instruction::$name),* }
            }
        }
    };
}

pure! {
    I32Add, I32Sub, I32Mul, I32DivS, I32DivU, I32RemS, I32RemU, I32And, I32Or, I32Xor, I32Shl, I32ShrS, I32ShrU,
    I32Eqz, I32Eq, I32Ne, I32LtS, I32LtU, I32LeS, I32LeU, I32GtS, I32GtU, I32GeS, I32GeU,
    F32Add, F32Sub, F32Mul, F32Div, F32Max, F32Min, F32Neg, F32Abs, F32Sqrt, F32Floor, F32Trunc,
    F32Eq, F32Ne, F32Lt, F32Le, F32Gt, F32Ge, Select,
    I32TruncSatF32S, I32TruncSatF32U, F32ConvertI32S, F32ConvertI32U, I32ReinterpretF32, F32ReinterpretI32,
    V128And, V128Or, V128Xor, V128Not, V128Bitselect,
    I32x4Splat, F32x4Splat, I32x4Add, I32x4Sub, I32x4Mul, I32x4Neg, I32x4Abs, I32x4MaxS, I32x4MaxU, I32x4MinS,
    I32x4MinU, I32x4Shl, I32x4ShrS, I32x4ShrU, I32x4GtS, I8x16Splat, I8x16Add, I8x16Swizzle,
    F32x4Add, F32x4Sub, F32x4Mul, F32x4Div, F32x4PMax, F32x4PMin, F32x4Neg, F32x4Abs, F32x4Sqrt, F32x4Floor,
    I32x4TruncSatF32x4S, I32x4TruncSatF32x4U, F32x4ConvertI32x4S, F32x4ConvertI32x4U,
    I16x8ExtendLowI8x16S, I16x8ExtendLowI8x16U, I32x4ExtendLowI16x8S, I32x4ExtendLowI16x8U,
    I16x8ExtMulLowI8x16S, I16x8ExtMulHighI8x16S, I32x4ExtAddPairwiseI16x8S, I16x8NarrowI32x4S, I32x4DotI16x8S,
    F32x4RelaxedMadd, I8x16RelaxedSwizzle, I32x4RelaxedDotI8x16I7x16AddS,
}

/// How a value is loaded from memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Read {
    I32,
    F32,
    V128,
    /// The lower half of a vector; the rest is zero.
    Half,
    /// A word in all lanes.
    Splat,
}

/// What a node computes from its operands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Inst {
    I32(i32),
    F32(u32),
    V128(i128),
    /// A local that does not change while the node is in use.
    Local(u32),
    /// A local that may change.
    Variable(u32),
    Pure(Pure),
    I32Lane(u8),
    F32Lane(u8),
    ReplaceI32(u8),
    ReplaceF32(u8),
    Shuffle([u8; 16]),
    /// Memory at an address and a constant offset.
    Load(Read, u32),
    Call(u32),
}

impl Inst {
    pub(crate) fn instruction(self) -> Instruction<'static> {
        match self {
            Inst::I32(n) => Instruction::I32Const(n),
            Inst::F32(bits) => Instruction::F32Const(f32::from_bits(bits).into()),
            Inst::V128(v) => Instruction::V128Const(v),
            Inst::Local(l) | Inst::Variable(l) => Instruction::LocalGet(l),
            Inst::Pure(p) => p.instruction(),
            Inst::I32Lane(n) => Instruction::I32x4ExtractLane(n),
            Inst::F32Lane(n) => Instruction::F32x4ExtractLane(n),
            Inst::ReplaceI32(n) => Instruction::I32x4ReplaceLane(n),
            Inst::ReplaceF32(n) => Instruction::F32x4ReplaceLane(n),
            Inst::Shuffle(lanes) => Instruction::I8x16Shuffle(lanes),
            Inst::Load(Read::I32, offset) => Instruction::I32Load(memarg(offset, 2)),
            Inst::Load(Read::F32, offset) => Instruction::F32Load(memarg(offset, 2)),
            Inst::Load(Read::V128, offset) => Instruction::V128Load(memarg(offset, 4)),
            Inst::Load(Read::Splat, offset) => Instruction::V128Load32Splat(memarg(offset, 2)),
            Inst::Load(Read::Half, offset) => Instruction::V128Load64Zero(memarg(offset, 3)),
            Inst::Call(function) => Instruction::Call(function),
        }
    }
}

pub(crate) fn memarg(offset: u32, align: u32) -> MemArg {
    MemArg { offset: u64::from(offset), align, memory_index: 0 }
}

/// Index of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Id(pub(crate) u32);

#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) op: Inst,
    pub(crate) args: Vec<Id>,
    pub(crate) ty: Ty,
    /// Number of loops around the outermost place where it can be computed.
    pub(crate) level: u32,
    /// Whether it depends on something that statements may change, so that it must be computed in place.
    pub(crate) volatile: bool,
    /// Number of nodes and statements that use it.
    pub(crate) uses: u32,
}

/// All nodes of a function.
#[derive(Debug, Default)]
pub(crate) struct Graph {
    pub(crate) nodes: Vec<Node>,
    /// Nodes by their computation and, for loads, the block.
    known: HashMap<(Inst, Vec<Id>, u32), Id>,
}

impl Graph {
    pub(crate) fn get(&self, id: Id) -> &Node {
        &self.nodes[id.0 as usize]
    }

    fn push(&mut self, op: Inst, args: Vec<Id>, ty: Ty, level: u32, volatile: bool) -> Id {
        for a in &args {
            self.nodes[a.0 as usize].uses += 1;
        }
        self.nodes.push(Node { op, args, ty, level, volatile, uses: 0 });
        Id(self.nodes.len() as u32 - 1)
    }

    /// A constant or a pure function of other nodes.
    pub(crate) fn pure(&mut self, op: Inst, args: Vec<Id>, ty: Ty) -> Id {
        let volatile = args.iter().any(|a| self.get(*a).volatile);
        let level = args.iter().map(|a| self.get(*a).level).max().unwrap_or(0);
        if volatile {
            return self.push(op, args, ty, level, true);
        }
        let key = (op, args, 0);
        if let Some(id) = self.known.get(&key) {
            return *id;
        }
        let id = self.push(op, key.1.clone(), ty, level, false);
        self.known.insert(key, id);
        id
    }

    /// A local that is set once, in a block inside `level` loops.
    pub(crate) fn local(&mut self, local: u32, ty: Ty, level: u32) -> Id {
        let key = (Inst::Local(local), Vec::new(), 0);
        if let Some(id) = self.known.get(&key) {
            return *id;
        }
        let id = self.push(Inst::Local(local), Vec::new(), ty, level, false);
        self.known.insert(key, id);
        id
    }

    /// The current value of a local.
    pub(crate) fn variable(&mut self, local: u32, ty: Ty, level: u32) -> Id {
        self.push(Inst::Variable(local), Vec::new(), ty, level, true)
    }

    /// A load from memory that does not change while the kernel runs. It is only shared within the given block, because
    /// the address may be valid only there.
    pub(crate) fn load(&mut self, (read, offset): (Read, u32), address: Id, ty: Ty, level: u32, block: u32) -> Id {
        let op = Inst::Load(read, offset);
        if self.get(address).volatile {
            return self.push(op, vec![address], ty, level, true);
        }
        let key = (op, vec![address], block);
        if let Some(id) = self.known.get(&key) {
            return *id;
        }
        let id = self.push(op, key.1.clone(), ty, level, false);
        self.known.insert(key, id);
        id
    }

    /// A load from memory that the kernel may write.
    pub(crate) fn load_now(&mut self, (read, offset): (Read, u32), address: Id, ty: Ty, level: u32) -> Id {
        self.push(Inst::Load(read, offset), vec![address], ty, level, true)
    }

    /// Records a use by a statement.
    pub(crate) fn used(&mut self, id: Id) {
        self.nodes[id.0 as usize].uses += 1;
    }

    /// The value of an i32 constant.
    pub(crate) fn as_i32(&self, id: Id) -> Option<i32> {
        match self.get(id).op {
            Inst::I32(n) => Some(n),
            _ => None,
        }
    }
}
