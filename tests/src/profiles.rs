//! Profiles that no device has, for features that the shipped ones do not use yet.

use std::path::PathBuf;

use gristmill_compiler::profile::{Profile, read};

use crate::goldens::root;

/// The profile file of [`several_kernels`], as a target.
pub fn several_kernels_file() -> PathBuf {
    root().join("tests/profiles/several_kernels.ron")
}

/// A profile that uses every algorithm with several kernels or several results.
///
/// # Panics
/// If its file is invalid.
pub fn several_kernels() -> Profile {
    read(&several_kernels_file()).unwrap_or_else(|e| panic!("{e}"))
}
