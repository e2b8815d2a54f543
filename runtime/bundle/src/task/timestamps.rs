//! Timestamps of speech recognition models, and the conditions that a decoded window must meet.

use serde::{Deserialize, Serialize};

/// The largest number of temperatures.
const MAX_TEMPERATURES: usize = 100;
/// The largest width of the median filter.
const MAX_MEDIAN: u32 = 999;

/// Timestamp tokens, which come in pairs around each segment, and the parameters of the algorithms that use them
/// (Radford et al. 2022, sections 2.3 and 4.5).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Timestamps {
    /// The number of samples from one timestamp to the next.
    pub step: u32,
    /// The timestamp 0. The tokens after it are timestamps, too.
    pub first: u32,
    /// The start token that turns timestamps off; it is the last one.
    pub none: u32,
    /// The end token. After the end of a segment, only tokens from this one on and timestamps are allowed.
    pub end: u32,
    /// The token whose probability after the first start token is that of a window without speech.
    pub no_speech: u32,
    /// The token before the text of earlier windows, if the model has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous: Option<u32>,
    /// The largest timestamp at which the first segment may begin, in steps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_initial: Option<u32>,
    /// The width of the median filter over attention weights; odd.
    pub median: u32,
    /// When a window is decoded again (temperature fallback).
    pub fallback: Fallback,
}

/// When a window is decoded again at the next temperature.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fallback {
    /// Temperatures, in the order in which they are tried.
    pub temperatures: Vec<f32>,
    /// The smallest acceptable mean log probability of the tokens.
    pub log_probability: f32,
    /// The largest acceptable compression ratio: bytes of tokens per compressed byte.
    pub compression_ratio: f32,
    /// A window has no speech if the probability of that is above this, and the mean log probability is too small.
    pub no_speech: f32,
    /// Whether the text of earlier windows is part of the prompt.
    pub previous_text: bool,
}

impl Timestamps {
    /// What is invalid, if anything.
    pub(crate) fn fault(&self) -> Option<String> {
        let Fallback { temperatures, log_probability, compression_ratio, no_speech, previous_text: _ } = &self.fallback;
        let tokens = [Some(self.none), Some(self.end), Some(self.no_speech), self.previous];
        let numbers = [log_probability, compression_ratio, no_speech];
        let checks = [
            (self.step > 0, "timestamp tokens must be at least one sample apart"),
            (tokens.iter().flatten().all(|token| *token < self.first), "timestamp tokens must come after all others"),
            (
                self.median % 2 == 1 && self.median <= MAX_MEDIAN,
                "the width of a median filter must be odd and at most 999",
            ),
            ((1..=MAX_TEMPERATURES).contains(&temperatures.len()), "expected 1 to 100 temperatures"),
            (temperatures.iter().all(|t| t.is_finite() && *t >= 0.0), "temperatures must be at least 0"),
            (numbers.iter().all(|n| n.is_finite()), "thresholds must be numbers"),
        ];
        checks.iter().find(|check| !check.0).map(|(_, fault)| format!("timestamps: {fault}"))
    }
}
