//! Inputs of models.

use std::path::Path;

use crate::scratch::with_files;
use crate::target::Accepted;

fn file<T>(data: &[u8], read: impl FnOnce(&Path) -> Result<T, String>) -> Accepted {
    with_files(&[("file", data)], |folder| read(&folder.join("file")).is_ok())
}

/// An image.
pub(crate) fn image(data: &[u8]) -> Accepted {
    file(data, gristmill::media::image)
}

/// Audio.
pub(crate) fn audio(data: &[u8]) -> Accepted {
    file(data, |path| gristmill::media::audio(path, 16_000))
}

/// Tensors.
pub(crate) fn inputs(data: &[u8]) -> Accepted {
    file(data, gristmill::media::inputs)
}
