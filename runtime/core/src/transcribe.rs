//! Transcribes audio files; those that are longer than the input of the model, window by window.

use std::rc::Rc;

use gristmill_bundle::{Manifest, TaskOutput, Timestamps};

use crate::audio::Audio;
use crate::backend::Backend;
use crate::choices::{Choices, Start, words};
use crate::error::Error;
use crate::generate::{Options, Stop};
use crate::task::{AudioResult, Kind, audio_input, encode_audio, tasks};
use crate::text::{Callbacks, TextRun};

mod window;

pub use window::Granularity;
use window::{Decode, Timed};

/// A passage of a transcript between two timestamps, or an entire window without timestamps.
#[derive(Clone, Debug, PartialEq)]
pub struct Segment {
    /// Where it begins, in seconds.
    pub start: f64,
    /// Where it ends.
    pub end: f64,
    /// The text, without white space around it.
    pub text: String,
    /// The tokens of the text, without timestamps and the end token; empty for CTC models.
    pub tokens: Vec<u32>,
    /// Its words, if they were requested.
    pub words: Vec<Word>,
}

/// A word of a [`Segment`].
#[derive(Clone, Debug, PartialEq)]
pub struct Word {
    /// Where it begins, in seconds.
    pub start: f64,
    /// Where it ends.
    pub end: f64,
    /// The word with its punctuation, and with the space before it if there is one.
    pub text: String,
}

/// The result of a transcription.
#[derive(Clone, Debug, PartialEq)]
pub struct Transcribed {
    /// The text: the concatenation of all pieces that the caller received.
    pub text: String,
    /// The text in segments.
    pub segments: Vec<Segment>,
    /// The options, such as the language, as chosen by the caller or by the model.
    pub choices: Choices,
    /// [`Stop::Aborted`] if the caller stopped it; otherwise why the last window ended that had no end token.
    pub stop: Stop,
}

/// Receives segments.
type Observe<'a> = Box<dyn FnMut(&Segment) + 'a>;

/// A transcription in progress.
pub struct Transcript<'a> {
    audio: Audio,
    /// The number of samples of a window.
    most: usize,
    /// The first sample that is not transcribed yet.
    at: usize,
    decode: Rc<Decode<'a>>,
    options: Options,
    stops: Vec<String>,
    /// The start tokens of each window. Those that the model chooses, it chooses in the first window.
    start: Start,
    /// The text of the window, without timestamps.
    run: Option<TextRun<Box<Decode<'a>>>>,
    /// The same with timestamps.
    timed: Option<Timed>,
    text: Joined,
    segments: Vec<Segment>,
    /// Receives each segment as soon as it is final.
    observe: Option<Observe<'a>>,
    stop: Stop,
}

impl std::fmt::Debug for Transcript<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Transcript").field("segments", &self.segments).finish_non_exhaustive()
    }
}

/// The timestamps of a model; none if it has none.
pub fn timestamps(manifest: &Manifest) -> Option<&Timestamps> {
    tasks(manifest).find(|(_, task)| Kind::of(&task.output) == Kind::Transcribe).and_then(|(_, task)| {
        match &task.output {
            TaskOutput::Seq2Seq { timestamps, .. } => timestamps.as_ref(),
            TaskOutput::Classify { .. }
            | TaskOutput::Detect { .. }
            | TaskOutput::Compare { .. }
            | TaskOutput::Ctc { .. }
            | TaskOutput::ImagePrompt { .. } => None,
        }
    })
}

impl<'a> Transcript<'a> {
    /// Prepares to transcribe audio at the sample rate of the model, with the options that the caller chose. `options`
    /// and `stops` apply to each window. `decode` decodes tokens without special tokens; CTC models need none of these
    /// three. Without `times`, audio of one window is transcribed without timestamps.
    ///
    /// # Errors
    /// If the model takes no audio, or does not have such timestamps.
    pub fn new(
        manifest: &Manifest,
        audio: Audio,
        chosen: &Choices,
        times: Option<Granularity>,
        decode: impl Fn(&[u32]) -> Result<String, Error> + 'a,
        options: &Options,
        stops: &[String],
    ) -> Result<Self, Error> {
        let (_, most) = audio_input(manifest)?;
        let most = most.max(1);
        let mut start = Start::new(manifest, chosen)?;
        let marked = timestamps(manifest).filter(|_| times.is_some() || audio.samples().len() > most);
        if times.is_some() && marked.is_none() {
            return Err(Error::Unsupported(
                "timestamps: this model has no timestamp tokens: its generation_config.json has no \
                 `no_timestamps_token_id`, or no tokens follow it in the vocabulary"
                    .to_string(),
            ));
        }
        let timed = marked.map(|marked| Timed::new(manifest, marked, times, options)).transpose()?;
        if let Some(marked) = marked {
            start.tokens.pop_if(|token| *token == marked.none);
        }
        Ok(Transcript {
            audio,
            most,
            at: 0,
            decode: Rc::new(decode),
            start,
            options: options.clone(),
            stops: stops.to_vec(),
            run: None,
            timed,
            text: Joined::default(),
            segments: Vec::new(),
            observe: None,
            stop: Stop::EndToken,
        })
    }

