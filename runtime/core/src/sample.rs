//! Chooses the next token.
//!
//! Sampling is among the candidates that the model gives back, its best 64 tokens, so that not all logits of a
//! large vocabulary travel to the host for every token. What is left out has no chance anyway under the usual
//! settings; probabilities are normalised over the candidates.

use std::collections::BTreeSet;

/// How the next token is chosen. The filters apply in the order of the fields, as in Hugging Face transformers.
#[derive(Clone, Debug, PartialEq)]
pub struct Sampling {
    /// Positive logits of tokens that occurred are divided by this, negative ones multiplied. 1 does nothing.
    pub repetition_penalty: f32,
    /// Logits are divided by this. 0 takes the best token.
    pub temperature: f32,
    /// Keeps this many of the best candidates. 0 keeps all.
    pub top_k: u32,
    /// Keeps the best candidates that together have at least this probability. 1 keeps all.
    pub top_p: f32,
    /// Keeps candidates with at least this fraction of the best one's probability. 0 keeps all.
    pub min_p: f32,
    /// Equal seeds give equal choices.
    pub seed: u64,
}

impl Default for Sampling {
    /// The best token, always.
    fn default() -> Self {
        Sampling { repetition_penalty: 1.0, temperature: 0.0, top_k: 0, top_p: 1.0, min_p: 0.0, seed: 0 }
    }
}

impl Sampling {
    /// Whether the model's own choice of the best token is the answer, so that no candidates are needed.
    pub fn is_greedy(&self) -> bool {
        self.temperature <= 0.0 && self.repetition_penalty == 1.0
    }

    /// What is wrong with the settings, if anything is.
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

/// Settings and the state of the random numbers.
#[derive(Clone, Debug)]
pub struct Sampler {
    settings: Sampling,
    random: Pcg32,
}

impl Sampler {
    /// A sampler at the begin of its sequence.
    pub fn new(settings: Sampling) -> Self {
        Sampler { random: Pcg32::new(settings.seed), settings }
    }

    /// The settings.
    pub fn settings(&self) -> &Sampling {
        &self.settings
    }

    /// Chooses among candidates. `seen` holds the tokens of the prompt and those chosen so far. `None` if there is
    /// no candidate. A logit that is not a number counts as the lowest.
    pub fn choose(&mut self, tokens: &[u32], logits: &[f32], seen: &BTreeSet<u32>) -> Option<u32> {
        let s = &self.settings;
        let penalise = |token: u32, logit: f32| match (seen.contains(&token), logit.is_nan()) {
            (_, true) => f32::NEG_INFINITY,
            (false, _) => logit,
            (true, _) if logit > 0.0 => logit / s.repetition_penalty,
            (true, _) => logit * s.repetition_penalty,
        };
        let mut all: Vec<(u32, f32)> = tokens.iter().zip(logits).map(|(t, l)| (*t, penalise(*t, *l))).collect();
        // Stable, so that among equals the model's order stands.
        all.sort_by(|a, b| b.1.total_cmp(&a.1));
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
        let mut left = self.random.unit() * total;
        for (candidate, weight) in all.iter().zip(&weights) {
            left -= weight;
            if left < 0.0 {
                return Some(candidate.0);
            }
        }
        // Rounding may leave a crumb after the last one.
        all.get(weights.len().max(1) - 1).map(|c| c.0)
    }
}

/// The length of the shortest beginning that has at least the share `p` of the sum; never 0.
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

/// PCG-XSH-RR 64/32 (O'Neill 2014): small, and the same on every machine.
#[derive(Clone, Debug)]
struct Pcg32 {
    state: u64,
}

impl Pcg32 {
    const STEP: u64 = 6_364_136_223_846_793_005;
    const INCREMENT: u64 = 1_442_695_040_888_963_407;

    fn new(seed: u64) -> Self {
        let mut random = Pcg32 { state: seed.wrapping_add(Self::INCREMENT) };
        random.next();
        random
    }

    fn next(&mut self) -> u32 {
        let old = self.state;
        self.state = old.wrapping_mul(Self::STEP).wrapping_add(Self::INCREMENT);
        let mixed = (((old >> 18) ^ old) >> 27) as u32;
        mixed.rotate_right((old >> 59) as u32)
    }

    /// From 0 (inclusive) to 1 (exclusive), 24 bits.
    fn unit(&mut self) -> f32 {
        (self.next() >> 8) as f32 / (1u32 << 24) as f32
    }
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
