//! The readers of the input files of `gristmill run`, without running a model.

use std::collections::BTreeMap;
use std::path::Path;

use gristmill_runtime::Tensor;
use gristmill_runtime::audio::Audio;
use gristmill_runtime::image::Image;

use crate::run::{files, waveform};
use crate::tensors;

/// Reads an image for `--image`: RGB, upright.
///
/// # Errors
/// Why the file cannot be read as an image.
pub fn image(path: &Path) -> Result<Image, String> {
    files::read(path).map_err(|e| e.message)
}

/// Reads an audio file for `--audio`: mixed to one channel, and resampled to `rate` samples per second.
///
/// # Errors
/// Why the file cannot be read as audio.
pub fn audio(path: &Path, rate: u32) -> Result<Audio, String> {
    waveform::read(path).and_then(|audio| waveform::at_rate(audio, rate)).map_err(|e| e.message)
}

/// Reads the tensors for `--inputs`, by name.
///
/// # Errors
/// Why the file cannot be read as safetensors.
pub fn inputs(path: &Path) -> Result<BTreeMap<String, Tensor>, String> {
    tensors::read(path).map_err(|e| e.message)
}
