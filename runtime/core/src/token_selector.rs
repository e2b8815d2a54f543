//! Chooses the next token of a generation: on the device if possible, otherwise on the host.

use std::collections::BTreeSet;

use gristmill_bundle::{Manifest, TIMED_OUTPUTS};

use crate::backend::{Request, Tensor, Tensors};
use crate::decode_loop::NEXT_TOKEN;
use crate::error::Error;
use crate::sample::{BEGINS, SAMPLED_TOKEN, SAMPLING, Sampler, Sampling, asks_for_begin, begins, on_device};
use crate::speech::rules::{ALLOWED, Rules};

const BEST: &[&str] = &[NEXT_TOKEN];
const SAMPLED: &[&str] = &[SAMPLED_TOKEN];
const CANDIDATES: &[&str] = &["top_tokens", "top_logits"];

/// Chooses the next token.
#[derive(Clone, Debug)]
pub(crate) struct TokenSelector {
    by: SelectedBy,
    /// Whether the model needs to know which token is the first.
    begins: bool,
}

/// The source of the next token.
#[derive(Clone, Debug)]
enum SelectedBy {
    /// The model, greedily.
    Best,
    /// The sampler of the model, on the device.
    Sampled(Sampling),
    /// The host, from candidates.
    Host(Sampler),
    /// The host, from candidates that the rules for timestamps allow.
    Timed(Timed),
}

/// Token selection with timestamps.
#[derive(Clone, Debug)]
struct Timed {
    rules: Rules,
    sampler: Sampler,
    /// The sum of the log probabilities of the tokens, and their number.
    sum: f64,
    count: u32,
}

impl Timed {
    /// The next token, from candidates; `total` is the log-sum-exp of all logits.
    fn choose(&mut self, tokens: &[u32], logits: &[f32], total: f32, seen: &BTreeSet<u32>) -> Option<u32> {
        let token = self.sampler.choose(tokens, logits, seen)?;
        let logit = tokens.iter().zip(logits).find(|(t, _)| **t == token)?.1;
        self.sum += f64::from(logit - total);
        self.count += 1;
        self.rules.push(token);
        Some(token)
    }
}

impl TokenSelector {
    /// On the device if possible, so that a call need not wait for the results of the previous one. `timed`: the rules
    /// for timestamps, if the text has them.
    pub(crate) fn new(manifest: &Manifest, sampling: &Sampling, timed: Option<Rules>) -> Self {
        let sampler = || Sampler::new(sampling.clone());
        let host = timed.map(|rules| SelectedBy::Timed(Timed { rules, sampler: sampler(), sum: 0.0, count: 0 }));
        let by = host.unwrap_or_else(|| match sampling.repetition_penalty == 1.0 && on_device(manifest) {
            _ if sampling.is_greedy() => SelectedBy::Best,
            true => SelectedBy::Sampled(sampling.clone()),
            false => SelectedBy::Host(sampler()),
        });
        TokenSelector { by, begins: asks_for_begin(manifest) }
    }

    /// The outputs to request.
    pub(crate) fn want(&self) -> &'static [&'static str] {
        match &self.by {
            SelectedBy::Best => BEST,
            SelectedBy::Sampled(_) => SAMPLED,
            SelectedBy::Host(_) => CANDIDATES,
            SelectedBy::Timed(_) => &TIMED_OUTPUTS,
        }
    }

    /// The mean log probability of the tokens so far, for texts with timestamps.
    pub(crate) fn log_probability(&self) -> Option<f32> {
        match &self.by {
            SelectedBy::Timed(timed) => Some((timed.sum / f64::from(timed.count.max(1))) as f32),
            SelectedBy::Best | SelectedBy::Sampled(_) | SelectedBy::Host(_) => None,
        }
    }

    /// The output that can become an input of the next call.
    pub(crate) fn fed(&self) -> Option<&'static str> {
        match &self.by {
            SelectedBy::Best => Some(NEXT_TOKEN),
            SelectedBy::Sampled(_) => Some(SAMPLED_TOKEN),
            SelectedBy::Host(_) | SelectedBy::Timed(_) => None,
        }
    }

    /// Adds the inputs with which the device chooses the new token `index` of a generation.
    pub(crate) fn set(&self, request: &mut Request, index: usize) {
        if self.begins && index == 0 {
            request.inputs.insert(BEGINS.to_string(), begins(1));
        }
        match &self.by {
            SelectedBy::Sampled(sampling) => {
                request.inputs.insert(SAMPLING.to_string(), sampling.tensor(index as u64));
            }
            SelectedBy::Timed(timed) => {
                request.inputs.insert(ALLOWED.to_string(), timed.rules.tensor());
            }
            SelectedBy::Best | SelectedBy::Host(_) => {}
        }
    }

    /// The next token, from the outputs of a call. `seen` has the tokens of the prompt and those chosen so far.
    pub(crate) fn choose(&mut self, outputs: &Tensors, seen: &BTreeSet<u32>) -> Result<u32, Error> {
        let missing = |name: &str| Error::Backend(format!("the backend did not return `{name}` as expected"));
        let ints = |name: &str| outputs.get(name).and_then(Tensor::as_i32).ok_or_else(|| missing(name));
        let id = |v: &i32| u32::try_from(*v).map_err(|_| missing("a token id of at least 0"));
        let floats = |name: &str| outputs.get(name).and_then(Tensor::as_f32).ok_or_else(|| missing(name));
        let want = self.want();
        let name = want[0];
        let tokens: Vec<u32> = ints(name)?.iter().map(id).collect::<Result<_, _>>()?;
        let token = match &mut self.by {
            SelectedBy::Best | SelectedBy::Sampled(_) => tokens.first().copied(),
            SelectedBy::Host(sampler) => sampler.choose(&tokens, floats(want[1])?, seen),
            SelectedBy::Timed(timed) => {
                let total = floats(want[2])?.first().ok_or_else(|| missing(want[2]))?;
                timed.choose(&tokens, floats(want[1])?, *total, seen)
            }
        };
        token.ok_or_else(|| missing(name))
    }
}
