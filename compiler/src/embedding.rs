//! How texts become embeddings, for the manifest.

use gristmill_bundle as bundle;
use gristmill_graph::{EntryRole, Model, Op};
use serde_json::Value;

use crate::error::CompileError;
use crate::hf::dir::ModelDir;
use crate::hf::sentence::MODULES;

/// The input that excludes tokens from pooling.
const POOLING_MASK: &str = "pooling_mask";

/// How texts become embeddings, if the model has an entry for them. Texts are truncated at the lowest of all limits.
pub(crate) fn embedding(
    dir: &ModelDir,
    model: &Model,
    max_context: u32,
) -> Result<Option<bundle::Embedding>, CompileError> {
    let Some(entry) = model.entries.iter().find(|e| e.role == EntryRole::Embed) else {
        return match dir.sentence.modules {
            Value::Null => Ok(None),
            _ => Err(CompileError::Config(format!(
                "{MODULES}: the architecture `{}` has no entry that embeds texts (role `Embed`)",
                model.architecture
            ))),
        };
    };
    let graph = model.entry_graph(entry, false);
    let read = |i: &usize| graph.nodes.iter().any(|n| matches!(n.op, Op::Input(input) if input as usize == *i));
    let inputs: Vec<usize> = (0..model.inputs.len()).filter(read).collect();
    // Its only required input is the tokens; their last axis is as long as the text.
    let tokens = inputs.iter().map(|i| &model.inputs[*i]).find(|i| i.default.is_none());
    let length = tokens.and_then(|input| input.shape.last()).map(ToString::to_string);
    let symbol = model.symbols.iter().find(|s| Some(&s.name) == length.as_ref());
    let own = symbol.and_then(|s| u32::try_from(s.max).ok());
    let limits = [own, dir.sentence.max_tokens, Some(max_context)];
    Ok(Some(bundle::Embedding {
        max_tokens: limits.into_iter().flatten().min().unwrap_or(max_context),
        prompts: dir.sentence.prompts.clone(),
        default_prompt: dir.sentence.default_prompt.clone(),
        pooling_mask: inputs.iter().find(|i| model.inputs[**i].name == POOLING_MASK).map(|i| *i as u32),
        similarity: dir.sentence.similarity,
    }))
}
