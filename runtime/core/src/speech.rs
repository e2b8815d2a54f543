//! The algorithms of speech recognition with timestamps: which tokens may be next, the segments of a window, timestamps
//! of words, and whether a window is decoded again. All of it is arithmetic, without a device.
//!
//! After Radford et al. 2022 ("Robust Speech Recognition via Large-Scale Weak Supervision"), in the form that
//! transformers implements it (`generation_whisper.py`).

pub(crate) mod align;
pub(crate) mod quality;
pub mod rules;
pub(crate) mod segments;
pub(crate) mod words;
