//! Decodes tokens to text incrementally, and finds stop texts.

use crate::error::Error;

/// The largest number of tokens of the prompt that are decoded for context.
const CONTEXT: usize = 8;

/// Decodes tokens to pieces of text, one by one.
///
/// A token may be a part of a character, and whether it begins with a space may depend on the tokens before it.
/// Therefore a window of tokens is decoded with and without the new ones. The difference is their text, unless it ends
/// within a character.
pub struct TextStream<D> {
    decode: D,
    ids: Vec<u32>,
    /// The start of the window.
    begin: usize,
    /// The tokens before this one were returned already.
    shown: usize,
}

impl<D: Fn(&[u32]) -> Result<String, Error>> TextStream<D> {
    /// Starts after `prompt`, whose last tokens serve as context. `decode` must leave out special tokens.
    pub fn new(decode: D, prompt: &[u32]) -> Self {
        let ids = prompt[prompt.len().saturating_sub(CONTEXT)..].to_vec();
        TextStream { decode, begin: 0, shown: ids.len(), ids }
    }

    /// Adds a token, and returns the text that is complete now, which may be empty.
    ///
    /// # Errors
    /// Errors of the `decode` function.
    pub fn push(&mut self, token: u32) -> Result<String, Error> {
        self.ids.push(token);
        let (known, all) = self.window()?;
        // A replacement character stands for an incomplete one.
        if all.ends_with('\u{FFFD}') || !all.starts_with(&known) {
            return Ok(String::new());
        }
        // After tokens without text (special ones), a leading space could not be distinguished from the effect of a
        // decoder that drops the first space of a text.
        if all.len() > known.len() {
            self.begin = self.shown;
        }
        self.shown = self.ids.len();
        self.forget();
        Ok(all[known.len()..].to_string())
    }

    /// Returns the rest at the end, with incomplete characters replaced.
    ///
    /// # Errors
    /// Errors of the `decode` function.
    pub fn finish(&mut self) -> Result<String, Error> {
        let (known, all) = self.window()?;
        self.begin = self.shown;
        self.shown = self.ids.len();
        let common: usize = known.chars().zip(all.chars()).take_while(|(a, b)| a == b).map(|(a, _)| a.len_utf8()).sum();
        Ok(all[common..].to_string())
    }

    /// The text of the window without and with the new tokens.
    fn window(&self) -> Result<(String, String), Error> {
        Ok(((self.decode)(&self.ids[self.begin..self.shown])?, (self.decode)(&self.ids[self.begin..])?))
    }

    /// Moves the window, to keep it short.
    fn forget(&mut self) {
        if self.begin > 256 {
            self.ids.drain(..self.begin);
            self.shown -= self.begin;
            self.begin = 0;
        }
    }
}

/// Ends a text at the first of several stop texts, which may extend over several pieces.
#[derive(Clone, Debug, Default)]
pub struct StopTexts {
    stops: Vec<String>,
    /// Text that may be the beginning of a stop text.
    held: String,
}

impl StopTexts {
    /// Empty texts are ignored.
    pub fn new(stops: &[String]) -> Self {
        StopTexts { stops: stops.iter().filter(|s| !s.is_empty()).cloned().collect(), held: String::new() }
    }

    /// Adds a piece, and returns the text before any stop text, and whether a stop text was found.
    pub fn push(&mut self, piece: &str) -> (String, bool) {
        self.held.push_str(piece);
        if let Some(at) = self.stops.iter().filter_map(|s| self.held.find(s.as_str())).min() {
            self.held.truncate(at);
            return (std::mem::take(&mut self.held), true);
        }
        let could_begin = |at: &usize| self.stops.iter().any(|s| s.starts_with(&self.held[*at..]));
        let keep = self.held.char_indices().map(|(i, _)| i).find(could_begin).unwrap_or(self.held.len());
        let kept = self.held.split_off(keep);
        (std::mem::replace(&mut self.held, kept), false)
    }

    /// Returns the text that was held back, at the end.
    pub fn finish(&mut self) -> String {
        std::mem::take(&mut self.held)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A tokenizer in the style of SentencePiece: `_` before words, bytes for rare characters, and a decoder that drops
    /// the very first space.
    fn decode(ids: &[u32]) -> Result<String, Error> {
        let mut bytes = Vec::new();
        for id in ids {
            match id {
                0 => {}
                1 => bytes.extend(b" Once"),
                2 => bytes.extend(b" upon"),
                3 => bytes.extend(b"ly"),
                4 => bytes.extend(b" "),
                byte => bytes.push((byte - 1000) as u8),
            }
        }
        let text = String::from_utf8_lossy(&bytes).into_owned();
        Ok(text.strip_prefix(' ').map(str::to_string).unwrap_or(text))
    }

    fn pieces(prompt: &[u32], tokens: &[u32]) -> Vec<String> {
        let mut stream = TextStream::new(decode, prompt);
        let mut all: Vec<String> = tokens.iter().map(|t| stream.push(*t).unwrap()).collect();
        all.push(stream.finish().unwrap());
        all
    }

    #[test]
    fn spaces_are_those_of_the_whole_text() {
        assert_eq!(pieces(&[], &[1, 2, 3]), ["Once", " upon", "ly", ""]);
        assert_eq!(pieces(&[1], &[2, 3]), [" upon", "ly", ""]);
        assert_eq!(pieces(&[1, 0], &[2]), [" upon", ""]);
        assert_eq!(pieces(&[], &[0, 1, 0, 0, 2, 3]), ["", "Once", "", "", " upon", "ly", ""]);
        assert_eq!(pieces(&[], &[4, 1]).concat(), " Once");
    }

    #[test]
    fn characters_are_never_broken() {
        let euro = [0xE2, 0x82, 0xAC].map(|b| 1000 + b);
        assert_eq!(pieces(&[1], &[euro[0], euro[1], euro[2], 2]), ["", "", "€", " upon", ""]);
        assert_eq!(pieces(&[1], &[2, euro[0], euro[1]]), [" upon", "", "", "\u{FFFD}"]);
        // Long texts only move the window.
        let many = [euro[0], euro[1], euro[2], 1].repeat(300);
        assert_eq!(pieces(&[], &many).concat(), "€ Once".repeat(300));
    }

    #[test]
    fn stop_texts_are_found_across_pieces() {
        let run = |stops: &[&str], pieces: &[&str]| {
            let mut filter = StopTexts::new(&stops.iter().map(|s| s.to_string()).collect::<Vec<_>>());
            let mut all = String::new();
            for p in pieces {
                let (show, stop) = filter.push(p);
                all += &show;
                if stop {
                    return (all, true);
                }
            }
            (all + &filter.finish(), false)
        };
        assert_eq!(run(&["\n\nUser:"], &["Hi", "\n", "\nUs", "er: x"]), ("Hi".to_string(), true));
        assert_eq!(run(&["\n\nUser:"], &["Hi", "\n", "\nUs", "ual"]), ("Hi\n\nUsual".to_string(), false));
        assert_eq!(run(&["b", "abc"], &["xa", "bc"]), ("x".to_string(), true));
        assert_eq!(run(&["€€"], &["€", "x€", "€"]), ("€x".to_string(), true));
        assert_eq!(run(&[""], &["a"]), ("a".to_string(), false));
        let mut filter = StopTexts::new(&["END".to_string()]);
        assert_eq!(filter.push("the E").0, "the ", "only what may belong to a stop text is held back");
    }
}
