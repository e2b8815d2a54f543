//! Prints kernels as SIMD WebAssembly.
//!
//! All kernels of a program form one module over one imported memory. A kernel is a function over a range of its grid,
//! so that workers can share a dispatch. Kernels for a CPU have no threads within a group: they are legalized for
//! [`gristmill_kernel::Caps::CPU`].
//!
//! In the order of the pipeline: `lower` turns a kernel into a graph of values (`expr` chooses the instructions),
//! `code` emits it with values in locals and invariants before loops, `driver` adds the functions that run programs,
//! and `module` assembles everything. [`validate`] checks every emitted module.
//!
//! # Example
//!
//! From an algorithm to a module: `y = 2 x + 1`, four elements at a time.
//!
//! ```
//! use gristmill_kernel::{Builder, Caps, Expr, VEC4F, f, legalize};
//! use gristmill_wasm::Variant;
//!
//! let mut b = Builder::new("scale");
//! let (x, y) = (b.buffer("x", VEC4F, false), b.buffer("y", VEC4F, true));
//! let quad = b.grid_axis("quad", Expr::symbol("N") / 4);
//! b.store(y, &quad, x.at(&quad) * f(2.0).splat(4) + f(1.0).splat(4));
//! let kernel = b.finish(&["N".to_string()])?;
//!
//! let variant = Variant { relaxed: false, threads: false };
//! let module = gristmill_wasm::print(&[legalize(&kernel, &Caps::CPU)], variant)?;
//! gristmill_wasm::validate(&module, variant)?;
//! let text = gristmill_wasm::text(&module, Some("scale"))?;
//! assert!(text.contains("f32x4.mul") && text.contains("v128.store"), "{text}");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod code;
mod driver;
mod error;
mod expr;
mod lower;
mod module;
mod node;
mod validate;
mod variant;

pub use error::PrintError;
pub use module::print;
pub use validate::{text, validate};
pub use variant::Variant;
