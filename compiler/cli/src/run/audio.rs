//! `gristmill run --audio`: transcribes audio, or compares it with texts.

use std::cell::RefCell;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use gristmill_bundle::Bundle;
use gristmill_runtime::Error;
use gristmill_runtime::audio::Audio;
use gristmill_runtime::blocking;
use gristmill_runtime::choices::{Choices, Start};
use gristmill_runtime::generate::{Options, Stop};
use gristmill_runtime::task::{TaskInputs, audio_input, compared_audio};
use gristmill_runtime::text::Callbacks;
use gristmill_runtime::tokenizer::Tokenizer;
use gristmill_runtime::transcribe::{Granularity, Segment, Transcribed, Transcript, Word};
use serde_json::{Value, json};

use super::prompt::watch_interrupt;
use super::subtitles::Subtitles;
use super::{labels, show, waveform};
use crate::args::{RunArgs, SpeechFormat, Times};
use crate::backend::{self, Loaded};
use crate::failure::{Exit, Failure, Outcome};
use crate::locate::{EXACT, Purpose, bundle_for};
use crate::output::{emit, emit_json, note};
use crate::sampling;

/// The default maximum number of tokens per window: what fits into the context.
const UNLIMITED: u32 = u32::MAX;

/// Prints a transcript of each file.
pub(super) fn run(args: &RunArgs) -> Outcome {
    let format = if args.json { SpeechFormat::Json } else { args.format.unwrap_or(SpeechFormat::Txt) };
    let subtitles = matches!(format, SpeechFormat::Srt | SpeechFormat::Vtt);
    if subtitles && args.audio.len() > 1 {
        return Err(Failure::wrong("--format: subtitles need exactly one audio file; name one with --audio"));
    }
    // Errors in files are found before anything is compiled or loaded.
    let audio = args.audio.iter().map(|path| waveform::read(path)).collect::<Outcome<Vec<_>>>()?;
    let dir = bundle_for(&args.model, &args.flags, EXACT, Purpose::Here)?;
    let bundle = Bundle::open(&dir)?;
    if let Some(how) = compared_audio(bundle.manifest()) {
        return compare(args, audio, how.rate, &dir, &bundle);
    }
    let (how, _) = audio_input(bundle.manifest()).map_err(|e| {
        Failure::wrong(format!("--audio: {e}; or its directory lacks a preprocessor_config.json for audio"))
    })?;
    if !args.texts().is_empty() {
        return Err(Failure::wrong("--prompt: a speech recognition model takes no prompt; remove --prompt"));
    }
    let choices = [("language", &args.language), ("task", &args.task)].into_iter();
    let choices: Choices = choices.filter_map(|(name, word)| Some((name.to_string(), word.clone()?))).collect();
    Start::new(bundle.manifest(), &choices)?;
    let speech = audio.into_iter().map(|s| waveform::at_rate(s, how.rate)).collect::<Outcome<Vec<_>>>()?;
    let tokenizer = if bundle.has("tokenizer.json") { Some(Tokenizer::from_bundle(&bundle)?) } else { None };
    let mut writer = Writer {
        options: sampling::choose(&bundle, &args.sampling, UNLIMITED)?,
        tokenizer: tokenizer.as_ref(),
        choices,
        times: args.timestamps.map(granularity).or(subtitles.then_some(Granularity::Segment)),
        loaded: backend::load(&dir, &args.backend)?,
        interrupted: watch_interrupt(),
        format,
        stops: &args.sampling.stop,
    };
    let mut all = Vec::new();
    for (path, audio) in args.audio.iter().zip(speech) {
        if args.audio.len() > 1 && format != SpeechFormat::Json {
            emit(&format!("{}{}\n", if all.is_empty() { "" } else { "\n" }, path.display()))?;
        }
        let said = writer.transcribe(audio)?;
        let segments: Vec<Value> = said.segments.iter().map(|s| told(s, writer.times)).collect();
        let input = path.display().to_string();
        all.push(json!({ "input": input, "text": said.text, "segments": segments, "choices": said.choices }));
        if said.stop == Stop::Aborted {
            return Ok(Exit::Interrupted);
        }
    }
    if format == SpeechFormat::Json {
        emit_json(&Value::from(all))?;
    }
    Ok(Exit::Done)
}

fn granularity(times: Times) -> Granularity {
    match times {
        Times::Segment => Granularity::Segment,
        Times::Word => Granularity::Word,
    }
}

