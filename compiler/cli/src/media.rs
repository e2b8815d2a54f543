//! What `gristmill run` makes of the files that are given to it, without running anything.

use std::collections::BTreeMap;
use std::path::Path;

use gristmill_runtime::Tensor;
use gristmill_runtime::audio::Audio;
use gristmill_runtime::image::Image;

use crate::run::{files, waveform};
use crate::tensors;

/// The image of `--image`.
///
/// # Errors
/// Why the file is none that can be read.
pub fn image(path: &Path) -> Result<Image, String> {
    files::read(path).map_err(|e| e.message)
}

/// The audio of `--audio`, with so many samples per second.
///
/// # Errors
/// Why the file is none that can be read.
pub fn audio(path: &Path, rate: u32) -> Result<Audio, String> {
    waveform::read(path).and_then(|audio| waveform::at_rate(audio, rate)).map_err(|e| e.message)
}

/// The tensors of `--inputs`.
///
/// # Errors
/// Why the file is none that can be read.
pub fn inputs(path: &Path) -> Result<BTreeMap<String, Tensor>, String> {
    tensors::read(path).map_err(|e| e.message)
}
