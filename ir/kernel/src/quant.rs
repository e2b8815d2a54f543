//! Reads stored weights. No other code in kernels decodes a bit layout.
//!
//! [`gristmill_graph::quant`] describes the layout. Kernels see a matrix `[N, K]` whose rows consist of *packs*:
//! consecutive columns that one load fetches. They open a row once, visit its packs in any order, and get decoded
//! columns four at a time:
//!
//! ```
//! use gristmill_kernel::{Bind, Builder, Expr, F32, VEC4F, WeightFormat, f};
//! // y[row] = w[row, :] . x, one thread per row.
//! let w = WeightFormat::new("q4.g32".parse().unwrap(), 256, 512);
//! let mut b = Builder::new("matvec");
//! let (weight, x, y) = (b.buffer("w", w.elem(), false), b.buffer("x", VEC4F, false), b.buffer("y", F32, true));
//! let row = b.grid_axis("row", 256);
//! let sum = b.var("sum", f(0.0));
//! let open = w.open_row(&mut b, weight, &row);
//! b.for_("pack", 0, w.packs(), 1, Bind::Serial, |b, pack| {
//!     w.for_pack(b, &open, pack, Bind::Serial, |b, column, values| {
//!         b.add(sum, values.dot(x.at(column / 4)));
//!     });
//! });
//! b.store(y, row, sum);
//! b.finish(&[]).unwrap();
//! ```

mod decode;
mod four;

pub use decode::{OpenRow, WeightFormat, unpack_at, unpack_quad_at};
pub use four::{ByteFormat, RowQuad, Words, transpose};
