//! Generates text.

use gristmill_bundle::Manifest;

use crate::backend::Backend;
use crate::error::Error;
use crate::generate::{Options, Outcome, Progress, Stop, generate};
use crate::stream::{StopTexts, TextStream};
use crate::tokenizer::Tokenizer;

/// What a text generation calls back.
pub struct Callbacks<'a> {
    /// Seconds from any fixed moment.
    pub clock: &'a mut dyn FnMut() -> f64,
    /// Asked after each call of the model; `false` ends the generation.
    pub keep_going: &'a mut dyn FnMut() -> bool,
    /// Gets each piece of text, which is whole characters, as soon as it is certain.
    pub piece: &'a mut dyn FnMut(&str),
}

impl std::fmt::Debug for Callbacks<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Callbacks")
    }
}

/// Continues a prompt and streams the text. Any of the texts in `stops` ends it and is not shown.
pub fn generate_text(
    backend: &mut dyn Backend,
    manifest: &Manifest,
    tokenizer: &Tokenizer,
    prompt: &[u32],
    options: &Options,
    stops: &[String],
    callbacks: &mut Callbacks<'_>,
) -> Result<Outcome, Error> {
    let mut stream = TextStream::new(|ids: &[u32]| tokenizer.decode(ids), prompt);
    let mut filter = StopTexts::new(stops);
    let mut failed = None;
    let mut stopped = false;
    let Callbacks { clock, keep_going, piece } = callbacks;
    let outcome = generate(backend, manifest, prompt, options, *clock, &mut |progress| {
        if let Progress::Token(token) = progress {
            match stream.push(token) {
                Ok(text) => {
                    let (show, stop) = filter.push(&text);
                    if !show.is_empty() {
                        piece(&show);
                    }
                    stopped |= stop;
                }
                Err(e) => failed = Some(e),
            }
        }
        match (stopped, failed.is_some() || !keep_going()) {
            (true, _) => Some(Stop::StopText),
            (false, true) => Some(Stop::Aborted),
            (false, false) => None,
        }
    })?;
    if let Some(e) = failed {
        return Err(e);
    }
    if stopped {
        return Ok(Outcome { stop: Stop::StopText, ..outcome });
    }
    let (mut rest, stop) = filter.push(&stream.finish()?);
    if !stop {
        rest += &filter.finish();
    }
    if !rest.is_empty() {
        piece(&rest);
    }
    Ok(outcome)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::ToyBackend;
    use crate::tokenizer::tests::toy_json;

    fn run(prompt: &[u32], n: u32, stops: &[String], calls: u32) -> (Vec<String>, Outcome) {
        let tokenizer = Tokenizer::from_bytes(toy_json("null").as_bytes(), None).unwrap();
        let mut toy = ToyBackend::new();
        let manifest = toy.manifest.clone();
        let options = Options { max_new_tokens: n, ignore_eos: true, ..Options::default() };
        let mut pieces = Vec::new();
        let mut left = calls;
        let mut callbacks = Callbacks {
            clock: &mut || 0.0,
            keep_going: &mut || {
                left -= 1;
                left > 0
            },
            piece: &mut |p| pieces.push(p.to_string()),
        };
        let outcome = generate_text(&mut toy, &manifest, &tokenizer, prompt, &options, stops, &mut callbacks).unwrap();
        (pieces, outcome)
    }

    #[test]
    fn pieces_are_the_text_of_the_tokens() {
        let tokenizer = Tokenizer::from_bytes(toy_json("null").as_bytes(), None).unwrap();
        let prompt = [4, 5, 6];
        let (pieces, outcome) = run(&prompt, 12, &[], 100);
        let whole = [&prompt, outcome.tokens.as_slice()].concat();
        let text = tokenizer.decode(&whole).unwrap();
        assert_eq!(pieces.concat(), text[tokenizer.decode(&prompt).unwrap().len()..]);
        assert_eq!(outcome.stop, Stop::MaxTokens);

        // Two letters in the middle of it as a stop text.
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
