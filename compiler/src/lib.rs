//! From a model directory to a bundle, stage by stage.
//!
//! Each module is one stage; [`rewrite`] finds fused operations in a graph of primitives.

pub mod rewrite;
