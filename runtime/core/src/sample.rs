//! Chooses the next token.
//!
//! Only the 64 most probable tokens are candidates, so that the logits of a large vocabulary need not be copied to the
//! host for every token. With usual settings, all others have a negligible probability. Probabilities are normalized
//! over the candidates.
//!
//! There are two samplers. Most models have one of their own ([`on_device`]): it takes the settings and a random number
//! with each call, and its choice becomes an input of the next call without a copy through the host. [`Sampler`] does
//! the same on the host, for models without a sampler, and for a repetition penalty, which depends on all tokens so
//! far. Both make the same choices from the same seed, except where rounding decides.

use std::cmp::Ordering;
use std::collections::BTreeSet;

use gristmill_bundle::order::order;
use gristmill_bundle::{Elem, EntryRole, Manifest, Size};

use crate::backend::Tensor;

/// The output of `prefill` and `decode` with the token that the sampler of the model has chosen.
pub const SAMPLED_TOKEN: &str = "sampled_token";

/// The input with the settings of the sampler of the model: [`Sampling::tensor`].
pub const SAMPLING: &str = "sampling";

/// The input that is 1 in the call that returns the first token after a prompt, and 0 (its default) in others, for
/// models that must not begin with some tokens: f32 `[B, 1]`.
pub const BEGINS: &str = "begins";

/// Whether a prompt has [`BEGINS`].
pub(crate) fn asks_for_begin(manifest: &Manifest) -> bool {
    let takes = |i: &u32| {
        let input = &manifest.inputs[*i as usize];
        input.name == BEGINS && input.elem == Elem::F32
    };
    manifest.entries.iter().any(|e| e.role == EntryRole::Prefill && e.inputs.iter().any(takes))
}

/// [`BEGINS`] of a call for the first token of this many rows.
pub(crate) fn begins(rows: usize) -> Tensor {
    Tensor::f32([rows, 1], vec![1.0; rows])
}

/// The number of elements per row of [`SAMPLING`].
const SETTINGS: usize = 5;

/// Settings of token selection. The filters apply in the order of the fields, as in transformers.
#[derive(Clone, Debug, PartialEq)]
pub struct Sampling {
    /// Repetition penalty: positive logits of earlier tokens are divided by this, negative ones multiplied. 1 has no
    /// effect.
    pub repetition_penalty: f32,
    /// Logits are divided by this. 0: greedy.
    pub temperature: f32,
    /// Keeps this many of the most probable candidates. 0 keeps all.
    pub top_k: u32,
    /// Keeps the fewest most probable candidates whose total probability is at least this. 1 keeps all.
    pub top_p: f32,
    /// Keeps candidates with at least this fraction of the largest probability. 0 keeps all.
    pub min_p: f32,
    /// The seed of the random numbers. Equal seeds give equal choices.
    pub seed: u64,
}

impl Default for Sampling {
    /// Greedy decoding.
    fn default() -> Self {
        Sampling { repetition_penalty: 1.0, temperature: 0.0, top_k: 0, top_p: 1.0, min_p: 0.0, seed: 0 }
    }
}

impl Sampling {
    /// Whether it is greedy without a penalty, so that the choice of the model suffices and no candidates are needed.
    pub fn is_greedy(&self) -> bool {
        self.temperature <= 0.0 && self.repetition_penalty == 1.0
    }

    /// The settings as the input of the sampler of the model, f32 `[1, 5]`, with the random number for token `index`.
    pub fn tensor(&self, index: u64) -> Tensor {
        let row = [self.temperature, self.top_k as f32, self.top_p, self.min_p, random(self.seed, index)];
        Tensor::f32([1, SETTINGS], row.to_vec())
    }

    /// What is invalid in the settings, if anything.
    pub fn fault(&self) -> Option<String> {
        let checks = [
            (self.repetition_penalty.is_finite() && self.repetition_penalty > 0.0, "repetition penalty", "above 0"),
            (self.temperature.is_finite() && self.temperature >= 0.0, "temperature", "at least 0"),
            (self.top_p > 0.0 && self.top_p <= 1.0, "top-p", "above 0 and at most 1"),
            (self.min_p >= 0.0 && self.min_p <= 1.0, "min-p", "from 0 to 1"),
        ];
        checks.iter().find(|c| !c.0).map(|(_, name, want)| format!("{name} must be {want}"))
    }
}

/// Whether a model has a sampler.
pub fn on_device(manifest: &Manifest) -> bool {
    let row = Size::from(SETTINGS as u64);
    let takes = |i: &u32| {
        let input = &manifest.inputs[*i as usize];
        input.name == SAMPLING && input.elem == Elem::F32 && input.shape.len() == 2 && input.shape[1] == row
    };
    [EntryRole::Prefill, EntryRole::Decode].into_iter().all(|role| {
        let entry = manifest.entries.iter().find(|e| e.role == role);
        entry.is_some_and(|e| e.outputs.iter().any(|o| o.name == SAMPLED_TOKEN) && e.inputs.iter().any(takes))
    })
}

