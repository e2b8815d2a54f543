//! Target profiles: what a browser or driver can do and how kernels are tuned for it, as data. docs/profiles.md is the manual.
//!
//! `fields` is the form of a file, `check` says with which numbers no kernel could be built, and `load` finds profiles by name
//! and by path.

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
