//! Target profiles: the limits and features of a browser or driver, and the tuning of kernels for it, as data.
//! docs/profiles.md is the manual.
//!
//! `fields` defines the file format, `check` finds numbers that no kernel could be built with, and `load` finds
//! profiles by name and path.

mod check;
mod fields;
mod load;
#[cfg(test)]
mod tests;

pub use fields::{
    AttentionSchedule, CAPACITY, Features, Language, Limits, MapSchedule, MatmulSchedule, MatvecSchedule, Profile,
    ReduceSchedule, Schedule, TopKSchedule,
};
pub use load::{is_path, parse, read, shipped, shipped_names, targets};
