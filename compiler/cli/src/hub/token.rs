//! The user's access token. It is never printed, and only sent to the server itself.

use std::io;

use ureq::http::HeaderValue;

use super::environment;
use crate::failure::{Failure, Outcome};

/// A token and its origin.
pub(super) struct Token {
    /// `Bearer ...`, marked as sensitive so that it is never printed.
    pub(super) header: HeaderValue,
    /// The variable or file that it comes from, for messages.
    pub(super) source: String,
}

impl Token {
    /// `HF_TOKEN`, or the token in the file that `hf auth login` writes.
    pub(super) fn find() -> Outcome<Option<Self>> {
        for name in ["HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"] {
            if let Some(text) = environment::variable(name) {
                return Token::new(&text, name.into()).map(Some);
            }
        }
        let file = environment::path("HF_TOKEN_PATH").or_else(|| environment::home().map(|p| p.join("token")));
        let Some(file) = file else { return Ok(None) };
        let text = match std::fs::read_to_string(&file) {
            Ok(text) => text,
            Err(e) if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => return Ok(None),
            Err(e) => return Err(Failure::io(&file, &e)),
        };
        let text = text.trim();
        if text.is_empty() { Ok(None) } else { Token::new(text, file.display().to_string()).map(Some) }
    }

    fn new(text: &str, source: String) -> Outcome<Self> {
        let bad = || Failure::wrong(format!("{source}: contains no token; expected one word, such as hf_..."));
        if !text.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(bad());
        }
        let mut header = HeaderValue::from_str(&format!("Bearer {text}")).map_err(|_| bad())?;
        header.set_sensitive(true);
        Ok(Token { header, source })
    }
}
