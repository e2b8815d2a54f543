//! Sorting.

use std::cmp::Ordering;

/// The numbers below `count` in the order that `compare` says; equal ones keep theirs. One function for all that the page
/// sorts: each type that is sorted on its own costs whoever loads it some kilobytes.
pub fn order(count: usize, compare: &dyn Fn(usize, usize) -> Ordering) -> Vec<usize> {
    let mut order: Vec<usize> = (0..count).collect();
    order.sort_by(|a, b| compare(*a, *b));
    order
}
