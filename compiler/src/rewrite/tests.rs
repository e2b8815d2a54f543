//! Runs the cases in `tests/cases/rewrite`: graphs before and after rewriting, in the notation of the rules.

mod cases;
mod models;
mod notation;
mod values;

/// The cost model of these tests.
fn cost() -> super::CostModel {
    crate::profile::shipped("chrome").expect("a shipped profile").cost
}
