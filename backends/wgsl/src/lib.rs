//! Prints kernels as WGSL.
//!
//! The printer makes no decisions: it prints a [legalized](gristmill_kernel) kernel statement by statement, as readable
//! text. [`validate`] checks every emitted shader.
//!
//! # Example
//!
//! From an algorithm to a shader: `y = 2 x + 1`, with 64 elements per workgroup.
//!
//! ```
//! use gristmill_kernel::{Builder, Caps, Expr, F32, legalize};
//!
//! let mut b = Builder::new("scale");
//! let (x, y) = (b.buffer("x", F32, false), b.buffer("y", F32, true));
//! let block = b.grid_axis("block", (Expr::symbol("N") + 63) / 64);
//! let thread = b.group_axis("thread", 64);
//! let element = b.let_("element", block * 64 + thread);
//! b.if_(element.lt(Expr::symbol("N")), |b| b.store(y, &element, x.at(&element) * 2.0 + 1.0));
//! let kernel = b.finish(&["N".to_string()])?;
//!
//! let caps = Caps::default(); // the least that WebGPU guarantees
//! let shader = gristmill_wgsl::print(&legalize(&kernel, &caps))?;
//! gristmill_wgsl::validate(&shader, &caps)?;
//! assert!(shader.contains("@compute @workgroup_size(64)"), "{shader}");
//! assert!(shader.contains("y[element] = x[element] * 2.0 + 1.0;"), "{shader}");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod error;
mod expr;
mod names;
mod print;
mod validate;

pub use error::PrintError;
pub use print::print;
pub use validate::validate;
