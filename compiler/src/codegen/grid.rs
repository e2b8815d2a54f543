//! Workgroup counts, in two forms: an expression for the kernel and a size for the runtime.

use gristmill_bundle::Size;
use gristmill_graph::Dim;
use gristmill_kernel::{Expr, u};

use super::index::dim_expr;
use crate::size::{ceil_div, product, size};

/// The extent of a grid axis.
#[derive(Clone, Debug, PartialEq)]
pub enum Count {
    /// A dimension.
    Dim(Dim),
    /// A dimension divided by a literal, rounded up.
    Ceil(Dim, u32),
}

impl Count {
    /// The count as a kernel expression.
    pub fn expr(&self) -> Expr {
        match self {
            Count::Dim(d) => dim_expr(d),
            Count::Ceil(d, n) => match d.as_const() {
                Some(c) => u((c as u64).div_ceil(u64::from(*n)) as u32),
                None => (dim_expr(d) + u(n - 1)) / u(*n),
            },
        }
    }
}

/// The number of workgroups of a dispatch, for the runtime: the product of the counts.
pub fn grid_size(counts: &[Count]) -> Size {
    let (mut whole, mut quotients) = (Dim::constant(1), Vec::new());
    for count in counts {
        match count {
            Count::Dim(d) => whole = &whole * d,
            Count::Ceil(d, n) => match d.as_const() {
                Some(c) => whole = &whole * &Dim::constant((c as u64).div_ceil(u64::from(*n)) as i64),
                None => quotients.push(ceil_div(d, *n)),
            },
        }
    }
    product([size(&whole)].into_iter().chain(quotients))
}
