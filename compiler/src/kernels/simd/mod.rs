//! Algorithms for CPUs: no threads within a group, vectors of four elements, and enough work per grid position to pay
//! for its overhead. Operations that are not here use the general algorithms, with one thread.

pub mod attention;
pub mod group;
pub mod lanes;
pub mod linear_f32;
pub mod map;
pub mod matmul_q8;
pub mod matvec_q8;
pub mod output;
pub mod quantize_q8;
pub mod top_k;
