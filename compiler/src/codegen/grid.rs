//! Counts of workgroups: the same number for the kernel (an expression) and for the runtime (a size).

use gristmill_bundle::Size;
use gristmill_graph::Dim;
use gristmill_kernel::{Expr, u};

use super::index::dim_expr;
use crate::size::{ceil_div, product, size};

/// How many positions a grid axis has.
#[derive(Clone, Debug, PartialEq)]
pub enum Count {
    /// A dimension.
    Dim(Dim),
    /// A dimension divided by a literal, rounded up.
    Ceil(Dim, u32),
}

impl Count {
    /// For the kernel.
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

/// The product of several counts, for the runtime: the number of workgroups of a dispatch.
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
