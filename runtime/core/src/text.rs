//! Generates text, piece by piece.

use gristmill_bundle::Manifest;

use crate::backend::Backend;
use crate::error::Error;
use crate::generate::{Generator, Options, Outcome, Progress, Stats, Stop, drive};
use crate::prompt::Prompt;
use crate::stream::{StopTexts, TextStream};

/// The callbacks of text generation.
pub struct Callbacks<'a> {
    /// Returns seconds since any fixed moment.
    pub clock: &'a mut dyn FnMut() -> f64,
    /// Called after each call of the model, during the prompt with the progress in it; `false` ends generation.
    pub keep_going: &'a mut dyn FnMut(Option<(u32, u32)>) -> bool,
    /// Receives each piece of text, of entire characters, as soon as it is final.
    pub piece: &'a mut dyn FnMut(&str),
}

impl std::fmt::Debug for Callbacks<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Callbacks")
    }
}

/// The generation of a text. `D` decodes token ids to text without special tokens.
pub struct TextRun<D> {
    generator: Generator,
    stream: TextStream<D>,
    stops: StopTexts,
    /// Whether a stop text was found.
    stopped: bool,
    stats: Stats,
}

impl<D> std::fmt::Debug for TextRun<D> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TextRun").field("generator", &self.generator).finish_non_exhaustive()
    }
}

impl<D: Fn(&[u32]) -> Result<String, Error>> TextRun<D> {
    /// Prepares to continue a prompt. Any of the texts in `stops` ends generation, and is not part of the result.
    ///
    /// # Errors
    /// Those of [`Generator::from_prompt`].
    pub fn new(
        manifest: &Manifest,
        decode: D,
        prompt: Prompt,
        options: &Options,
        stops: &[String],
    ) -> Result<Self, Error> {
        Ok(TextRun {
            stream: TextStream::new(decode, prompt.tokens()),
            generator: Generator::from_prompt(manifest, prompt, options.clone())?,
            stops: StopTexts::new(stops),
            stopped: false,
            stats: Stats::default(),
        })
    }

    /// The prompt; see [`Generator::prompt`].
    pub fn prompt(&self) -> &Prompt {
        self.generator.prompt()
    }

    /// Recovers after the states were lost; the next [`TextRun::drive`] continues. No piece is returned twice.
    ///
    /// # Errors
    /// See [`Generator::rewind`].
    pub fn rewind(&mut self, manifest: &Manifest) -> Result<(), Error> {
        self.generator.rewind(manifest)
    }

    /// Generates to the end, and streams the text.
    ///
    /// # Errors
    /// If a call fails, or the `decode` function does.
    pub async fn drive(
        &mut self,
        backend: &mut dyn Backend,
        manifest: &Manifest,
        callbacks: &mut Callbacks<'_>,
    ) -> Result<Outcome, Error> {
        let TextRun { generator, stream, stops, stopped, stats } = self;
        let Callbacks { clock, keep_going, piece } = callbacks;
        let mut failed = None;
        let observe = &mut |progress| {
            let prompt = match progress {
                Progress::Prompt { done, total } => Some((done, total)),
                Progress::Token(token) => {
                    match stream.push(token) {
                        Ok(text) => {
                            let (show, stop) = stops.push(&text);
                            if !show.is_empty() {
                                piece(&show);
                            }
                            *stopped |= stop;
                        }
                        Err(e) => failed = Some(e),
                    }
                    None
                }
            };
            match (*stopped, failed.is_some() || !keep_going(prompt)) {
                (true, _) => Some(Stop::StopText),
                (false, true) => Some(Stop::Aborted),
                (false, false) => None,
            }
        };
        drive(generator, backend, manifest, *clock, stats, observe).await?;
        if let Some(e) = failed {
            return Err(e);
        }
        let stop = if *stopped { Stop::StopText } else { generator.stopped().unwrap_or(Stop::Aborted) };
        if !*stopped {
            let (mut rest, stop) = stops.push(&stream.finish()?);
            if !stop {
                rest += &stops.finish();
            }
            if !rest.is_empty() {
                piece(&rest);
            }
        }
        Ok(Outcome { tokens: generator.tokens().to_vec(), stop, stats: *stats })
    }
}

#[cfg(all(test, feature = "native", feature = "tokenizer"))]
mod tests {
    use super::*;
    use crate::blocking::generate_text;
    use crate::testing::ToyBackend;
    use crate::tokenizer::Tokenizer;

    fn toy() -> Tokenizer {
        Tokenizer::from_bytes(include_bytes!("../../../tests/fixtures/tokenizer/toy.json")).unwrap()
    }

    fn run(prompt: &[u32], n: u32, stops: &[String], calls: u32) -> (Vec<String>, Outcome) {
        let tokenizer = toy();
        let mut toy = ToyBackend::new();
        let manifest = toy.manifest.clone();
        let options = Options { max_new_tokens: n, ignore_eos: true, ..Options::default() };
        let mut pieces = Vec::new();
        let mut left = calls;
        let mut callbacks = Callbacks {
            clock: &mut || 0.0,
            keep_going: &mut |_| {
                left -= 1;
                left > 0
            },
            piece: &mut |p| pieces.push(p.to_string()),
        };
        let outcome = generate_text(
            &mut toy,
            &manifest,
            &tokenizer,
            Prompt::text(&manifest, prompt).unwrap(),
            &options,
            stops,
            &mut callbacks,
        )
        .unwrap();
        (pieces, outcome)
    }

    #[test]
    fn streams_as_it_decodes() {
        let tokenizer = toy();
        let text = "Once upon €€ Once";
        let ids = tokenizer.encode(text, false).unwrap();
        for prompt in 0..ids.len() {
            let mut stream = TextStream::new(|ids: &[u32]| Ok(tokenizer.decode(ids)?), &ids[..prompt]);
            let mut all = tokenizer.decode(&ids[..prompt]).unwrap();
            for id in &ids[prompt..] {
                let piece = stream.push(*id).unwrap();
                assert!(!piece.contains('\u{FFFD}'));
                all += &piece;
            }
            all += &stream.finish().unwrap();
            // A prompt that ends inside a character cannot be continued cleanly.
            if !tokenizer.decode(&ids[..prompt]).unwrap().contains('\u{FFFD}') {
                assert_eq!(all, text, "prompt of {prompt} tokens");
            }
        }
    }

    #[test]
    fn pieces_are_the_text_of_the_tokens() {
        let tokenizer = toy();
        let prompt = [4, 5, 6];
        let (pieces, outcome) = run(&prompt, 12, &[], 100);
        let whole = [&prompt, outcome.tokens.as_slice()].concat();
        let text = tokenizer.decode(&whole).unwrap();
        assert_eq!(pieces.concat(), text[tokenizer.decode(&prompt).unwrap().len()..]);
        assert_eq!(outcome.stop, Stop::MaxTokens);

        // A stop text of two letters from the middle of it.
        let plain = pieces.concat();
        let at = plain.char_indices().nth(5).unwrap().0;
        let stop: String = plain[at..].chars().take(2).collect();
        let (pieces, outcome) = run(&prompt, 12, std::slice::from_ref(&stop), 100);
        assert_eq!(outcome.stop, Stop::StopText);
        assert_eq!(pieces.concat(), plain[..plain.find(&stop).unwrap()]);
    }

    #[test]
    fn the_caller_may_abort() {
        let (_, outcome) = run(&[4, 5, 6], 12, &[], 3);
        assert_eq!((outcome.stop, outcome.tokens.len()), (Stop::Aborted, 3));
    }
}
