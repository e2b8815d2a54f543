//! `gristmill run --audio`: what is said in recordings.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use gristmill_bundle::Bundle;
use gristmill_runtime::blocking::{self, generate_text};
use gristmill_runtime::generate::{Options, Prompt};
use gristmill_runtime::sound::Sound;
use gristmill_runtime::task::{Heard, hearing};
use gristmill_runtime::text::Callbacks;
use gristmill_runtime::tokenizer::Tokenizer;
use serde_json::{Value, json};

use super::prompt::watch_interrupt;
use super::recording;
use crate::args::RunArgs;
use crate::backend::{self, Loaded};
use crate::failure::{Exit, Failure, Outcome};
use crate::locate::{EXACT, Purpose, bundle_for};
use crate::output::{emit, emit_json};
use crate::sampling;

/// Prints what is said in each file.
pub(super) fn run(args: &RunArgs) -> Outcome {
    if !args.prompt.is_empty() {
        return Err(Failure::wrong("--prompt: a model that transcribes takes no text beside recordings"));
    }
    // What can be wrong with files is found before anything is compiled or loaded.
    let sounds = args.audio.iter().map(|path| recording::read(path)).collect::<Outcome<Vec<_>>>()?;
    let dir = bundle_for(&args.model, &args.flags, EXACT, Purpose::Here)?;
    let bundle = Bundle::open(&dir)?;
    let (how, most) = hearing(bundle.manifest()).map_err(|e| {
        Failure::wrong(format!("--audio: {e}; or its directory does not say how recordings become tensors"))
    })?;
    let speech = sounds.into_iter().map(|s| recording::at_rate(s, how.rate)).collect::<Outcome<Vec<_>>>()?;
    let mut writer = Writer {
        options: sampling::choose(&bundle, &args.sampling)?,
        tokenizer: if bundle.has("tokenizer.json") { Some(Tokenizer::from_bundle(&bundle)?) } else { None },
        loaded: backend::load(&dir, &args.backend)?,
        interrupted: watch_interrupt(),
        stream: !args.json,
        stops: &args.sampling.stop,
    };
    let mut all = Vec::new();
    for (path, sound) in args.audio.iter().zip(&speech) {
        if args.audio.len() > 1 && !args.json {
            emit(&format!("{}{}\n", if all.is_empty() { "" } else { "\n" }, path.display()))?;
        }
        let text = writer.transcribe(sound, most)?;
        all.push(json!({ "input": path.display().to_string(), "text": text }));
        if writer.interrupted.load(Ordering::Relaxed) {
            return Ok(Exit::Interrupted);
        }
    }
    if args.json {
        emit_json(&Value::from(all))?;
    }
    Ok(Exit::Done)
}

/// Turns recordings into text.
struct Writer<'a> {
    loaded: Loaded,
    tokenizer: Option<Tokenizer>,
    options: Options,
    interrupted: std::sync::Arc<AtomicBool>,
    /// Whether text is printed as it comes.
    stream: bool,
    stops: &'a [String],
}

impl Writer<'_> {
    /// The text of a recording, part by part.
    fn transcribe(&mut self, sound: &Sound, most: usize) -> Outcome<String> {
        let mut text = String::new();
        for part in sound.parts(most) {
            let (backend, manifest) = (self.loaded.backend.as_mut(), self.loaded.bundle.manifest());
            let said = match blocking::hear(backend, manifest, &part)? {
                Heard::Text(said) => {
                    self.print(&text, &said)?;
                    said
                }
                Heard::Prompt(prompt) => self.write(&text, prompt)?,
            };
            let space = if text.is_empty() || said.is_empty() { "" } else { " " };
            text = format!("{text}{space}{}", said.trim());
            if self.interrupted.load(Ordering::Relaxed) {
                break;
            }
        }
        if self.stream {
            emit("\n")?;
        }
        Ok(text)
    }

    /// Prints a stretch of text behind what was printed of this recording.
    fn print(&self, before: &str, said: &str) -> Outcome<()> {
        let space = if before.is_empty() || said.is_empty() { "" } else { " " };
        if self.stream { emit(&format!("{space}{said}")) } else { Ok(()) }
    }

    /// Generates the text of a part.
    fn write(&mut self, before: &str, prompt: Prompt) -> Outcome<String> {
        let tokenizer = self.tokenizer.as_ref().ok_or_else(|| {
            Failure::wrong("this model writes tokens, but its directory has no tokenizer.json to read them with")
        })?;
        let (begin, interrupted) = (Instant::now(), self.interrupted.clone());
        let (mut text, mut printed, stream) = (String::new(), Ok(()), self.stream);
        let broken = AtomicBool::new(false);
        let mut callbacks = Callbacks {
            clock: &mut || begin.elapsed().as_secs_f64(),
            keep_going: &mut |_| !interrupted.load(Ordering::Relaxed) && !broken.load(Ordering::Relaxed),
            piece: &mut |piece| {
                // Words begin with a space; the first one needs it only behind another part.
                let piece = if text.is_empty() && before.is_empty() { piece.trim_start() } else { piece };
                text.push_str(piece);
                if stream && printed.is_ok() {
                    printed = emit(piece);
                    broken.store(printed.is_err(), Ordering::Relaxed);
                }
            },
        };
        let (backend, manifest) = (self.loaded.backend.as_mut(), self.loaded.bundle.manifest());
        generate_text(backend, manifest, tokenizer, prompt, &self.options, self.stops, &mut callbacks)?;
        printed?;
        Ok(text)
    }
}
