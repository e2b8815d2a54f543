//! Checks the settings of the entry that embeds.

use crate::manifest::{Elem, EntryRole, Manifest};

/// Most prompts, and the longest of them with its name in bytes.
const MAX_PROMPTS: usize = 10_000;
const MAX_PROMPT: usize = 1 << 20;

impl Manifest {
    /// What is wrong with the settings of the entry that embeds, if anything.
    pub(super) fn embedding_fault(&self) -> Option<String> {
        let embedding = self.model.embedding.as_ref()?;
        let Some(entry) = self.entries.iter().find(|e| e.role == EntryRole::Embed) else {
            return Some("no entry embeds texts".to_string());
        };
        if embedding.max_tokens == 0 {
            return Some("max_tokens must not be 0".to_string());
        }
        if embedding.prompts.len() > MAX_PROMPTS {
            return Some(format!("{} prompts; at most {MAX_PROMPTS} are supported", embedding.prompts.len()));
        }
        if embedding.prompts.iter().any(|(name, text)| name.len() + text.len() > MAX_PROMPT) {
            return Some(format!("a prompt with its name is longer than {MAX_PROMPT} bytes"));
        }
        if embedding.default_prompt.as_ref().is_some_and(|name| !embedding.prompts.contains_key(name)) {
            return Some("the default prompt is not one of the prompts".to_string());
        }
        let index = embedding.pooling_mask?;
        let input = self.inputs.get(index as usize).filter(|_| entry.inputs.contains(&index));
        let fits = input.is_some_and(|i| i.elem == Elem::I32 && i.shape.len() == 2 && i.default.is_some());
        (!fits).then(|| format!("input {index} is not a mask of the entry `{}`", entry.name))
    }
}
