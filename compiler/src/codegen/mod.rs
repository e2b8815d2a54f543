//! What kernels are built with: where values lie, and how expressions of the graph become expressions of a kernel.
//!
//! [`mod@partition`] decides which values become buffers, [`context`] knows where they lie, [`kernel`] is a kernel under
//! construction; [`inline`], [`views`] and [`vec4`] pull everything that is not memory into it, [`epilogue`] does that for
//! fused expressions, [`states`] lays out what outlives a call, and [`store`] puts results where they belong. Nothing here knows an algorithm.

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
