//! Who chooses the next token of a generation: the device wherever it can, otherwise the host.

use std::collections::BTreeSet;

use gristmill_bundle::Manifest;

use crate::backend::{Request, Tensor, Tensors};
use crate::error::Error;
use crate::feed::NEXT_TOKEN;
use crate::sample::{BEGINS, SAMPLED_TOKEN, SAMPLING, Sampler, Sampling, asks_for_begin, begins, on_device};

const BEST: &[&str] = &[NEXT_TOKEN];
const SAMPLED: &[&str] = &[SAMPLED_TOKEN];
const CANDIDATES: &[&str] = &["top_tokens", "top_logits"];

/// Chooses the next token.
#[derive(Clone, Debug)]
pub(crate) struct Chooser {
    who: Who,
    /// Whether the model has to know which token is the first.
    begins: bool,
}

/// Who chooses the next token.
#[derive(Clone, Debug)]
enum Who {
    /// The model: its best token.
    Best,
    /// The model's own sampler.
    Sampled(Sampling),
    /// The host, among candidates.
    Host(Sampler),
}

impl Chooser {
    /// The device if that is possible, so that a call need not wait for the results of the one before.
    pub(crate) fn new(manifest: &Manifest, sampling: &Sampling) -> Self {
        let who = match sampling.repetition_penalty == 1.0 && on_device(manifest) {
            _ if sampling.is_greedy() => Who::Best,
            true => Who::Sampled(sampling.clone()),
            false => Who::Host(Sampler::new(sampling.clone())),
        };
        Chooser { who, begins: asks_for_begin(manifest) }
    }

    /// The outputs to ask for.
    pub(crate) fn want(&self) -> &'static [&'static str] {
        match &self.who {
            Who::Best => BEST,
            Who::Sampled(_) => SAMPLED,
            Who::Host(_) => CANDIDATES,
        }
    }

    /// The output that can be fed to the next call.
    pub(crate) fn fed(&self) -> Option<&'static str> {
        match &self.who {
            Who::Best => Some(NEXT_TOKEN),
            Who::Sampled(_) => Some(SAMPLED_TOKEN),
            Who::Host(_) => None,
        }
    }

    /// Adds what the device needs to know to choose the new token `index` of a generation.
    pub(crate) fn set(&self, request: &mut Request, index: usize) {
        if self.begins && index == 0 {
            request.inputs.insert(BEGINS.to_string(), begins(1));
        }
        if let Who::Sampled(sampling) = &self.who {
            request.inputs.insert(SAMPLING.to_string(), sampling.tensor(index as u64));
        }
    }

    /// The token that the outputs of a call lead to. `seen` holds the tokens of the prompt and those chosen so far.
    pub(crate) fn choose(&mut self, outputs: &Tensors, seen: &BTreeSet<u32>) -> Result<u32, Error> {
        let missing = |name: &str| Error::Backend(format!("the backend did not give `{name}` as expected"));
        let ints = |name: &str| outputs.get(name).and_then(Tensor::as_i32).ok_or_else(|| missing(name));
        let id = |v: &i32| u32::try_from(*v).map_err(|_| missing("a token id of at least 0"));
        let name = self.want()[0];
        let tokens: Vec<u32> = ints(name)?.iter().map(id).collect::<Result<_, _>>()?;
        let token = match &mut self.who {
            Who::Best | Who::Sampled(_) => tokens.first().copied(),
            Who::Host(sampler) => {
                let logits = outputs.get(CANDIDATES[1]).and_then(Tensor::as_f32);
                sampler.choose(&tokens, logits.ok_or_else(|| missing(CANDIDATES[1]))?, seen)
            }
        };
        token.ok_or_else(|| missing(name))
    }
}
