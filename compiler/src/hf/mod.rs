//! What a Hugging Face model directory says: its settings, how inputs are prepared, how generation begins.

pub mod adapter;

pub mod ctc;

pub mod dir;

pub mod files;

mod image_classes;

pub(crate) mod missing;

pub mod pictures;

pub(crate) mod quantized;

pub(crate) mod start;

pub(crate) mod timestamps;

pub mod tokenizer;

pub mod unused;
