//! What a rendering may do, and what is left of it.

use std::cell::Cell;

use crate::fault::{MAX_BYTES, MAX_STEPS, MAX_TEXT, Res, limit};
use crate::value::Value;

/// What is left of the work that a rendering may do.
#[derive(Debug)]
pub(crate) struct Budget {
    steps: Cell<u64>,
    bytes: Cell<u64>,
}

impl Budget {
    pub(crate) fn new() -> Self {
        Budget { steps: Cell::new(MAX_STEPS), bytes: Cell::new(MAX_BYTES) }
    }

    /// Takes steps.
    pub(crate) fn steps(&self, n: u64) -> Res<()> {
        match self.steps.get().checked_sub(n) {
            Some(rest) => {
                self.steps.set(rest);
                Ok(())
            }
            None => limit("takes", MAX_STEPS, " steps"),
        }
    }

    /// Asks for the bytes of a text before it is made.
    pub(crate) fn text(&self, bytes: usize) -> Res<()> {
        if bytes > MAX_TEXT {
            return limit("makes a text of", MAX_TEXT as u64, " bytes");
        }
        self.take(bytes as u64)
    }

    /// Takes steps for looking at each letter of a text: outside of ASCII a page asks the browser about each.
    pub(crate) fn letters(&self, text: &str) -> Res<()> {
        let foreign = text.bytes().filter(|b| *b >= 0xc0).count() as u64;
        self.steps(text.len() as u64 / 64 + 8 * foreign)
    }

    /// Asks for the items of a list before it is made.
    pub(crate) fn items(&self, count: usize) -> Res<()> {
        self.take((count as u64).saturating_mul(size_of::<Value>() as u64))
    }

    fn take(&self, bytes: u64) -> Res<()> {
        match self.bytes.get().checked_sub(bytes) {
            Some(rest) => self.bytes.set(rest),
            None => return limit("makes", MAX_BYTES, " bytes of texts and lists"),
        }
        // Touching memory is work, too.
        self.steps(bytes / 256)
    }
}
