//! The kernel IR: how a kernel computes.
//!
//! A [`Kernel`] is a grid of workgroups. Axes bound to the grid or to the threads of a group are declared on
//! the kernel; loops inside the body are serial or unrolled. There is no control-flow graph: statements form a
//! tree, expressions are trees without side effects. All indices are u32 and count elements, not bytes.
//!
//! The interpreter in this crate is the definition of the language: it runs the threads of a workgroup in
//! lock step. Backends print a kernel after [legalisation](mod@legalize) and make no decisions of their own.
//! A kernel for a target without threads in a group (a CPU) has no group axes.
//!
//! In the order of a kernel's life: [`Builder`] writes it and simplifies its index arithmetic on the way,
//! [`verify`](verify()) checks it, [`interp::run`] says what it means, [`legalize`](legalize()) adapts it to a target.

pub mod builder;
pub mod caps;
pub mod expr;
pub mod interp;
pub mod kernel;
pub mod legalize;
pub mod quant;
pub mod simplify;
pub mod types;
pub mod verify;

pub use builder::Builder;
pub use caps::Caps;
pub use expr::{f, i, u};
pub use kernel::*;
pub use legalize::legalize;
pub use quant::{ByteFormat, WeightFormat};
pub use simplify::Facts;
pub use verify::verify;
