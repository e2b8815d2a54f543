//! Transcribes a window of an audio file with timestamps: decodes it again if the result is unreliable, and divides it
//! into segments and words.

use std::ops::Range;

use gristmill_bundle::{EntryRole, Manifest, Timestamps};

use crate::audio::Audio;
use crate::backend::{Backend, Tensor, Tensors, run};
use crate::choices::Start;
use crate::error::Error;
use crate::generate::{Generator, Options, Progress, Stats, Stop, decode_loop, drive};
use crate::prompt::Prompt;
use crate::speech::align::{Weights, ends};
use crate::speech::quality::{Quality, Verdict, compression_ratio};
use crate::speech::rules::Rules;
use crate::speech::segments::segments;
use crate::speech::words::words;
use crate::task::{AudioResult, encode_audio};
use crate::text::Callbacks;

/// The output of `prefill` with the attention weights of the alignment heads: f32 `[1, heads, T, positions]`.
const ALIGNMENT: &str = "alignment";
/// Above this temperature, a text is not used as a prompt for the next window: `transcribe.py` of openai/whisper.
const WILD: f32 = 0.5;

/// The granularity of timestamps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Granularity {
    /// Start and end of each segment.
    Segment,
    /// Start and end of each segment and each word.
    Word,
}

/// Decodes token ids to text without special tokens.
pub(super) type Decode<'a> = dyn Fn(&[u32]) -> Result<String, Error> + 'a;

/// Transcribes with timestamps, window by window.
#[derive(Debug)]
pub(super) struct Timed {
    timestamps: Timestamps,
    words: bool,
    options: Options,
    temperatures: Vec<f32>,
    /// The tokens so far, with timestamps, if they are the prompt of later windows.
    said: Vec<u32>,
    window: Option<Window>,
}

/// A window that is being decoded.
#[derive(Debug)]
struct Window {
    samples: usize,
    /// The inputs of the encoder.
    given: Tensors,
    /// The index of the temperature.
    attempt: usize,
    generator: Option<Generator>,
    no_speech: Option<f32>,
    /// The best unreliable result.
    best: Option<Attempt>,
    /// The accepted result.
    chosen: Option<Attempt>,
    /// Whether the states have the encoded window. They have space for `capacity` tokens.
    encoded: bool,
    capacity: u32,
}

/// The result at a temperature.
#[derive(Clone, Debug)]
struct Attempt {
    /// The start tokens, and the generated tokens.
    prompt: Vec<u32>,
    tokens: Vec<u32>,
    temperature: f32,
    quality: Quality,
    stop: Stop,
    silence: bool,
}

/// The transcript of a window.
#[derive(Debug)]
pub(super) struct Written {
    pub(super) said: Vec<Said>,
    /// The number of samples that are transcribed.
    pub(super) next: usize,
}

/// A segment; samples count from the start of the window.
#[derive(Debug)]
pub(super) struct Said {
    pub(super) samples: Range<usize>,
    pub(super) text: String,
    pub(super) tokens: Vec<u32>,
    pub(super) words: Vec<TimedWord>,
}

/// A word; samples count from the start of the window.
#[derive(Debug)]
pub(super) struct TimedWord {
    pub(super) samples: Range<usize>,
    pub(super) text: String,
}

impl Timed {
    /// An error if timestamps of words are requested and the model has none.
    pub(super) fn new(
        manifest: &Manifest,
        timestamps: &Timestamps,
        times: Option<Granularity>,
        options: &Options,
    ) -> Result<Self, Error> {
        let words = times == Some(Granularity::Word);
        let aligns = || {
            let prefill = manifest.entries.iter().find(|e| e.role == EntryRole::Prefill);
            prefill.is_some_and(|e| e.outputs.iter().any(|o| o.name == ALIGNMENT))
        };
        if words && !aligns() {
            return Err(Error::Unsupported(
                "word timestamps: the generation_config.json of this model has no `alignment_heads`; use segment \
                 timestamps, or add them and compile again"
                    .to_string(),
            ));
        }
        let (own, mut temperatures) = (options.sampling.temperature, timestamps.fallback.temperatures.clone());
        if own > 0.0 {
            temperatures.retain(|t| *t > own);
            temperatures.insert(0, own);
        }
        Ok(Timed {
            words,
            options: options.clone(),
            temperatures,
            said: Vec::new(),
            window: None,
            timestamps: timestamps.clone(),
        })
    }

    /// Whether words have timestamps.
    pub(super) fn words(&self) -> bool {
        self.words
    }

    /// Whether a window is in progress.
    pub(super) fn has_window(&self) -> bool {
        self.window.is_some()
    }