/// A sampler on the host: settings, and how many random numbers were used.
#[derive(Clone, Debug)]
pub struct Sampler {
    settings: Sampling,
    drawn: u64,
}

impl Sampler {
    /// A sampler at the beginning of its random sequence.
    pub fn new(settings: Sampling) -> Self {
        Sampler { settings, drawn: 0 }
    }

    /// The settings.
    pub fn settings(&self) -> &Sampling {
        &self.settings
    }

    /// Chooses one of the candidates; `None` if there are none. `seen` has the tokens of the prompt and those chosen so
    /// far. NaN counts as the lowest logit.
    pub fn choose(&mut self, tokens: &[u32], logits: &[f32], seen: &BTreeSet<u32>) -> Option<u32> {
        let s = &self.settings;
        let penalise = |token: u32, logit: f32| match (seen.contains(&token), logit.is_nan()) {
            (_, true) => f32::NEG_INFINITY,
            (false, _) => logit,
            (true, _) if logit > 0.0 => logit / s.repetition_penalty,
            (true, _) => logit * s.repetition_penalty,
        };
        let all = tokens.iter().zip(logits).map(|(t, l)| (*t, penalise(*t, *l))).collect();
        let drawn = &mut self.drawn;
        let draw = || {
            *drawn += 1;
            random(s.seed, *drawn - 1)
        };
        choose(s, all, draw)
    }
}

/// Chooses one of the candidates by their logits, with all settings except the penalty; `draw` returns a random number
/// if one is needed.
pub(crate) fn choose(s: &Sampling, all: Vec<(u32, f32)>, draw: impl FnOnce() -> f32) -> Option<u32> {
    // Stable, so that ties (including zeros of either sign) keep the model's order.
    let falling = order(all.len(), &|a, b| all[b].1.partial_cmp(&all[a].1).unwrap_or(Ordering::Equal));
    let mut all: Vec<(u32, f32)> = falling.into_iter().map(|i| all[i]).collect();
    let best = all.first()?.1;
    if s.temperature <= 0.0 || !best.is_finite() {
        return all.first().map(|c| c.0);
    }
    if s.top_k > 0 {
        all.truncate(s.top_k as usize);
    }
    let mut weights: Vec<f32> = all.iter().map(|c| ((c.1 - best) / s.temperature).exp()).collect();
    let keep = kept_by_top_p(&weights, s.top_p);
    weights.truncate(keep);
    // The best candidate has weight 1.
    weights.retain(|w| *w >= s.min_p);
    let total: f32 = weights.iter().sum();
    let mut left = draw() * total;
    for (candidate, weight) in all.iter().zip(&weights) {
        left -= weight;
        if left < 0.0 {
            return Some(candidate.0);
        }
    }
    // Rounding may leave a small remainder after the last one.
    all.get(weights.len().max(1) - 1).map(|c| c.0)
}

/// The length of the shortest prefix whose sum is at least the fraction `p` of the total; never 0.
fn kept_by_top_p(weights: &[f32], p: f32) -> usize {
    if p >= 1.0 {
        return weights.len();
    }
    let target = weights.iter().sum::<f32>() * p;
    let mut sum = 0.0;
    let reached = weights.iter().position(|w| {
        sum += w;
        sum >= target
    });
    reached.map_or(weights.len(), |n| n + 1)
}

