//! `gristmill run --audio`: what is said in recordings, or how well texts fit to them.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use gristmill_bundle::Bundle;
use gristmill_runtime::Error;
use gristmill_runtime::blocking;
use gristmill_runtime::choices::{Choices, Start};
use gristmill_runtime::generate::{Options, Stop};
use gristmill_runtime::sound::Sound;
use gristmill_runtime::task::{Given, comparing_sounds, hearing};
use gristmill_runtime::text::Callbacks;
use gristmill_runtime::tokenizer::Tokenizer;
use gristmill_runtime::transcribe::{Said, Transcribed, Transcript};
use serde_json::{Value, json};

use super::prompt::watch_interrupt;
use super::{picture, recording, show};
use crate::args::RunArgs;
use crate::backend::{self, Loaded};
use crate::failure::{Exit, Failure, Outcome};
use crate::locate::{EXACT, Purpose, bundle_for};
use crate::output::{emit, emit_json, note};
use crate::sampling;

/// Most tokens of a part unless the caller says otherwise: what fits in the context.
const UNLIMITED: u32 = u32::MAX;

/// Prints what is said in each file.
pub(super) fn run(args: &RunArgs) -> Outcome {
    // What can be wrong with files is found before anything is compiled or loaded.
    let sounds = args.audio.iter().map(|path| recording::read(path)).collect::<Outcome<Vec<_>>>()?;
    let dir = bundle_for(&args.model, &args.flags, EXACT, Purpose::Here)?;
    let bundle = Bundle::open(&dir)?;
    if let Some(how) = comparing_sounds(bundle.manifest()) {
        return compare(args, sounds, how.rate, &dir, &bundle);
    }
    let (how, _) = hearing(bundle.manifest()).map_err(|e| {
        Failure::wrong(format!("--audio: {e}; or its directory does not say how recordings become tensors"))
    })?;
    if !args.texts().is_empty() {
        return Err(Failure::wrong("--prompt: a model that transcribes takes no text beside recordings"));
    }
    let choices = [("language", &args.language), ("task", &args.task)].into_iter();
    let choices: Choices = choices.filter_map(|(name, word)| Some((name.to_string(), word.clone()?))).collect();
    Start::new(bundle.manifest(), &choices)?;
    let speech = sounds.into_iter().map(|s| recording::at_rate(s, how.rate)).collect::<Outcome<Vec<_>>>()?;
    let tokenizer = if bundle.has("tokenizer.json") { Some(Tokenizer::from_bundle(&bundle)?) } else { None };
    let mut writer = Writer {
        options: sampling::choose(&bundle, &args.sampling, UNLIMITED)?,
        tokenizer: tokenizer.as_ref(),
        choices,
        loaded: backend::load(&dir, &args.backend)?,
        interrupted: watch_interrupt(),
        stream: !args.json,
        stops: &args.sampling.stop,
    };
    let mut all = Vec::new();
    for (path, sound) in args.audio.iter().zip(speech) {
        if args.audio.len() > 1 && !args.json {
            emit(&format!("{}{}\n", if all.is_empty() { "" } else { "\n" }, path.display()))?;
        }
        let said = writer.transcribe(sound)?;
        let part = |p: &Said| json!({ "begin": p.begin, "end": p.end, "text": p.text });
        let parts: Vec<Value> = said.parts.iter().map(part).collect();
        all.push(
            json!({ "input": path.display().to_string(), "text": said.text, "parts": parts, "choices": said.choices }),
        );
        if said.stop == Stop::Aborted {
            return Ok(Exit::Interrupted);
        }
    }
    if args.json {
        emit_json(&Value::from(all))?;
    }
    Ok(Exit::Done)
}

/// Prints how well the texts fit to each recording.
fn compare(args: &RunArgs, sounds: Vec<Sound>, rate: u32, dir: &Path, bundle: &Bundle) -> Outcome {
    if args.language.is_some() || args.task.is_some() {
        return Err(Failure::wrong("--language and --task: this model compares recordings with texts; leave them out"));
    }
    let words = args.texts();
    let texts = picture::texts(bundle, words, "recordings")?;
    let sounds = sounds.into_iter().map(|s| recording::at_rate(s, rate)).collect::<Outcome<Vec<_>>>()?;
    let mut loaded = backend::load(dir, &args.backend)?;
    let given = Given { sounds: &sounds, texts: &texts, ..Given::default() };
    let fits = blocking::compare(loaded.backend.as_mut(), loaded.bundle.manifest(), given)?;
    let names: Vec<String> = args.audio.iter().map(|p| p.display().to_string()).collect();
    show::fits(args, words, &names, &fits)
}

/// Turns recordings into text.
struct Writer<'a> {
    loaded: Loaded,
    tokenizer: Option<&'a Tokenizer>,
    options: Options,
    choices: Choices,
    interrupted: std::sync::Arc<AtomicBool>,
    /// Whether text is printed as it comes.
    stream: bool,
    stops: &'a [String],
}

impl Writer<'_> {
    /// What is said in a recording.
    fn transcribe(&mut self, sound: Sound) -> Outcome<Transcribed> {
        let tokenizer = self.tokenizer;
        let decode = move |ids: &[u32]| match tokenizer {
            Some(tokenizer) => tokenizer.decode(ids),
            None => Err(Error::Unsupported(
                "this model writes tokens, but its directory has no tokenizer.json to read them with".to_string(),
            )),
        };
        let (backend, manifest) = (self.loaded.backend.as_mut(), self.loaded.bundle.manifest());
        let mut transcript = Transcript::new(manifest, sound, &self.choices, decode, &self.options, self.stops)?;
        let (begin, interrupted, stream) = (Instant::now(), &self.interrupted, self.stream);
        let (mut printed, broken) = (Ok(()), AtomicBool::new(false));
        let mut callbacks = Callbacks {
            clock: &mut || begin.elapsed().as_secs_f64(),
            keep_going: &mut |_| !interrupted.load(Ordering::Relaxed) && !broken.load(Ordering::Relaxed),
            piece: &mut |piece| {
                if stream && printed.is_ok() {
                    printed = emit(piece);
                    broken.store(printed.is_err(), Ordering::Relaxed);
                }
            },
        };
        let said = blocking::transcribe(backend, manifest, &mut transcript, &mut callbacks)?;
        printed?;
        if stream {
            emit("\n")?;
            let choices: Vec<String> = said.choices.iter().map(|(name, word)| format!("{name}: {word}")).collect();
            if !choices.is_empty() {
                note(&choices.join(", "));
            }
        }
        Ok(said)
    }
}
