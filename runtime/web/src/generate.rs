//! Generation of text, from a prompt or from audio: options in, pieces of text out.

use gristmill_bundle::Manifest;
use gristmill_runtime::Error;
use gristmill_runtime::audio::Audio;
use gristmill_runtime::choices::Choices;
use gristmill_runtime::generate::{Options, Outcome, Stop};
use gristmill_runtime::image::Image;
use gristmill_runtime::sample::Sampling;
use gristmill_runtime::task::{audio_input, image_prompt};
use gristmill_runtime::text::{Callbacks, TextRun};
use gristmill_runtime::transcribe::{Granularity, Segment, Transcribed, Transcript, Word};
use js_sys::{Function, Uint32Array};
use serde::Deserialize;
use serde_json::{Value, json};
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;

use crate::engine::Engine;
use crate::error::from_js;

/// `GenerateOptions` of `ts/api.ts`, with defaults filled in by JavaScript.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Given {
    max_new_tokens: u32,
    temperature: f32,
    top_k: u32,
    top_p: f32,
    min_p: f32,
    repetition_penalty: f32,
    seed: u64,
    stop: Vec<String>,
    stop_tokens: Vec<u32>,
    ignore_eos: bool,
    /// The selected start tokens.
    #[serde(default)]
    choices: Choices,
    /// The requested timestamps.
    #[serde(default)]
    timestamps: Option<Times>,
}

/// [`Granularity`], by name.
#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Times {
    Segment,
    Word,
}

impl From<Times> for Granularity {
    fn from(times: Times) -> Self {
        match times {
            Times::Segment => Granularity::Segment,
            Times::Word => Granularity::Word,
        }
    }
}

/// The parsed options.
struct Wishes {
    options: Options,
    /// Stop texts.
    stops: Vec<String>,
    /// Choices among the start tokens.
    choices: Choices,
    times: Option<Granularity>,
}

/// The JavaScript functions that generation calls.
#[derive(Clone, Debug)]
pub(crate) struct Host {
    /// Converts token ids to text: `(Uint32Array) => string`.
    pub(crate) decode: Function,
    /// Receives a piece of text: `(string) => void`.
    pub(crate) piece: Function,
    /// Called after each step: `(done, total) => boolean`, with zeros unless a prompt is being processed. Returns
    /// whether to continue.
    pub(crate) keep_going: Function,
}

/// Converts token ids to text.
type Decode = Box<dyn Fn(&[u32]) -> Result<String, Error>>;

/// A generation in progress.
#[derive(Debug)]
pub(crate) enum Run {
    /// Continues a prompt.
    Text(Box<TextRun<Decode>>),
    /// Transcribes audio.
    Speech(Box<Transcript<'static>>),
}

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(js_namespace = performance)]
    fn now() -> f64;
}

/// Parses options from JSON.
fn read(options: &str) -> Result<Wishes, Error> {
    let given: Given =
        serde_json::from_str(options).map_err(|e| Error::Unsupported(format!("options of the generation: {e}")))?;
    let options = Options {
        sampling: Sampling {
            repetition_penalty: given.repetition_penalty,
            temperature: given.temperature,
            top_k: given.top_k,
            top_p: given.top_p,
            min_p: given.min_p,
            seed: given.seed,
        },
        max_new_tokens: given.max_new_tokens,
        stop_tokens: given.stop_tokens,
        ignore_eos: given.ignore_eos,
    };
    Ok(Wishes { options, stops: given.stop, choices: given.choices, times: given.timestamps.map(Granularity::from) })
}

fn decoder(host: &Host) -> Decode {
    let decode = host.decode.clone();
    Box::new(move |ids| {
        let text = decode.call1(&JsValue::NULL, &Uint32Array::from(ids)).map_err(from_js)?;
        Ok(text.as_string().unwrap_or_default())
    })
}

