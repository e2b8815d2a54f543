//! Algorithms for processors: no threads in a group, vectors of four, and each position of the grid as much work as is
//! worth a visit. What is not here runs as everywhere else, with one thread.

pub mod attention;
pub mod bytes;
pub mod floats;
pub mod group;
pub mod lanes;
pub mod linear;
pub mod map;
pub mod matmul_bytes;
pub mod matvec_bytes;
pub mod top_k;

use crate::lower::Lowering;
use crate::profile::Language;

/// Whether the target is a processor.
pub fn applies(low: &Lowering<'_>) -> bool {
    low.setting.profile.language == Language::Wasm
}
