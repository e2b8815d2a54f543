//! How a model that transcribes marks times, and what its output must fulfil.

use serde::{Deserialize, Serialize};

/// Most temperatures that are tried.
const MAX_TEMPERATURES: usize = 100;
/// Widest median filter.
const MAX_MEDIAN: u32 = 999;

/// Time tokens of a model, which stand in pairs around what is said between them, and the numbers of the algorithms
/// that go by them (Radford et al. 2022, sections 2.3 and 4.5).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Timestamps {
    /// Samples from one time token to the next.
    pub step: u32,
    /// The token of the time 0; those that follow are times, too.
    pub first: u32,
    /// The last start token where no times are marked.
    pub none: u32,
    /// The end token: behind the end of a segment, text tokens from this one on may be next, or a time.
    pub end: u32,
    /// The token whose probability behind the first start token is that nothing is said.
    pub no_speech: u32,
    /// The token in front of what was said before, if the model knows one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous: Option<u32>,
    /// Most steps until the first segment begins, if there is a limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_initial: Option<u32>,
    /// Width of the median filter over attention weights; odd.
    pub median: u32,
    /// When a window is decoded again.
    pub fallback: Fallback,
}

/// When a window is decoded again, at the next temperature.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fallback {
    /// Temperatures, in the order in which they are tried.
    pub temperatures: Vec<f32>,
    /// Least average of the logarithms of the tokens' probabilities.
    pub log_probability: f32,
    /// Most bytes of tokens per compressed byte.
    pub compression_ratio: f32,
    /// Nothing is said where that is likelier than this, and the tokens are too unlikely.
    pub no_speech: f32,
    /// Whether a window continues the text of those before it.
    pub previous_text: bool,
}

impl Timestamps {
    /// What is wrong with it, if anything is.
    pub(crate) fn fault(&self) -> Option<String> {
        let Fallback { temperatures, log_probability, compression_ratio, no_speech, previous_text: _ } = &self.fallback;
        let tokens = [Some(self.none), Some(self.end), Some(self.no_speech), self.previous];
        let numbers = [log_probability, compression_ratio, no_speech];
        let checks = [
            (self.step > 0, "time tokens are at least one sample apart"),
            (tokens.iter().flatten().all(|token| *token < self.first), "other tokens come before those of times"),
            (self.median % 2 == 1 && self.median <= MAX_MEDIAN, "the width of a median filter is odd, and at most 999"),
            ((1..=MAX_TEMPERATURES).contains(&temperatures.len()), "there are 1 to 100 temperatures"),
            (temperatures.iter().all(|t| t.is_finite() && *t >= 0.0), "temperatures are at least 0"),
            (numbers.iter().all(|n| n.is_finite()), "thresholds are numbers"),
        ];
        checks.iter().find(|check| !check.0).map(|(_, fault)| format!("timestamps: {fault}"))
    }
}