/// Prepares to continue a prompt, which may contain images.
pub(crate) fn prepare(
    manifest: &Manifest,
    prompt: &[u32],
    images: &[Image],
    options: &str,
    host: &Host,
) -> Result<Run, Error> {
    let Wishes { options, stops, .. } = read(options)?;
    let start = image_prompt(manifest, prompt, images)?;
    let run = TextRun::new(manifest, decoder(host), start, &options, &stops)?;
    Ok(Run::Text(Box::new(run)))
}

/// Prepares to transcribe audio, whose samples have the model's rate.
pub(crate) fn prepare_speech(manifest: &Manifest, samples: Vec<f32>, options: &str, host: &Host) -> Result<Run, Error> {
    let Wishes { options, stops, choices, times } = read(options)?;
    let audio = Audio::new(audio_input(manifest)?.0.rate, samples)?;
    let run = Transcript::new(manifest, audio, &choices, times, decoder(host), &options, &stops)?;
    Ok(Run::Speech(Box::new(run)))
}

impl Run {
    /// Prepares to resume after the device was lost.
    pub(crate) fn rewind(&mut self, manifest: &Manifest) -> Result<(), Error> {
        match self {
            Run::Text(run) => run.rewind(manifest),
            Run::Speech(run) => run.rewind(manifest),
        }
    }

    /// Generates until the end; returns the result.
    async fn go(&mut self, engine: &mut Engine, manifest: &Manifest, back: &mut Callbacks<'_>) -> Result<Value, Error> {
        Ok(match self {
            Run::Text(run) => told(&run.drive(engine, manifest, back).await?),
            Run::Speech(run) => transcribed(&run.drive(engine, manifest, back).await?, run.words()),
        })
    }
}

/// Runs until the end; returns the result as JSON.
pub(crate) async fn drive(
    run: &mut Run,
    engine: &mut Engine,
    manifest: &Manifest,
    host: &Host,
) -> Result<String, Error> {
    let mut failed = None;
    let outcome = {
        let mut fail = |e: JsValue| {
            failed.get_or_insert(from_js(e));
        };
        let fail = std::cell::RefCell::new(&mut fail);
        let mut callbacks = Callbacks {
            clock: &mut || now() / 1000.0,
            keep_going: &mut |prompt| {
                let (done, total) = prompt.unwrap_or_default();
                match host.keep_going.call2(&JsValue::NULL, &done.into(), &total.into()) {
                    Ok(go_on) => go_on.is_truthy(),
                    Err(e) => {
                        (fail.borrow_mut())(e);
                        false
                    }
                }
            },
            piece: &mut |text| {
                if let Err(e) = host.piece.call1(&JsValue::NULL, &JsValue::from_str(text)) {
                    (fail.borrow_mut())(e);
                }
            },
        };
        run.go(engine, manifest, &mut callbacks).await?
    };
    match failed {
        Some(e) => Err(e),
        None => Ok(outcome.to_string()),
    }
}

/// `Generated` of `ts/runtime.ts`.
fn told(outcome: &Outcome) -> Value {
    let stats = &outcome.stats;
    json!({
        "tokens": outcome.tokens,
        "reason": reason(outcome.stop),
        "promptTokens": stats.prompt_tokens,
        "prefillMs": stats.prefill_seconds * 1000.0,
        "decodeMs": stats.decode_seconds * 1000.0,
    })
}

/// `Transcribed` of `ts/runtime.ts`.
fn transcribed(said: &Transcribed, words: bool) -> Value {
    let word = |w: &Word| json!({ "start": w.start, "end": w.end, "text": w.text });
    let segment = |s: &Segment| {
        let mut told = json!({ "start": s.start, "end": s.end, "text": s.text, "tokens": s.tokens });
        if words {
            told["words"] = s.words.iter().map(word).collect();
        }
        told
    };
    let segments: Vec<Value> = said.segments.iter().map(segment).collect();
    json!({ "text": said.text, "segments": segments, "choices": said.choices, "reason": reason(said.stop) })
}

fn reason(stop: Stop) -> &'static str {
    match stop {
        Stop::EndToken => "end",
        Stop::StopText => "stop",
        Stop::MaxTokens => "length",
        Stop::ContextFull => "context",
        Stop::Aborted => "aborted",
    }
}
