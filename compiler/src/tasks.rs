//! What entries are for, as it stands in the manifest.

use gristmill_bundle as bundle;
use gristmill_graph::{Answer, Model, Source, Task};

use crate::error::CompileError;
use crate::model_dir::{ModelDir, PREPROCESSOR};
use crate::pictures::pictures;

/// The task of an entry with these outputs; none if the model directory does not say how its inputs are made.
pub(crate) fn task(
    dir: &ModelDir,
    model: &Model,
    task: &Task,
    outputs: &[String],
) -> Result<Option<bundle::Task>, CompileError> {
    let mut takes = Vec::new();
    for feed in &task.takes {
        let source = match &feed.source {
            Source::Text => bundle::FeedSource::Text,
            Source::Mask => bundle::FeedSource::Mask,
            Source::Picture { settings } => {
                let read = pictures(&dir.preprocessor, settings);
                match read.map_err(|fault| CompileError::Config(format!("{PREPROCESSOR}: {fault}")))? {
                    Some(pictures) => bundle::FeedSource::Picture(pictures),
                    None => return Ok(None),
                }
            }
        };
        let input = model.inputs.iter().position(|i| i.name == feed.input);
        takes.push(bundle::Feed { input: index(input, &feed.input)?, source });
    }
    let output = |name: &String| index(outputs.iter().position(|o| o == name), name);
    let gives = match &task.gives {
        Answer::Classify { scores, labels, independent } => {
            bundle::Answer::Classify { scores: output(scores)?, labels: labels.clone(), independent: *independent }
        }
        Answer::Detect { scores, boxes, labels } => {
            bundle::Answer::Detect { scores: output(scores)?, boxes: output(boxes)?, labels: labels.clone() }
        }
        Answer::Compare { scores } => bundle::Answer::Compare { scores: output(scores)? },
    };
    Ok(Some(bundle::Task { takes, gives }))
}

/// Binding has checked that the name exists.
fn index(found: Option<usize>, name: &str) -> Result<u32, CompileError> {
    let found = found.and_then(|i| u32::try_from(i).ok());
    found.ok_or_else(|| CompileError::Internal(format!("a task names `{name}`, which does not exist")))
}
