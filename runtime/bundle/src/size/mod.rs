//! Sizes: small integer expressions of symbols.
//!
//! Programs hold [`Size`]s. Only bundles write them as text (see `parse.rs`). A size that is evaluated often is
//! resolved into an [`Expr`] first. Arithmetic is checked, and a result must not be negative.

mod expr;
mod parse;
#[cfg(test)]
mod tests;
mod tree;

pub use expr::Expr;
pub use parse::MAX_TEXT;
pub use tree::{Size, SizeError, SizeOp};
