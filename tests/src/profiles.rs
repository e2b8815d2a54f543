//! Profiles that no device has, for what shipped ones do not use yet.

use gristmill_compiler::profile::{Profile, shipped};

/// The profile `native`, but with every algorithm that has several kernels, or several results.
pub fn several_kernels() -> Profile {
    let mut profile = shipped("native").expect("a shipped profile");
    profile.name = "several_kernels".to_string();
    profile.schedule.matvec.parts = 3;
    profile.schedule.matvec.fill = 1024;
    profile.schedule.matvec.together = true;
    profile.schedule.attention.parts = 3;
    profile
}
