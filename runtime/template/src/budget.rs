//! The limits on the work of a rendering.

use std::cell::Cell;

use crate::fault::{MAX_BYTES, MAX_STEPS, MAX_TEXT, Res, limit};
use crate::value::Value;

/// The remaining budget of a rendering.
#[derive(Debug)]
pub(crate) struct Budget {
    steps: Cell<u64>,
    bytes: Cell<u64>,
}

impl Budget {
    pub(crate) fn new() -> Self {
        Budget { steps: Cell::new(MAX_STEPS), bytes: Cell::new(MAX_BYTES) }
    }

    /// Spends steps.
    pub(crate) fn steps(&self, n: u64) -> Res<()> {
        match self.steps.get().checked_sub(n) {
            Some(rest) => {
                self.steps.set(rest);
                Ok(())
            }
            None => limit("takes", MAX_STEPS, " steps"),
        }
    }

    /// Spends the bytes of a string, before it is created.
    pub(crate) fn text(&self, bytes: usize) -> Res<()> {
        if bytes > MAX_TEXT {
            return limit("makes a text of", MAX_TEXT as u64, " bytes");
        }
        self.take(bytes as u64)
    }

    /// Spends steps for inspecting each character of a string. In a page, each one outside of ASCII is a call to the
    /// browser.
    pub(crate) fn letters(&self, text: &str) -> Res<()> {
        let foreign = text.bytes().filter(|b| *b >= 0xc0).count() as u64;
        self.steps(text.len() as u64 / 64 + 8 * foreign)
    }

    /// Spends the items of a list, before it is created.
    pub(crate) fn items(&self, count: usize) -> Res<()> {
        self.take((count as u64).saturating_mul(size_of::<Value>() as u64))
    }

    fn take(&self, bytes: u64) -> Res<()> {
        match self.bytes.get().checked_sub(bytes) {
            Some(rest) => self.bytes.set(rest),
            None => return limit("makes", MAX_BYTES, " bytes of texts and lists"),
        }
        // Writing memory costs steps as well.
        self.steps(bytes / 256)
    }
}