    /// Recovers after the states were lost.
    pub(super) fn rewind(&mut self, manifest: &Manifest) -> Result<(), Error> {
        let Some(window) = &mut self.window else { return Ok(()) };
        window.encoded = false;
        window.generator.as_mut().map_or(Ok(()), |generator| generator.rewind(manifest))
    }

    /// Begins a window.
    pub(super) async fn open(
        &mut self,
        backend: &mut dyn Backend,
        manifest: &Manifest,
        part: &Audio,
        start: &Start,
    ) -> Result<(), Error> {
        let AudioResult::Prompt(prompt) = encode_audio(backend, manifest, part, start).await? else {
            return Err(Error::Backend("a model with timestamp tokens returned plain text".to_string()));
        };
        self.window = Some(Window {
            samples: part.samples().len(),
            given: prompt.inputs().clone(),
            attempt: 0,
            generator: None,
            no_speech: None,
            best: None,
            chosen: None,
            encoded: false,
            capacity: 0,
        });
        Ok(())
    }

    /// Decodes the window until the result is reliable. `start` has the start tokens; afterwards, those that the model
    /// chooses are known.
    pub(super) async fn decode(
        &mut self,
        backend: &mut dyn Backend,
        manifest: &Manifest,
        start: &mut Start,
        callbacks: &mut Callbacks<'_>,
    ) -> Result<Stop, Error> {
        let Timed { timestamps, options, temperatures, said, window, .. } = self;
        let window = window.as_mut().ok_or_else(no_window)?;
        while window.chosen.is_none() {
            let temperature = temperatures[window.attempt];
            if window.generator.is_none() {
                let rules = Rules::new(timestamps);
                let asked = window.no_speech.is_none().then_some(timestamps.no_speech);
                let prompt = Prompt::given(start.clone(), window.given.clone());
                let prompt = prompt.timed(rules, &previous(timestamps, said, manifest), asked);
                let mut options = options.clone();
                options.sampling.temperature = temperature;
                window.generator = Some(Generator::from_prompt(manifest, prompt, options)?);
            }
            let Some(generator) = &mut window.generator else { return Err(no_window()) };
            let Callbacks { clock, keep_going, .. } = callbacks;
            let mut observe = |_: Progress| if keep_going(None) { None } else { Some(Stop::Aborted) };
            drive(generator, backend, manifest, *clock, &mut Stats::default(), &mut observe).await?;
            (window.encoded, window.capacity) = (true, generator.capacity());
            let stop = generator.stopped().unwrap_or(Stop::Aborted);
            if stop == Stop::Aborted {
                return Ok(stop);
            }
            *start = generator.prompt().start();
            window.no_speech = window.no_speech.or(generator.asked());
            let mut attempt = Attempt {
                prompt: generator.prompt().tokens().to_vec(),
                tokens: generator.tokens().to_vec(),
                temperature,
                quality: Quality {
                    log_probability: generator.log_probability().unwrap_or_default(),
                    compression_ratio: compression_ratio(generator.tokens()),
                    no_speech: window.no_speech.unwrap_or_default(),
                },
                stop,
                silence: false,
            };
            window.generator = None;
            window.attempt += 1;
            let thresholds = &timestamps.fallback;
            match attempt.quality.judge(thresholds) {
                Verdict::Good => window.chosen = Some(attempt),
                Verdict::Silence => {
                    attempt.silence = true;
                    window.chosen = Some(attempt);
                }
                Verdict::Doubtful => {
                    let better = |best: &Attempt| attempt.quality.compare(&best.quality, thresholds).is_gt();
                    if window.best.as_ref().is_none_or(better) {
                        window.best = Some(attempt);
                    }
                    if window.attempt == temperatures.len() {
                        window.chosen = window.best.take();
                    }
                }
            }
        }
        Ok(window.chosen.as_ref().map_or(Stop::Aborted, |chosen| chosen.stop))
    }

    /// Divides the result into segments, and ends the window.
    pub(super) async fn read(
        &mut self,
        backend: &mut dyn Backend,
        manifest: &Manifest,
        language: Option<&str>,
        decode: &Decode<'_>,
    ) -> Result<Written, Error> {
        let window = self.window.as_mut().ok_or_else(no_window)?;
        let chosen = window.chosen.clone().ok_or_else(no_window)?;
        let Timestamps { first, step, ref fallback, .. } = self.timestamps;
        let step = step as usize;
        let length = window.samples.div_ceil(step) as u32;
        if chosen.silence {
            let next = window.samples;
            self.window = None;
            return Ok(Written { said: Vec::new(), next });
        }
        let (found, next) = segments(&chosen.tokens, first, length);
        let ends = match self.words && !found.is_empty() {
            true => Some(align(window, &chosen, &self.timestamps, backend, manifest).await?),
            false => None,
        };
        let mut said = Vec::with_capacity(found.len());
        for segment in found {
            let places: Vec<usize> = segment.tokens.clone().filter(|at| chosen.tokens[*at] < first).collect();
            let tokens: Vec<u32> = places.iter().map(|at| chosen.tokens[*at]).collect();
            let samples = segment.time.start as usize * step..segment.time.end as usize * step;
            let text = decode(&tokens)?;
            let words = ends.as_ref().map(|ends| timed_words(&tokens, &places, ends, step, language, decode));
            said.push(Said { samples, text, tokens, words: words.transpose()?.unwrap_or_default() });
            if fallback.previous_text {
                self.said.extend(&chosen.tokens[segment.tokens]);
            }
        }
        if chosen.temperature > WILD {
            self.said.clear();
        }
        let next = if next >= length { window.samples } else { next as usize * step };
        self.window = None;
        Ok(Written { said, next })
    }
}

