//! Sorting.

use std::cmp::Ordering;

/// The numbers below `count`, sorted by `compare`; equal ones keep their order. All sorting in the page uses this
/// function, because each type that is sorted on its own adds some kilobytes to the download.
pub fn order(count: usize, compare: &dyn Fn(usize, usize) -> Ordering) -> Vec<usize> {
    let mut order: Vec<usize> = (0..count).collect();
    order.sort_by(|a, b| compare(*a, *b));
    order
}
