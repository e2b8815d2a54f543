//! Algorithms for CPUs: no threads in a group, vectors of four, and each position of the grid as much work as is
//! worth a visit. What is not here runs as everywhere else, with one thread.

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