    /// Passes each segment to `observe` as soon as it is final.
    pub fn observe(&mut self, observe: impl FnMut(&Segment) + 'a) {
        self.observe = Some(Box::new(observe));
    }

    /// Whether the result has timestamps of words.
    pub fn words(&self) -> bool {
        self.timed.as_ref().is_some_and(Timed::words)
    }

    /// Recovers after the states were lost; the next [`Transcript::drive`] continues. No piece is returned twice.
    ///
    /// # Errors
    /// See [`Generator::rewind`](crate::generate::Generator::rewind).
    pub fn rewind(&mut self, manifest: &Manifest) -> Result<(), Error> {
        self.run.as_mut().map_or(Ok(()), |run| run.rewind(manifest))?;
        self.timed.as_mut().map_or(Ok(()), |timed| timed.rewind(manifest))
    }

    /// Transcribes to the end. Before each window, `keep_going` receives the number of samples that are done, and the
    /// total; it returns whether to continue.
    ///
    /// # Errors
    /// If a call fails, or the `decode` function does.
    pub async fn drive(
        &mut self,
        backend: &mut dyn Backend,
        manifest: &Manifest,
        callbacks: &mut Callbacks<'_>,
    ) -> Result<Transcribed, Error> {
        while self.stop != Stop::Aborted && self.at < self.audio.samples().len() {
            if self.run.is_none() && self.timed.as_ref().is_none_or(|timed| !timed.has_window()) {
                let (done, total) = (self.at as u32, self.audio.samples().len() as u32);
                if !(callbacks.keep_going)(Some((done, total))) {
                    self.stop = Stop::Aborted;
                    break;
                }
            }
            let part = self.audio.part(self.at, self.most);
            match self.timed.take() {
                Some(mut timed) => {
                    let done = self.window(&mut timed, &part, backend, manifest, callbacks).await;
                    self.timed = Some(timed);
                    done?;
                }
                None => self.whole(&part, backend, manifest, callbacks).await?,
            }
        }
        let choices = if self.start.open.is_empty() { words(manifest, &self.start.tokens) } else { Choices::new() };
        Ok(Transcribed { text: self.text.all.clone(), segments: self.segments.clone(), choices, stop: self.stop })
    }

    /// Transcribes a window without timestamps.
    async fn whole(
        &mut self,
        part: &Audio,
        backend: &mut dyn Backend,
        manifest: &Manifest,
        callbacks: &mut Callbacks<'_>,
    ) -> Result<(), Error> {
        if self.run.is_none() {
            match encode_audio(backend, manifest, part, &self.start).await? {
                AudioResult::Text(text) => (callbacks.piece)(&self.text.push(&text)),
                AudioResult::Prompt(prompt) => {
                    let decode = self.decode.clone();
                    let decode: Box<Decode<'a>> = Box::new(move |ids| decode(ids));
                    self.run = Some(TextRun::new(manifest, decode, prompt, &self.options, &self.stops)?);
                }
            }
        }
        let mut tokens = Vec::new();
        if let Some(run) = &mut self.run {
            tokens = write(run, &mut self.text, &mut self.stop, backend, manifest, callbacks).await?;
            self.start = run.prompt().start();
        }
        self.run = None;
        let end = self.at + part.samples().len();
        let (start, end, text) = (self.seconds(self.at), self.seconds(end), self.text.end());
        self.add(Segment { start, end, text, tokens, words: Vec::new() });
        self.at += part.samples().len();
        Ok(())
    }