fn no_window() -> Error {
    Error::Backend("no window of the audio file is in progress".to_string())
}

/// The tokens before the start tokens: the end of the text so far, at most half of the context.
fn previous(timestamps: &Timestamps, said: &[u32], manifest: &Manifest) -> Vec<u32> {
    let most = (manifest.model.max_context / 2).saturating_sub(1) as usize;
    let said = &said[said.len() - said.len().min(most)..];
    match timestamps.previous {
        Some(mark) if !said.is_empty() => [&[mark][..], said].concat(),
        Some(_) | None => Vec::new(),
    }
}

/// The position at which each token of a window has ended. A separate call computes the attention weights of the
/// alignment heads for the final text.
async fn align(
    window: &mut Window,
    chosen: &Attempt,
    timestamps: &Timestamps,
    backend: &mut dyn Backend,
    manifest: &Manifest,
) -> Result<Vec<usize>, Error> {
    let begin = chosen.prompt.len();
    let mut tokens = [chosen.prompt.as_slice(), &chosen.tokens].concat();
    // The last token may not fit, because no token follows it.
    tokens.truncate(window.capacity as usize);
    let mut decode_loop = decode_loop(manifest, &window.given, &tokens)?;
    // If there were several attempts, the states have the encoded window of the last one, which is the same.
    if !window.encoded {
        backend.begin(1, window.capacity).await?;
    } else {
        decode_loop.skip(0);
    }
    let mut weights =
        Weights { values: Vec::new(), heads: 0, tokens: tokens.len().saturating_sub(begin), positions: 0 };
    let mut chunks: Vec<Tensor> = Vec::new();
    while let Some(request) = decode_loop.next_chunk() {
        let encodes = decode_loop.encodes(&request);
        let want: &[&str] = if encodes { &[] } else { &[ALIGNMENT] };
        let mut outputs = run(backend, &request, want).await?;
        window.encoded |= encodes;
        chunks.extend(outputs.remove(ALIGNMENT).filter(|_| !encodes));
    }
    let missing = || Error::Backend(format!("the backend did not return `{ALIGNMENT}` as expected"));
    let [_, heads, _, positions] = *chunks.first().ok_or_else(missing)?.shape.as_slice() else { return Err(missing()) };
    // Nothing is aligned past the end of the audio. (transformers counts whole pairs of frames.)
    let half = (timestamps.step as usize / 2).max(1);
    (weights.heads, weights.positions) = (heads, (window.samples.div_ceil(half) / 2).clamp(1, positions.max(1)));
    for head in 0..heads {
        // The rows of all chunks, in order, without those of the start tokens.
        let rows = chunks.iter().flat_map(|chunk| {
            let count = chunk.shape.get(2).copied().unwrap_or(0);
            let values = chunk.as_f32().unwrap_or_default();
            let own = values.get(head * count * positions..(head + 1) * count * positions).unwrap_or_default();
            own.chunks_exact(positions.max(1))
        });
        rows.skip(begin).for_each(|row| weights.values.extend(&row[..weights.positions]));
    }
    if weights.values.len() != heads * weights.tokens * weights.positions {
        return Err(missing());
    }
    let mut found = ends(&weights, timestamps.median as usize);
    found.resize(chosen.tokens.len(), found.last().copied().unwrap_or(0));
    Ok(found)
}

/// The words of a segment, whose tokens have these indices in the window.
fn timed_words(
    tokens: &[u32],
    places: &[usize],
    ends: &[usize],
    step: usize,
    language: Option<&str>,
    decode: &Decode<'_>,
) -> Result<Vec<TimedWord>, Error> {
    let timed = |word: crate::speech::words::Word| {
        let (first, last) = (places[word.tokens.start], places[word.tokens.end - 1]);
        let start = first.checked_sub(1).map_or(0, |before| ends[before]);
        TimedWord { samples: start * step..ends[last] * step, text: word.text }
    };
    Ok(words(tokens, language, decode)?.into_iter().map(timed).collect())
}
