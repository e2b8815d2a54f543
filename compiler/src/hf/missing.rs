//! Files whose absence disables a task of a model, though the model itself works.

use gristmill_bundle::Manifest;
use gristmill_graph::{EntryRole, Model, Source, Task, TaskOutput};

use super::processors::{PREPROCESSOR, PROCESSOR};

/// The tokenizer file.
const TOKENIZER: &str = "tokenizer.json";

/// A sentence for each missing file: its name, and what does not work without it. `companions` are the names of the
/// bundle's small files. `gguf` says that the model is a GGUF file, which holds everything itself.
pub(crate) fn missing(model: &Model, manifest: &Manifest, companions: &[String], gguf: bool) -> Vec<String> {
    let mut notes = Vec::new();
    let says = |name: &str| companions.iter().any(|c| c == name);
    let tasks = || model.entries.iter().filter_map(|entry| entry.task.as_ref());
    let writes = model.entries.iter().any(|e| matches!(e.role, EntryRole::Prefill | EntryRole::Embed));
    let reads = tasks().any(|task| task.inputs.iter().any(|task_input| matches!(task_input.source, Source::Text)));
    if (writes || reads) && !says(TOKENIZER) {
        let lacks = match gguf {
            true => format!("the file has no tokenizer (metadata `{}`)", crate::gguf::TOKENIZER),
            false => format!("{TOKENIZER} is missing"),
        };
        notes.push(format!("{lacks}: text cannot be tokenized, so inputs and outputs are tensors only"));
    }
    let mut told = Vec::new();
    for (entry, task) in model.entries.iter().filter_map(|entry| Some((entry, entry.task.as_ref()?))) {
        let done = manifest.entries.iter().any(|e| e.name == entry.name && e.task.is_some());
        let sentence = lacking(task, &says);
        if !done && !told.contains(&sentence) {
            notes.push(sentence.clone());
            told.push(sentence);
        }
    }
    notes
}

/// The file that a task lacks.
fn lacking(task: &Task, has: &impl Fn(&str) -> bool) -> String {
    let from = task.inputs.iter().find_map(|task_input| match task_input.source {
        Source::Image { .. } => Some("images"),
        Source::Frames { .. } => Some("videos"),
        Source::Audio { .. } => Some("audio"),
        Source::Sizes(_) | Source::Text | Source::Mask => None,
    });
    let prepared = has(PREPROCESSOR) || has(PROCESSOR);
    match (from, &task.output) {
        (_, TaskOutput::Ctc { .. }) if prepared => {
            "vocab.json is missing: transcripts are token ids instead of text".to_string()
        }
        (Some(what), _) => {
            format!("{PREPROCESSOR} is missing or incomplete: {what} cannot be prepared, so inputs are tensors only")
        }
        (None, _) => {
            "a file that a task of the model needs is missing: inputs and outputs are tensors only".to_string()
        }
    }
}