/// The random number of a seed for the token `index`: from 0 (inclusive) to 1 (exclusive), 24 bits. Any index can be
/// computed directly, so that a repeated call gets the same number.
///
/// PCG-XSH-RR 64/32 (O'Neill 2014): small, and the same on every machine.
pub fn random(seed: u64, index: u64) -> f32 {
    const INCREMENT: u64 = 1_442_695_040_888_963_407;
    let first = seed.wrapping_add(INCREMENT);
    // The state after n steps `x -> step * x + increment`, found by squaring (Brown 1994). The first is not used.
    let (mut step, mut increment) = (6_364_136_223_846_793_005_u64, INCREMENT);
    let (mut factor, mut offset) = (1u64, 0u64);
    let mut steps = index.wrapping_add(1);
    while steps > 0 {
        if steps & 1 == 1 {
            factor = factor.wrapping_mul(step);
            offset = offset.wrapping_mul(step).wrapping_add(increment);
        }
        increment = increment.wrapping_mul(step.wrapping_add(1));
        step = step.wrapping_mul(step);
        steps >>= 1;
    }
    let state = first.wrapping_mul(factor).wrapping_add(offset);
    let mixed = (((state >> 18) ^ state) >> 27) as u32;
    let drawn = mixed.rotate_right((state >> 59) as u32);
    (drawn >> 8) as f32 / (1u32 << 24) as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKENS: [u32; 4] = [10, 11, 12, 13];
    /// Probabilities 0.5, 0.25, 0.125, 0.125.
    fn logits() -> Vec<f32> {
        [0.5f32, 0.25, 0.125, 0.125].iter().map(|p| p.ln()).collect()
    }

    /// How often each token is chosen out of 8000.
    fn counts(settings: Sampling) -> [u32; 4] {
        let mut sampler = Sampler::new(settings);
        let mut counts = [0; 4];
        for _ in 0..8000 {
            let token = sampler.choose(&TOKENS, &logits(), &BTreeSet::new()).unwrap();
            counts[token as usize - 10] += 1;
        }
        counts
    }

    fn close(found: [u32; 4], expect: [u32; 4]) -> bool {
        found.iter().zip(expect).all(|(f, e)| f.abs_diff(e) < 250 && (e > 0 || *f == 0))
    }

    #[test]
    fn frequencies_follow_the_filters() {
        let plain = Sampling { temperature: 1.0, ..Sampling::default() };
        for (settings, expect) in [
            (plain.clone(), [4000, 2000, 1000, 1000]),
            (Sampling { top_k: 2, ..plain.clone() }, [5333, 2667, 0, 0]),
            (Sampling { top_p: 0.7, ..plain.clone() }, [5333, 2667, 0, 0]),
            (Sampling { top_p: 0.5, ..plain.clone() }, [8000, 0, 0, 0]),
            (Sampling { min_p: 0.3, ..plain.clone() }, [5333, 2667, 0, 0]),
            (Sampling { temperature: 0.5, ..plain.clone() }, [5818, 1455, 364, 364]),
            (Sampling { temperature: 0.0, ..plain.clone() }, [8000, 0, 0, 0]),
        ] {
            let found = counts(settings.clone());
            assert!(close(found, expect), "{settings:?}: {found:?}, expected about {expect:?}");
        }
    }

    #[test]
    fn random_numbers_are_those_of_the_generator() {
        const STEP: u64 = 6_364_136_223_846_793_005;
        const INCREMENT: u64 = 1_442_695_040_888_963_407;
        for seed in [0, 1, 42, u64::MAX] {
            let next = |state: u64| state.wrapping_mul(STEP).wrapping_add(INCREMENT);
            let mut state = next(seed.wrapping_add(INCREMENT));
            for index in 0..100 {
                let drawn = ((((state >> 18) ^ state) >> 27) as u32).rotate_right((state >> 59) as u32);
                assert_eq!(random(seed, index), (drawn >> 8) as f32 / 16_777_216.0);
                state = next(state);
            }
        }
    }

    #[test]
    fn a_sampler_of_the_model_needs_input_and_output() {
        let whole = crate::testing::decoder_manifest();
        assert!(on_device(&whole));
        let without = |change: fn(&mut Manifest)| {
            let mut manifest = whole.clone();
            change(&mut manifest);
            on_device(&manifest)
        };
        assert!(!without(|m| m.entries[2].outputs.retain(|o| o.name != SAMPLED_TOKEN)));
        assert!(!without(|m| m.entries[1].inputs.truncate(3)));
        assert!(!without(|m| m.inputs[3].shape[1] = Size::from(4)));
        assert!(!without(|m| m.inputs[3].elem = Elem::I32));
        assert!(!without(|m| m.entries.truncate(2)));
    }

    #[test]
    fn seeds_decide() {
        let run = |seed| {
            let mut s = Sampler::new(Sampling { temperature: 1.0, seed, ..Sampling::default() });
            (0..50).map(|_| s.choose(&TOKENS, &logits(), &BTreeSet::new())).collect::<Vec<_>>()
        };
        assert_eq!(run(1), run(1));
        assert_ne!(run(1), run(2));
    }

    #[test]
    fn repetition_is_penalised_on_both_sides_of_zero() {
        let mut s = Sampler::new(Sampling { repetition_penalty: 2.0, ..Sampling::default() });
        assert_eq!(s.choose(&[1, 2], &[3.0, 2.0], &BTreeSet::from([1])), Some(2));
        assert_eq!(s.choose(&[1, 2], &[-1.0, -1.5], &BTreeSet::from([1])), Some(2));
        assert_eq!(s.choose(&[1, 2], &[3.0, 2.0], &BTreeSet::from([1, 2])), Some(1));
        assert!(!s.settings().is_greedy());
    }

    #[test]
    fn odd_logits_do_no_harm() {
        let mut s = Sampler::new(Sampling { temperature: 1.0, ..Sampling::default() });
        assert_eq!(s.choose(&[], &[], &BTreeSet::new()), None);
        assert_eq!(s.choose(&[5, 6], &[f32::NAN, 1.0], &BTreeSet::new()), Some(6));
        assert_eq!(s.choose(&[5], &[f32::NAN], &BTreeSet::new()), Some(5));
        assert_eq!(s.choose(&[5, 6], &[f32::INFINITY, 1.0], &BTreeSet::new()), Some(5));
        assert!(Sampling { top_p: 0.0, ..Sampling::default() }.fault().unwrap().starts_with("top-p"));
        assert_eq!(Sampling::default().fault(), None);
    }
}
