//! Writes down recordings, part by part where they are longer than what the model hears at once.

use std::rc::Rc;

use gristmill_bundle::Manifest;

use crate::backend::Backend;
use crate::choices::{Choices, Start, words};
use crate::error::Error;
use crate::generate::{Options, Stop};
use crate::sound::Sound;
use crate::task::{Heard, hear, hearing};
use crate::text::{Callbacks, TextRun};

/// A part of a recording, and what is said in it.
#[derive(Clone, Debug, PartialEq)]
pub struct Said {
    /// Where the part begins, in seconds.
    pub begin: f64,
    /// Where it ends.
    pub end: f64,
    /// What is said.
    pub text: String,
    /// The tokens of the text, without the end token; none if the model spells.
    pub tokens: Vec<u32>,
}

/// A recording that is written down.
#[derive(Clone, Debug, PartialEq)]
pub struct Transcribed {
    /// What is said: exactly the pieces that were given to the caller, in a row.
    pub text: String,
    /// The same by parts.
    pub parts: Vec<Said>,
    /// What was chosen, by the caller, by the model where that is left to it, or by neither.
    pub choices: Choices,
    /// [`Stop::Aborted`] if the caller ended it; otherwise how the last part ended that did not end by itself.
    pub stop: Stop,
}

/// Turns token ids into text without special tokens.
type Decode<'a> = dyn Fn(&[u32]) -> Result<String, Error> + 'a;

/// A recording that is being written down.
pub struct Transcript<'a> {
    sound: Sound,
    /// Samples that are heard at once.
    most: usize,
    decode: Rc<Decode<'a>>,
    options: Options,
    stops: Vec<String>,
    /// What each text begins with; what is left to the model it decides on in the first part.
    start: Start,
    /// The text of the part that is being heard.
    run: Option<TextRun<Box<Decode<'a>>>>,
    text: Joined,
    parts: Vec<Said>,
    stop: Stop,
}

impl std::fmt::Debug for Transcript<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Transcript").field("parts", &self.parts).finish_non_exhaustive()
    }
}

impl<'a> Transcript<'a> {
    /// Prepares to write down a recording that has the rate of the model, with what the caller chose. `options` and `stops` hold for each part; a
    /// model that spells needs none of them, and no `decode`, which leaves out special tokens. Errors if the model takes no recordings.
    pub fn new(
        manifest: &Manifest,
        sound: Sound,
        chosen: &Choices,
        decode: impl Fn(&[u32]) -> Result<String, Error> + 'a,
        options: &Options,
        stops: &[String],
    ) -> Result<Self, Error> {
        let (_, most) = hearing(manifest)?;
        Ok(Transcript {
            sound,
            most: most.max(1),
            decode: Rc::new(decode),
            start: Start::new(manifest, chosen)?,
            options: options.clone(),
            stops: stops.to_vec(),
            run: None,
            text: Joined::default(),
            parts: Vec::new(),
            stop: Stop::EndToken,
        })
    }

    /// Goes on after the states were lost, on the next [`Transcript::drive`]. No piece is given twice.
    pub fn rewind(&mut self, manifest: &Manifest) -> Result<(), Error> {
        self.run.as_mut().map_or(Ok(()), |run| run.rewind(manifest))
    }

    /// Writes until it ends. Before each part `keep_going` gets the samples that are done, and how many there are.
    pub async fn drive(
        &mut self,
        backend: &mut dyn Backend,
        manifest: &Manifest,
        callbacks: &mut Callbacks<'_>,
    ) -> Result<Transcribed, Error> {
        let total = self.sound.samples().len();
        while self.stop != Stop::Aborted
            && let Some(part) = self.sound.part(self.parts.len(), self.most)
        {
            let begin = self.parts.len() * self.most;
            let mut said = Said {
                begin: self.seconds(begin),
                end: self.seconds(begin + part.samples().len()),
                text: String::new(),
                tokens: Vec::new(),
            };
            if self.run.is_none() {
                if !(callbacks.keep_going)(Some((begin as u32, total as u32))) {
                    self.stop = Stop::Aborted;
                    break;
                }
                match hear(backend, manifest, &part, &self.start).await? {
                    Heard::Text(text) => (callbacks.piece)(&self.text.push(&text)),
                    Heard::Prompt(prompt) => {
                        let decode = self.decode.clone();
                        let decode: Box<Decode<'a>> = Box::new(move |ids| decode(ids));
                        self.run = Some(TextRun::new(manifest, decode, prompt, &self.options, &self.stops)?);
                    }
                }
            }
            if let Some(run) = &mut self.run {
                let stop = &mut self.stop;
                said.tokens = write(run, &mut self.text, stop, backend, manifest, callbacks).await?;
                self.start = run.prompt().start();
            }
            self.run = None;
            said.text = self.text.end();
            self.parts.push(said);
        }
        let choices = if self.start.open.is_empty() { words(manifest, &self.start.tokens) } else { Choices::new() };
        Ok(Transcribed { text: self.text.all.clone(), parts: self.parts.clone(), choices, stop: self.stop })
    }

    fn seconds(&self, samples: usize) -> f64 {
        samples as f64 / f64::from(self.sound.rate())
    }
}

/// Generates the text of a part; gives its tokens.
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
                // How much of the start tokens is computed is of no interest.
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

/// The texts of parts with one space between them, and none at their ends.
#[derive(Clone, Debug, Default)]
struct Joined {
    all: String,
    /// Where the part begins.
    from: usize,
    /// White space that is shown only if something follows in its part.
    held: String,
}

impl Joined {
    /// Takes text of the part; gives what is to be shown.
    fn push(&mut self, piece: &str) -> String {
        let text = format!("{}{piece}", self.held);
        let body = text.trim_end();
        self.held = text[body.len()..].to_string();
        let first = self.from == self.all.len();
        let body = if first { body.trim_start() } else { body };
        let space = if first && !body.is_empty() && !self.all.is_empty() { " " } else { "" };
        let new = format!("{space}{body}");
        self.all.push_str(&new);
        new
    }

    /// Ends a part; gives its text.
    fn end(&mut self) -> String {
        self.held.clear();
        let text = self.all[self.from..].trim_start().to_string();
        self.from = self.all.len();
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_joined_by_one_space() {
        let mut text = Joined::default();
        let mut shown = String::new();
        let mut parts = Vec::new();
        for part in [[" Hello", " ", "there. "], ["", " ", "  "], ["  \n", " You", " all"], ["too", "", ""]] {
            part.iter().for_each(|piece| shown += &text.push(piece));
            parts.push(text.end());
        }
        assert_eq!(parts, ["Hello there.", "", "You all", "too"]);
        assert_eq!(shown, "Hello there. You all too");
        assert_eq!(text.all, shown);
    }
}
