//! What a target can do.

use serde::{Deserialize, Serialize};

/// Capabilities of a target, as a profile states them. They are requirements of kernel variants; every kernel also
/// has a form that needs none of the optional ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Caps {
    /// Subgroup operations (`subgroups`). Sizes from 4 to 128 are expected, and that consecutive threads of a
    /// workgroup share a subgroup.
    #[serde(default)]
    pub subgroups: bool,
    /// Functions that unpack the four bytes of a word (`packed_4x8_integer_dot_product`).
    #[serde(default)]
    pub packed_bytes: bool,
    /// An instruction that looks up bytes in a table of sixteen.
    #[serde(default)]
    pub byte_lookup: bool,
    /// Instructions or functions for exponentials and logarithms.
    #[serde(default)]
    pub exponentials: bool,
    /// Most threads in a workgroup.
    pub max_group_size: u32,
    /// Most bytes of shared memory in a workgroup.
    pub max_shared_bytes: u32,
}

impl Caps {
    /// Everything: for kernels that are checked before a target is known.
    pub const ANY: Caps = Caps {
        subgroups: true,
        packed_bytes: true,
        byte_lookup: true,
        exponentials: true,
        max_group_size: u32::MAX,
        max_shared_bytes: u32::MAX,
    };
    /// A CPU with vectors of 128 bits: one thread in a group, memory instead of shared arrays, and nothing but
    /// arithmetic.
    pub const CPU: Caps = Caps {
        subgroups: false,
        packed_bytes: true,
        byte_lookup: true,
        exponentials: false,
        max_group_size: 1,
        max_shared_bytes: u32::MAX,
    };
}

impl Default for Caps {
    /// The least that WebGPU guarantees.
    fn default() -> Self {
        Caps {
            subgroups: false,
            packed_bytes: false,
            byte_lookup: false,
            exponentials: true,
            max_group_size: 256,
            max_shared_bytes: 16384,
        }
    }
}
