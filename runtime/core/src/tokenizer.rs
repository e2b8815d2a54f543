//! Converts text to token ids and back: [`gristmill_tokenizer`].

pub use gristmill_tokenizer::*;

impl From<Error> for crate::Error {
    fn from(error: Error) -> Self {
        match error {
            Error::Bundle(error) => crate::Error::Bundle(error),
            Error::Text(message) => crate::Error::Text { file: FILE.to_string(), message },
        }
    }
}
