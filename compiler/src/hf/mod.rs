//! What a Hugging Face model directory says: its settings, how inputs are prepared, how generation begins.

pub mod dir;

pub mod files;

pub mod pictures;

pub(crate) mod start;

pub(crate) mod timestamps;
