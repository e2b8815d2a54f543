//! Tensor formats of GGUF files, by the numbers of ggml's types.

use std::fmt;

use crate::weights::blocks::Block;
use crate::weights::convert::Storage;

/// A type number. Unknown numbers are allowed, so that a file is rejected only for a tensor that is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Kind(pub(crate) u32);

/// Types that are not supported, for messages.
const OTHERS: [(u32, &str); 26] = [
    (9, "Q8_1"),
    (10, "Q2_K"),
    (11, "Q3_K"),
    (15, "Q8_K"),
    (16, "IQ2_XXS"),
    (17, "IQ2_XS"),
    (18, "IQ3_XXS"),
    (19, "IQ1_S"),
    (20, "IQ4_NL"),
    (21, "IQ3_S"),
    (22, "IQ2_S"),
    (23, "IQ4_XS"),
    (24, "I8"),
    (25, "I16"),
    (26, "I32"),
    (27, "I64"),
    (29, "IQ1_M"),
    (31, "Q4_0_4_4"),
    (32, "Q4_0_4_8"),
    (33, "Q4_0_8_8"),
    (34, "TQ1_0"),
    (35, "TQ2_0"),
    (36, "IQ4_NL_4_4"),
    (39, "MXFP4"),
    (40, "NVFP4"),
    (41, "Q1_0"),
];

/// The supported types, for messages.
pub(crate) const READ: &str = "F32, F16, BF16, F64, Q8_0, Q4_0, Q4_1, Q5_0, Q5_1, Q4_K, Q5_K and Q6_K";

impl Kind {
    /// How values are decoded, if the type is supported.
    pub(crate) fn storage(self) -> Option<Storage> {
        Some(match self.0 {
            0 => Storage::F32,
            1 => Storage::F16,
            2 => Storage::Block(Block::Q4_0),
            3 => Storage::Block(Block::Q4_1),
            6 => Storage::Block(Block::Q5_0),
            7 => Storage::Block(Block::Q5_1),
            8 => Storage::Block(Block::Q8_0),
            12 => Storage::Block(Block::Q4K),
            13 => Storage::Block(Block::Q5K),
            14 => Storage::Block(Block::Q6K),
            28 => Storage::F64,
            30 => Storage::Bf16,
            _ => return None,
        })
    }

    /// Values and bytes per block, if the type is supported.
    pub(crate) fn unit(self) -> Option<(u64, u64)> {
        self.storage().map(Storage::unit)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self.storage() {
            Some(Storage::F32) => "F32",
            Some(Storage::F16) => "F16",
            Some(Storage::Bf16) => "BF16",
            Some(Storage::F64) => "F64",
            Some(Storage::Block(block)) => block.name(),
            None => match OTHERS.iter().find(|(number, _)| *number == self.0) {
                Some((_, name)) => name,
                None => return write!(f, "type {}", self.0),
            },
        };
        f.write_str(name)
    }
}
