//! Sizes: small integer expressions of symbols.
//!
//! Programs hold [`Size`]s; a bundle spells them as text (see `parse.rs`), and that is the only place where they are
//! text. What is evaluated often is resolved into an [`Expr`] first. Arithmetic is checked; a result must not be
//! negative.

mod expr;
mod parse;
#[cfg(test)]
mod tests;
mod tree;

pub use expr::Expr;
pub use parse::MAX_TEXT;
pub use tree::{Size, SizeError, SizeOp};