    /// Transcribes a window with timestamps, up to the last segment that ends within it.
    async fn window(
        &mut self,
        timed: &mut Timed,
        part: &Audio,
        backend: &mut dyn Backend,
        manifest: &Manifest,
        callbacks: &mut Callbacks<'_>,
    ) -> Result<(), Error> {
        if !timed.has_window() {
            timed.open(backend, manifest, part, &self.start).await?;
        }
        let stop = timed.decode(backend, manifest, &mut self.start, callbacks).await?;
        if !matches!(stop, Stop::EndToken | Stop::StopText) {
            self.stop = stop;
        }
        if stop == Stop::Aborted {
            return Ok(());
        }
        let language = words(manifest, &self.start.tokens).remove("language");
        let written = timed.read(backend, manifest, language.as_deref(), &*self.decode).await?;
        let begin = self.at;
        for said in written.said {
            let (text, stopped) = self.until_stop(&said.text);
            let kept = text.len();
            self.text.spaced = false;
            let piece = self.text.push(&text);
            let text = self.text.end();
            if !text.is_empty() {
                (callbacks.piece)(&piece);
                let place = |samples: usize| self.seconds((begin + samples).min(self.audio.samples().len()));
                let word = |word: window::TimedWord| Word {
                    start: place(word.samples.start),
                    end: place(word.samples.end),
                    text: word.text,
                };
                // Not those after a stop text.
                let mut length = 0;
                let shown = said.words.into_iter().take_while(|word| {
                    length += word.text.len();
                    !stopped || length <= kept
                });
                let words = shown.map(word).collect();
                let (start, end) = (place(said.samples.start), place(said.samples.end));
                self.add(Segment { start, end, text, tokens: said.tokens, words });
            }
            if stopped {
                break;
            }
        }
        self.at += written.next.clamp(1, part.samples().len());
        Ok(())
    }

    /// The text up to the first stop text, and whether there is one.
    fn until_stop(&self, text: &str) -> (String, bool) {
        let found = self.stops.iter().filter(|stop| !stop.is_empty()).filter_map(|stop| text.find(stop.as_str())).min();
        (text[..found.unwrap_or(text.len())].to_string(), found.is_some())
    }

    fn add(&mut self, segment: Segment) {
        if let Some(observe) = &mut self.observe {
            observe(&segment);
        }
        self.segments.push(segment);
    }

    fn seconds(&self, samples: usize) -> f64 {
        samples as f64 / f64::from(self.audio.rate())
    }
}

/// Generates the text of a window and returns its tokens.
async fn write(
    run: &mut TextRun<Box<Decode<'_>>>,
    text: &mut Joined,
    stop: &mut Stop,
    backend: &mut dyn Backend,
    manifest: &Manifest,
    callbacks: &mut Callbacks<'_>,
) -> Result<Vec<u32>, Error> {
    let Callbacks { clock, keep_going, piece } = callbacks;
    let outcome = run
        .drive(
            backend,
            manifest,
            &mut Callbacks {
                clock,
                // The progress within the start tokens is not reported.
                keep_going: &mut |_| keep_going(None),
                piece: &mut |new| {
                    let new = text.push(new);
                    if !new.is_empty() {
                        piece(&new);
                    }
                },
            },
        )
        .await?;
    if !matches!(outcome.stop, Stop::EndToken | Stop::StopText) {
        *stop = outcome.stop;
    }
    Ok(outcome.tokens)
}

/// Joins the texts of windows, with one space between them and none at the ends.
#[derive(Clone, Debug)]
struct Joined {
    all: String,
    /// Whether there is always a space between two texts; otherwise only if the second one begins with one.
    spaced: bool,
    /// Where the text of the window begins.
    from: usize,
    /// White space that is held back until more text of the window follows.
    held: String,
}

impl Default for Joined {
    fn default() -> Self {
        Joined { all: String::new(), spaced: true, from: 0, held: String::new() }
    }
}

impl Joined {
    /// Accepts a piece of the window and returns the text to show.
    fn push(&mut self, piece: &str) -> String {
        let text = format!("{}{piece}", self.held);
        let body = text.trim_end();
        self.held = text[body.len()..].to_string();
        let first = self.from == self.all.len();
        let spaced = self.spaced || body.starts_with(char::is_whitespace);
        let body = if first { body.trim_start() } else { body };
        let space = if first && spaced && !body.is_empty() && !self.all.is_empty() { " " } else { "" };
        let new = format!("{space}{body}");
        self.all.push_str(&new);
        new
    }

    /// Ends a window and returns its text.
    fn end(&mut self) -> String {
        self.held.clear();
        let text = self.all[self.from..].trim_start().to_string();
        self.from = self.all.len();
        text
    }
}

#[cfg(test)]
mod tests;
