//! From a model directory to a bundle, stage by stage. The compiler is a pure function: the same directory,
//! options and profiles give the same bytes.
//!
//! In the order of the road: [`prepare`] folds constants and applies precisions, [`rewrite`] finds fused operations in
//! a graph of primitives, [`lower`] decides what becomes memory, [`kernels`] builds kernels, [`plan`] assembles
//! programs, [`weights`] streams weights.

pub mod error;

pub mod options;

pub mod prepare;

pub mod profile;

pub mod rewrite;

pub mod lower;

pub mod kernels;

pub mod plan;

pub mod weights;
