//! Prompts: the tokens and inputs that a generation starts from.

use std::collections::VecDeque;

use gristmill_bundle::{Elem, Manifest};

use crate::backend::{Tensor, Tensors};
use crate::call::{names, separate_encoder};
use crate::choices::{Choices, Open, Start};
use crate::error::Error;
use crate::gather::gather;
use crate::speech::rules::Rules;

/// The start of a generation: one row of tokens to continue, and the other inputs.
#[derive(Clone, Debug, PartialEq)]
pub struct Prompt {
    /// The tokens to continue.
    pub(crate) tokens: Vec<u32>,
    /// The tokens among them that the model chooses, in order.
    pub(crate) open: VecDeque<Open>,
    /// Inputs of the encoder, if the model has one, and all other inputs that do not follow from tokens.
    pub(crate) given: Tensors,
    /// The number of tokens of the prompt that is reported to users.
    pub(crate) length: u32,
    /// The number of tokens before the start tokens.
    pub(crate) before: usize,
    /// The rules for timestamps, if the text has them.
    pub(crate) timed: Option<Rules>,
    /// A token whose probability after the first start token is asked for.
    pub(crate) asked: Option<u32>,
}

impl Prompt {
    /// A text to continue or, for a model with an encoder, to encode.
    ///
    /// # Errors
    /// If the model takes no text.
    pub fn text(manifest: &Manifest, tokens: &[u32]) -> Result<Self, Error> {
        let Some(encoder) = separate_encoder(manifest) else {
            return Ok(Self::beside(tokens.to_vec(), Tensors::new()));
        };
        if tokens.is_empty() {
            return Err(no_tokens());
        }
        let inputs = encoder.inputs.iter().map(|i| &manifest.inputs[*i as usize]);
        let text = inputs.clone().find(|i| i.elem == Elem::I32 && i.default.is_none());
        let text = text.ok_or_else(|| {
            let known = names(inputs.map(|i| &i.name));
            Error::Unsupported(format!("entry `{}` of this model encodes {known}, not text", encoder.name))
        })?;
        let ids = tokens.iter().map(|t| *t as i32).collect();
        let given = gather([(text.name.clone(), Tensor::i32([1, tokens.len()], ids))]);
        let start = Start::new(manifest, &Choices::new())?;
        Ok(Prompt { length: tokens.len() as u32, ..Self::given(start, given) })
    }

    /// Inputs of the encoder, such as the features of an audio file, and the start tokens of the decoder.
    pub fn given(start: Start, given: Tensors) -> Self {
        Prompt { open: start.open, ..Self::beside(start.tokens, given) }
    }

    /// The same for a text with timestamps, with tokens before the start tokens. `asked` is a token whose probability
    /// after the first start token [`Generator::asked`] returns.
    pub(crate) fn timed(mut self, rules: Rules, before: &[u32], asked: Option<u32>) -> Self {
        drop(self.tokens.splice(..0, before.iter().copied()));
        self.open.iter_mut().for_each(|open| open.place += before.len());
        Prompt { before: before.len(), timed: Some(rules), asked, ..self }
    }

    /// Tokens to continue, and the other inputs, such as images.
    pub(crate) fn beside(tokens: Vec<u32>, given: Tensors) -> Self {
        let (open, length) = (VecDeque::new(), tokens.len() as u32);
        Prompt { tokens, open, given, length, before: 0, timed: None, asked: None }
    }

    /// The inputs besides tokens.
    pub fn inputs(&self) -> &Tensors {
        &self.given
    }

    /// The start tokens of the decoder.
    pub(crate) fn start(&self) -> Start {
        let own = |open: &Open| Open { place: open.place - self.before, among: open.among.clone() };
        Start { tokens: self.tokens[self.before..].to_vec(), open: self.open.iter().map(own).collect() }
    }

    /// The tokens up to the next one that the model chooses, or after which a probability is asked for.
    pub(crate) fn known(&self) -> &[u32] {
        let open = self.open.front().map_or(self.tokens.len(), |open| open.place);
        &self.tokens[..if self.asked.is_some() { open.min(self.before + 1) } else { open }]
    }

    /// Whether start tokens or a probability are still unknown.
    pub(crate) fn is_open(&self) -> bool {
        self.asked.is_some() || !self.open.is_empty()
    }

    /// The tokens to continue. Those that the model chooses have no meaning until it has chosen them.
    pub fn tokens(&self) -> &[u32] {
        &self.tokens
    }
}

pub(crate) fn no_tokens() -> Error {
    Error::Unsupported("the prompt has no tokens".to_string())
}

/// Checks that this many tokens fit into the context of a bundle.
///
/// # Errors
/// If they do not fit. `remedy` is advice for the message, besides compiling with a larger context.
pub(crate) fn check_fits(manifest: &Manifest, tokens: u64, remedy: &str) -> Result<(), Error> {
    let capacity = manifest.model.max_context;
    if tokens <= u64::from(capacity) {
        return Ok(());
    }
    let hint = format!(" of this bundle: {remedy} or compile with a larger --max-context");
    Err(Error::Context { wanted: tokens, capacity, hint })
}
