//! The tools to build kernels with: where values are stored, and how expressions of the graph become expressions of a
//! kernel.
//!
//! [`mod@partition`] decides which values become buffers, [`context`] knows their memory, and [`kernel`] is a kernel
//! under construction. [`inline`], [`views`] and [`vec4`] inline everything that is not in memory, [`epilogue`] does so
//! for fused expressions, [`states`] lays out the memory that persists between calls, and [`store`] writes results.
//! Nothing here depends on an algorithm.

pub mod activations;
pub mod context;
pub mod epilogue;
pub mod grid;
pub mod index;
pub mod inline;
pub mod kernel;
pub mod partition;
pub mod row;
pub mod states;
pub mod store;
pub mod vec4;
pub mod views;
