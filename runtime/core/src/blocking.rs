//! Blocking versions of the functions of this crate.

use gristmill_bundle::Manifest;

use crate::audio::Audio;
use crate::backend::{Backend, Request, Tensors};
use crate::error::Error;
use crate::generate::{Options, Outcome, Progress, Stop};
use crate::prompt::Prompt;
use crate::task::{AudioResult, Detection, Score, Similarity, TaskInputs};
use crate::tensors::TensorRun;

/// As [`Backend::begin`].
///
/// # Errors
/// See [`Backend::begin`].
pub fn begin(backend: &mut dyn Backend, batch: u32, capacity: u32) -> Result<(), Error> {
    pollster::block_on(backend.begin(batch, capacity))
}

/// Runs one call of an entry with `past` tokens in the states. `want` is that of [`Backend::start`].
///
/// # Errors
/// See [`Backend::start`].
pub fn run(
    backend: &mut dyn Backend,
    entry: &str,
    inputs: &Tensors,
    past: u32,
    want: &[&str],
) -> Result<Tensors, Error> {
    pollster::block_on(crate::backend::run(backend, &Request::new(entry, inputs, past), want))
}

/// As [`crate::tensors::run_tensors`].
///
/// # Errors
/// See [`crate::tensors::run_tensors`].
pub fn run_tensors(
    backend: &mut dyn Backend,
    manifest: &Manifest,
    inputs: &Tensors,
    run: &TensorRun,
) -> Result<Tensors, Error> {
    pollster::block_on(crate::tensors::run_tensors(backend, manifest, inputs, run))
}

/// As [`crate::task::classify`].
///
/// # Errors
/// See [`crate::task::classify`].
pub fn classify(
    backend: &mut dyn Backend,
    manifest: &Manifest,
    given: TaskInputs<'_>,
) -> Result<Vec<Vec<Score>>, Error> {
    pollster::block_on(crate::task::classify(backend, manifest, given))
}

/// As [`crate::task::detect`].
///
/// # Errors
/// See [`crate::task::detect`].
pub fn detect(
    backend: &mut dyn Backend,
    manifest: &Manifest,
    given: TaskInputs<'_>,
    threshold: f32,
) -> Result<Vec<Vec<Detection>>, Error> {
    pollster::block_on(crate::task::detect(backend, manifest, given, threshold))
}

/// As [`crate::task::compare`].
///
/// # Errors
/// See [`crate::task::compare`].
pub fn compare(
    backend: &mut dyn Backend,
    manifest: &Manifest,
    given: TaskInputs<'_>,
) -> Result<Vec<Similarity>, Error> {
    pollster::block_on(crate::task::compare(backend, manifest, given))
}

/// As [`crate::task::encode_audio`].
///
/// # Errors
/// See [`crate::task::encode_audio`].
pub fn encode_audio(
    backend: &mut dyn Backend,
    manifest: &Manifest,
    audio: &Audio,
    start: &crate::choices::Start,
) -> Result<AudioResult, Error> {
    pollster::block_on(crate::task::encode_audio(backend, manifest, audio, start))
}

/// As [`crate::generate::generate`].
///
/// # Errors
/// See [`crate::generate::generate`].
pub fn generate(
    backend: &mut dyn Backend,
    manifest: &Manifest,
    prompt: &[u32],
    options: &Options,
    clock: &mut dyn FnMut() -> f64,
    observe: &mut dyn FnMut(Progress) -> Option<Stop>,
) -> Result<Outcome, Error> {
    pollster::block_on(crate::generate::generate(backend, manifest, prompt, options, clock, observe))
}

/// As [`crate::text::TextRun::drive`].
///
/// # Errors
/// See [`crate::text::TextRun::drive`].
pub fn drive<D: Fn(&[u32]) -> Result<String, Error>>(
    run: &mut crate::text::TextRun<D>,
    backend: &mut dyn Backend,
    manifest: &Manifest,
    callbacks: &mut crate::text::Callbacks<'_>,
) -> Result<Outcome, Error> {
    pollster::block_on(run.drive(backend, manifest, callbacks))
}

/// As [`crate::transcribe::Transcript::drive`].
///
/// # Errors
/// See [`crate::transcribe::Transcript::drive`].
pub fn transcribe(
    backend: &mut dyn Backend,
    manifest: &Manifest,
    transcript: &mut crate::transcribe::Transcript<'_>,
    callbacks: &mut crate::text::Callbacks<'_>,
) -> Result<crate::transcribe::Transcribed, Error> {
    pollster::block_on(transcript.drive(backend, manifest, callbacks))
}

/// Continues a prompt and streams the text, with [`crate::text::TextRun`]. Any of the texts in `stops` ends
/// it and is not shown.
///
/// # Errors
/// See [`crate::text::TextRun::new`] and [`crate::text::TextRun::drive`].
#[cfg(feature = "tokenizer")]
pub fn generate_text(
    backend: &mut dyn Backend,
    manifest: &Manifest,
    tokenizer: &crate::tokenizer::Tokenizer,
    prompt: Prompt,
    options: &Options,
    stops: &[String],
    callbacks: &mut crate::text::Callbacks<'_>,
) -> Result<Outcome, Error> {
    let decode = |ids: &[u32]| tokenizer.decode(ids).map_err(Error::from);
    let mut run = crate::text::TextRun::new(manifest, decode, prompt, options, stops)?;
    pollster::block_on(run.drive(backend, manifest, callbacks))
}
