//! Texts that a model classifies, or compares with other inputs.

use gristmill_bundle::Bundle;
use gristmill_runtime::blocking;
use gristmill_runtime::task::TaskInputs;
use gristmill_runtime::tokenizer::Tokenizer;

use super::show;
use crate::args::RunArgs;
use crate::backend::Loaded;
use crate::failure::{Failure, Outcome};

/// The token ids of the texts that items are compared with.
pub(super) fn texts(bundle: &Bundle, prompts: &[String], items: &str) -> Outcome<Vec<Vec<u32>>> {
    if prompts.is_empty() {
        return Err(Failure::wrong(format!(
            "this model compares {items} with texts: add --labels \"a cat,a dog\", or --prompt for each"
        )));
    }
    let tokenizer = Tokenizer::from_bundle(bundle)?;
    Ok(prompts.iter().map(|text| tokenizer.encode(text, true)).collect::<Result<_, _>>()?)
}

/// Prints the class of a text.
pub(super) fn classify_text(args: &RunArgs, mut loaded: Loaded, text: &str, ids: Vec<u32>) -> Outcome {
    let texts = [ids];
    let given = TaskInputs { texts: &texts, ..TaskInputs::default() };
    let scores = blocking::classify(loaded.backend.as_mut(), loaded.bundle.manifest(), given)?;
    show::classes(args, &[text.to_string()], &scores)
}
