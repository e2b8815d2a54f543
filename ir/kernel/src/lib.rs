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
//!
//! # Example
//!
//! The sum of each row of a matrix, with one workgroup per row and four threads that share it:
//!
//! ```
//! use std::collections::BTreeMap;
//!
//! use gristmill_kernel::interp::{Options, run};
//! use gristmill_kernel::{Bind, Builder, Expr, F32, GroupOp, f};
//!
//! let columns = 10;
//! let mut b = Builder::new("row_sum");
//! let x = b.buffer("x", F32, false);
//! let y = b.buffer("y", F32, true);
//! let row = b.grid_axis("row", Expr::symbol("B"));
//! let lane = b.group_axis("lane", 4);
//! let sum = b.var("sum", f(0.0));
//! b.for_("column", &lane, columns, 4, Bind::Serial, |b, column| b.add(sum, x.at(&row * columns + column)));
//! b.group_reduce(GroupOp::Add, sum);
//! b.if_(lane.equals(0), |b| b.store(y, &row, sum));
//! let kernel = b.finish(&["B".to_string()])?;
//!
//! let ones = vec![1_f32.to_bits(); 20];
//! let mut buffers = [ones, vec![0; 2]];
//! run(&kernel, &BTreeMap::from([("B".to_string(), 2)]), &mut buffers, Options::default())?;
//! assert_eq!(buffers[1], [10_f32.to_bits(); 2]);
//! # Ok::<(), String>(())
//! ```
//!
//! `gristmill-wgsl` and `gristmill-wasm` show what becomes of a kernel on a GPU and on a CPU.

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
