//! What follows from the tokens of speech: which may be next where times are marked, the segments that they stand
//! for, when each word is said, and whether a window is to be decoded again. All of it is arithmetic, without a
//! device.
//!
//! After Radford et al. 2022 ("Robust Speech Recognition via Large-Scale Weak Supervision"), in the form that
//! transformers gives it (`generation_whisper.py`).

pub(crate) mod align;
pub(crate) mod quality;
pub mod rules;
pub(crate) mod segments;
pub(crate) mod words;
