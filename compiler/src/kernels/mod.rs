//! Algorithms: one file per family of kernels.
//!
//! An algorithm builds loops over named axes for an anchor and takes every number that could be tuned from
//! the schedule of the target. It never mentions a target, and it never looks into a weight format: decoding is
//! an expression of [`gristmill_kernel::quant`]. Those here are for groups of threads, those in [`simd`] for CPUs.

pub mod argmax_split;
pub mod attention;
pub mod attention_split;
pub mod linear;
pub mod map;
pub mod matmul;
pub mod matmul_plain;
pub mod matvec;
pub mod matvec_split;
pub mod matvec_together;
pub mod norm;
pub mod reduce;
pub mod simd;
pub mod softmax;
pub mod top_k;
