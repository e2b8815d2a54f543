//! What entries are for, as it stands in the manifest.

use gristmill_bundle as bundle;
use gristmill_graph::{Answer, Model, Source, Task};

use serde_json::{Map, Value};

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
            Source::Sound { settings } => match sounds(&dir.preprocessor, settings)? {
                Some(sounds) => bundle::FeedSource::Sound(sounds),
                None => return Ok(None),
            },
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
    let input = |name: &String| index(model.inputs.iter().position(|i| i.name == *name), name);
    let output = |name: &String| index(outputs.iter().position(|o| o == name), name);
    let gives = match &task.gives {
        Answer::Classify { scores, labels, independent } => {
            bundle::Answer::Classify { scores: output(scores)?, labels: labels.clone(), independent: *independent }
        }
        Answer::Detect { scores, boxes, labels } => {
            bundle::Answer::Detect { scores: output(scores)?, boxes: output(boxes)?, labels: labels.clone() }
        }
        Answer::Compare { scores } => bundle::Answer::Compare { scores: output(scores)? },
        Answer::Spell { tokens, blank } => {
            let Some(letters) = dir.letters()? else { return Ok(None) };
            bundle::Answer::Spell { tokens: output(tokens)?, blank: *blank, letters }
        }
        Answer::Write { features, into } => bundle::Answer::Write { features: output(features)?, into: input(into)? },
    };
    Ok(Some(bundle::Task { takes, gives }))
}

/// How recordings become samples: `sampling_rate` and `do_normalize` of a feature extractor of Hugging Face; none if
/// nothing says how many samples there are in a second.
fn sounds(file: &Value, settings: &Map<String, Value>) -> Result<Option<bundle::Sounds>, CompileError> {
    let find = |key: &str| [file.get(key), settings.get(key)].into_iter().flatten().find(|v| !v.is_null());
    let Some(rate) = find("sampling_rate") else { return Ok(None) };
    let whole = rate.as_u64().and_then(|r| u32::try_from(r).ok()).filter(|r| *r > 0);
    let rate = whole.ok_or_else(|| {
        CompileError::Config(format!(
            "{PREPROCESSOR}: sampling_rate: expected a number of samples per second, found {rate}"
        ))
    })?;
    let normalize = find("do_normalize").and_then(Value::as_bool).unwrap_or(false);
    Ok(Some(bundle::Sounds { rate, normalize }))
}

/// Binding has checked that the name exists.
fn index(found: Option<usize>, name: &str) -> Result<u32, CompileError> {
    let found = found.and_then(|i| u32::try_from(i).ok());
    found.ok_or_else(|| CompileError::Internal(format!("a task names `{name}`, which does not exist")))
}
