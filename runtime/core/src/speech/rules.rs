//! The rules for timestamps: which tokens may be next.

use gristmill_bundle::Timestamps;

use crate::backend::Tensor;

/// The input of `prefill` and `decode` with [`Rules::allowed`].
pub const ALLOWED: &str = "allowed_tokens";

/// A number above all token ids that is exact in f32.
const NO_TOKEN: u32 = 1 << 24;

/// The part of the tokens so far that decides about the next one: `WhisperTimeStampLogitsProcessor` of transformers.
/// (The rest of it needs logits and therefore runs on the device: the block `timed`.)
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rules {
    first: u32,
    end: u32,
    /// The last timestamp with which the text may begin.
    initial: u32,
    /// The number of tokens.
    count: usize,
    last: u32,
    before: u32,
    /// The last timestamp so far.
    time: Option<u32>,
}

impl Rules {
    /// The rules at the beginning of a text.
    pub fn new(timestamps: &Timestamps) -> Self {
        let initial = timestamps.max_initial.map_or(NO_TOKEN, |steps| timestamps.first.saturating_add(steps));
        Rules { first: timestamps.first, end: timestamps.end, initial, count: 0, last: 0, before: 0, time: None }
    }

    /// Updates the rules after the next token was chosen.
    pub fn push(&mut self, token: u32) {
        (self.before, self.last) = (self.last, token);
        self.count += 1;
        if token >= self.first {
            self.time = Some(token);
        }
    }

    /// The first text token, and the first and last timestamp, that may be next.
    pub fn allowed(&self) -> [u32; 3] {
        if self.count == 0 {
            return [self.first, self.first, self.initial];
        }
        let after_time = self.last >= self.first;
        // The first token is a timestamp, and counts as the second one of a pair.
        let after_pair = after_time && (self.count < 2 || self.before >= self.first);
        match (after_time, after_pair) {
            (_, true) => [0, NO_TOKEN, NO_TOKEN],
            // A segment has ended: either the next one begins, no earlier, or the text ends.
            (true, false) => [self.end, self.last, NO_TOKEN],
            // A segment is not empty.
            (false, false) => [0, self.time.map_or(self.first, |time| time + 1), NO_TOKEN],
        }
    }

    /// The same as an input.
    pub fn tensor(&self) -> Tensor {
        Tensor::f32([1, 3], self.allowed().map(|token| token as f32).to_vec())
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use gristmill_bundle::Fallback;

    use super::*;

    /// Text tokens are below 20, with end token 10; timestamps start at 20.
    pub(crate) fn timestamps() -> Timestamps {
        let fallback = Fallback {
            temperatures: vec![0.0, 0.5, 1.0],
            log_probability: -1.0,
            compression_ratio: 2.4,
            no_speech: 0.6,
            previous_text: false,
        };
        let (previous, max_initial) = (Some(17), Some(5));
        Timestamps {
            step: 320,
            first: 20,
            none: 19,
            end: 10,
            no_speech: 18,
            previous,
            max_initial,
            median: 7,
            fallback,
        }
    }

    fn allowed(tokens: &[u32]) -> [u32; 3] {
        let mut rules = Rules::new(&timestamps());
        tokens.iter().for_each(|token| rules.push(*token));
        rules.allowed()
    }

    #[test]
    fn times_come_in_pairs_and_do_not_decrease() {
        assert_eq!(allowed(&[]), [20, 20, 25], "a time comes first, and not too late");
        assert_eq!(allowed(&[20]), [0, NO_TOKEN, NO_TOKEN], "then text");
        assert_eq!(allowed(&[20, 1]), [0, 21, NO_TOKEN], "a segment is not empty");
        assert_eq!(allowed(&[20, 1, 2, 24]), [10, 24, NO_TOKEN], "behind its end another one, or the end");
        assert_eq!(allowed(&[20, 1, 24, 24]), [0, NO_TOKEN, NO_TOKEN]);
        assert_eq!(allowed(&[20, 1, 24, 24, 3]), [0, 25, NO_TOKEN]);
        assert_eq!(Rules::new(&timestamps()).tensor(), Tensor::f32([1, 3], vec![20.0, 20.0, 25.0]));
        let unlimited = Timestamps { max_initial: None, ..timestamps() };
        assert_eq!(Rules::new(&unlimited).allowed()[2], NO_TOKEN);
    }
}
