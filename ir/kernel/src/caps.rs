//! Capabilities of targets.

use serde::{Deserialize, Serialize};

/// Capabilities of a target, as stated in a profile. Kernel variants require them; every kernel also has a variant that
/// requires none of the optional ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Caps {
    /// Subgroup operations (`subgroups`). Kernels expect subgroup sizes from 4 to 128, and consecutive threads of a
    /// workgroup in the same subgroup.
    #[serde(default)]
    pub subgroups: bool,
    /// Functions that unpack the four bytes of a word (`packed_4x8_integer_dot_product`).
    #[serde(default)]
    pub packed_bytes: bool,
    /// An instruction that looks up bytes in a table of 16 bytes.
    #[serde(default)]
    pub byte_lookup: bool,
    /// Instructions or functions for exponentials and logarithms.
    #[serde(default)]
    pub exponentials: bool,
    /// The largest number of threads in a workgroup.
    pub max_group_size: u32,
    /// The largest size of shared memory per workgroup, in bytes.
    pub max_shared_bytes: u32,
}

impl Caps {
    /// All capabilities, to check kernels before a target is known.
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
    /// The minimum that WebGPU guarantees.
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
