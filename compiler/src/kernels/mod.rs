//! Algorithms: one file per family of kernels.
//!
//! An algorithm builds loops over named axes for an anchor, and takes every number that can be tuned from the schedule
//! of the target. It never mentions a target, and never depends on a weight format: decoding is an expression of
//! [`gristmill_kernel::quant`]. The algorithms here are for workgroups of threads, those in [`simd`] for CPUs.
//!
//! Builders fail with an internal error if a kernel cannot be built, which is a bug: [`crate::select`] only calls them
//! where they apply, and checks the limits of the target afterwards.

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
