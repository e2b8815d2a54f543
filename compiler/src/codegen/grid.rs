//! Counts of workgroups: the same number for the kernel (an expression) and for the runtime (a size).

use gristmill_graph::Dim;
use gristmill_kernel::{Expr, u};

use super::index::dim_expr;

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

    /// For the runtime: a size expression.
    pub fn size(&self) -> String {
        match self {
            Count::Dim(d) => d.to_string(),
            Count::Ceil(d, n) => match d.as_const() {
                Some(c) => (c as u64).div_ceil(u64::from(*n)).to_string(),
                None => format!("ceil_div({d}, {n})"),
            },
        }
    }
}

/// The product of several counts as a size expression: the number of workgroups of a dispatch.
pub fn grid_size(counts: &[Count]) -> String {
    let factors: Vec<String> = counts.iter().map(Count::size).filter(|s| s != "1").collect();
    match factors.len() {
        0 => "1".into(),
        1 => factors[0].clone(),
        _ => factors.iter().map(|f| format!("({f})")).collect::<Vec<_>>().join("*"),
    }
}
