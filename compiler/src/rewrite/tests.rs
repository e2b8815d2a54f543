//! The cases of `tests/cases/rewrite`: graphs before and after, in the notation of the rules.

mod cases;
mod models;
mod notation;
mod values;
