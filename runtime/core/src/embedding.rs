//! Embeds texts: the prompts before them, and the call for their tokens.

use gristmill_bundle::{Embedding, Entry, EntryRole, Manifest};

use crate::backend::{Request, Tensor, Tensors};
use crate::call::names;
use crate::error::Error;
use crate::gather::gather;

/// The entry of a model that embeds texts.
#[derive(Clone, Copy, Debug)]
pub struct Embedder<'m> {
    manifest: &'m Manifest,
    entry: &'m Entry,
    input: &'m str,
    output: &'m str,
}

impl<'m> Embedder<'m> {
    /// The embedding entry of a model.
    ///
    /// # Errors
    /// [`Error::Unsupported`] if the model has none.
    pub fn of(manifest: &'m Manifest) -> Result<Self, Error> {
        let entry = manifest.entries.iter().find(|e| e.role == EntryRole::Embed);
        let input = |e: &Entry| e.inputs.iter().map(|i| &manifest.inputs[*i as usize]).find(|i| i.default.is_none());
        let parts = entry.and_then(|e| Some((e, input(e)?.name.as_str(), e.outputs.first()?.name.as_str())));
        let (entry, input, output) =
            parts.ok_or_else(|| Error::Unsupported("this model does not embed text".into()))?;
        Ok(Embedder { manifest, entry, input, output })
    }

    /// The name of the output with the embedding, f32 `[1, size]`.
    pub fn output(&self) -> &'m str {
        self.output
    }

    /// The largest number of tokens of a text, with its prompt and special tokens.
    pub fn max_tokens(&self) -> usize {
        self.settings().map_or(self.manifest.model.max_context, |s| s.max_tokens) as usize
    }

    /// The prompt with this name, which is prepended to texts; without a name, the default prompt, which is often
    /// empty.
    ///
    /// # Errors
    /// [`Error::Unsupported`] if there is no such prompt; it lists the names.
    pub fn prompt(&self, name: Option<&str>) -> Result<&'m str, Error> {
        let Some(settings) = self.settings() else {
            return name.map_or(Ok(""), |name| Err(unknown(name, "none".to_string())));
        };
        match name.or(settings.default_prompt.as_deref()) {
            None => Ok(""),
            Some(name) => match settings.prompts.get(name) {
                Some(text) => Ok(text),
                None => Err(unknown(name, names(settings.prompts.keys()))),
            },
        }
    }

    /// Whether pooling leaves out the tokens of a prompt, so that [`Embedder::request`] needs their number.
    pub fn leaves_out_prompt(&self) -> bool {
        self.settings().is_some_and(|s| s.pooling_mask.is_some())
    }

    /// The call for the token ids of a text. The first `prompt_tokens` of them belong to the prompt.
    pub fn request(&self, ids: &[u32], prompt_tokens: usize) -> Request {
        let row = |values: Vec<i32>| Tensor::i32([1, ids.len()], values);
        let mut inputs: Tensors = gather([(self.input.to_string(), row(ids.iter().map(|id| *id as i32).collect()))]);
        if let Some(mask) = self.settings().and_then(|s| s.pooling_mask) {
            let counts = (0..ids.len()).map(|i| i32::from(i >= prompt_tokens)).collect();
            inputs.insert(self.manifest.inputs[mask as usize].name.clone(), row(counts));
        }
        Request::new(&self.entry.name, &inputs, 0)
    }

    fn settings(&self) -> Option<&'m Embedding> {
        self.manifest.model.embedding.as_ref()
    }
}

fn unknown(name: &str, known: String) -> Error {
    Error::Unsupported(format!("this model has no prompt `{name}`; it has {known}"))
}

#[cfg(feature = "tokenizer")]
impl Embedder<'_> {
    /// The call for a text after a prompt, truncated to [`Embedder::max_tokens`]. Pooling leaves out the tokens of the
    /// prompt if the model does so.
    ///
    /// # Errors
    /// If the tokenizer fails.
    pub fn text(&self, tokenizer: &crate::tokenizer::Tokenizer, prompt: &str, text: &str) -> Result<Request, Error> {
        let most = self.max_tokens();
        let ids = tokenizer.encode_within(&format!("{prompt}{text}"), true, most)?;
        let before = match self.leaves_out_prompt() && !prompt.is_empty() {
            true => tokenizer.prompt_tokens(prompt, most)?,
            false => 0,
        };
        Ok(self.request(&ids, before))
    }
}
