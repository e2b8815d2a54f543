//! Hugging Face model directories: settings, preprocessing of inputs, tokenizers, and start tokens.

mod class;

pub mod adapter;

pub mod ctc;

pub mod dir;

pub mod files;

mod image_classes;

pub mod json;

pub(crate) mod missing;

pub mod images;

pub mod processors;

pub(crate) mod quantized;

pub(crate) mod sentence;

pub(crate) mod start;

pub(crate) mod template;

pub(crate) mod timestamps;

pub mod tokenizer;

pub mod unused;