/// A segment as JSON, with its words if they were requested.
fn told(segment: &Segment, times: Option<Granularity>) -> Value {
    let Segment { start, end, text, tokens: _, words } = segment;
    let mut told = json!({ "start": start, "end": end, "text": text });
    if times == Some(Granularity::Word) {
        let word = |w: &Word| json!({ "start": w.start, "end": w.end, "text": w.text });
        told["words"] = words.iter().map(word).collect();
    }
    told
}

/// Prints the similarity of the texts to each audio file.
fn compare(args: &RunArgs, audio: Vec<Audio>, rate: u32, dir: &Path, bundle: &Bundle) -> Outcome {
    let speech = args.language.is_some() || args.task.is_some() || args.timestamps.is_some() || args.format.is_some();
    if speech {
        return Err(Failure::wrong(
            "--language, --task, --timestamps and --format: this model compares audio with texts; remove them",
        ));
    }
    let words = args.texts();
    let texts = labels::texts(bundle, words, "audio files")?;
    let audio = audio.into_iter().map(|s| waveform::at_rate(s, rate)).collect::<Outcome<Vec<_>>>()?;
    let mut loaded = backend::load(dir, &args.backend)?;
    let given = TaskInputs { audio: &audio, texts: &texts, ..TaskInputs::default() };
    let fits = blocking::compare(loaded.backend.as_mut(), loaded.bundle.manifest(), given)?;
    let names: Vec<String> = args.audio.iter().map(|p| p.display().to_string()).collect();
    show::fits(args, words, &names, &fits)
}

/// Transcribes audio.
struct Writer<'a> {
    loaded: Loaded,
    tokenizer: Option<&'a Tokenizer>,
    options: Options,
    choices: Choices,
    times: Option<Granularity>,
    interrupted: std::sync::Arc<AtomicBool>,
    format: SpeechFormat,
    stops: &'a [String],
}

impl Writer<'_> {
    /// Transcribes an audio file. Segments are printed as soon as they are final.
    fn transcribe(&mut self, audio: Audio) -> Outcome<Transcribed> {
        let tokenizer = self.tokenizer;
        let decode = move |ids: &[u32]| match tokenizer {
            Some(tokenizer) => Ok(tokenizer.decode(ids)?),
            None => Err(Error::Unsupported(
                "this model generates tokens, but has no tokenizer.json to turn them into text".to_string(),
            )),
        };
        let (backend, manifest) = (self.loaded.backend.as_mut(), self.loaded.bundle.manifest());
        let (times, options, stops) = (self.times, &self.options, self.stops);
        let output = Output::default();
        let mut subtitles = times.and_then(|_| Subtitles::new(self.format));
        let marked = subtitles.is_some();
        let pieces = !marked && self.format != SpeechFormat::Json;
        let mut transcript = Transcript::new(manifest, audio, &self.choices, times, decode, options, stops)?;
        output.print(subtitles.as_ref().map_or("", Subtitles::head));
        let (begin, interrupted) = (Instant::now(), &self.interrupted);
        transcript.observe(|segment: &Segment| {
            if let Some(subtitles) = &mut subtitles {
                output.print(&subtitles.segment(segment));
            }
        });
        let mut callbacks = Callbacks {
            clock: &mut || begin.elapsed().as_secs_f64(),
            keep_going: &mut |_| !interrupted.load(Ordering::Relaxed) && !output.broken(),
            piece: &mut |piece| {
                if pieces {
                    output.print(piece);
                }
            },
        };
        let said = blocking::transcribe(backend, manifest, &mut transcript, &mut callbacks)?;
        drop(transcript);
        output.done()?;
        if pieces {
            emit("\n")?;
        }
        let choices: Vec<String> = said.choices.iter().map(|(name, word)| format!("{name}: {word}")).collect();
        if (pieces || marked) && !choices.is_empty() {
            note(&choices.join(", "));
        }
        Ok(said)
    }
}

/// Stdout, until writing fails.
struct Output(RefCell<Outcome<()>>);

impl Default for Output {
    fn default() -> Self {
        Output(RefCell::new(Ok(())))
    }
}

impl Output {
    fn print(&self, text: &str) {
        let mut state = self.0.borrow_mut();
        if state.is_ok() && !text.is_empty() {
            *state = emit(text);
        }
    }

    fn broken(&self) -> bool {
        self.0.borrow().is_err()
    }

    fn done(self) -> Outcome<()> {
        self.0.into_inner()
    }
}
