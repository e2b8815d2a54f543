//! The cases of `tests/cases/rewrite`: graphs before and after, in the notation of the rules.

mod cases;
mod models;
mod notation;
mod values;

/// What rewriting pays in these tests.
fn cost() -> super::CostModel {
    crate::profile::shipped("chrome").expect("a shipped profile").cost
}
