//! What browsers provide and native programs have to bring along: Unicode tables and shortest decimals.

#[cfg(not(target_family = "wasm"))]
mod native;
#[cfg(target_family = "wasm")]
mod page;
#[cfg(not(target_family = "wasm"))]
mod tables;

#[cfg(not(target_family = "wasm"))]
pub(crate) use native::{decimal, is_alpha, is_digit, is_numeric, is_printable, lower, parse_float, scientific, upper};
#[cfg(target_family = "wasm")]
pub(crate) use page::{decimal, is_alpha, is_digit, is_numeric, is_printable, lower, parse_float, scientific, upper};
