//! The tasks of entries, for the manifest.

use gristmill_bundle as bundle;
use gristmill_graph::{Cut, Fit, Model, Op, Source, Task, TaskOutput};

use serde_json::{Map, Value};

use crate::entries::EntryPlan;
use crate::error::CompileError;
use crate::hf::ctc::Ctc;
use crate::hf::dir::ModelDir;
use crate::hf::images::images;
use crate::hf::processors::Settings;
use crate::hf::timestamps::timestamps;

/// The task of an entry, which is one of `all`; `None` if the model directory does not say how its inputs are prepared.
pub(crate) fn task(
    dir: &ModelDir,
    model: &Model,
    task: &Task,
    plan: &EntryPlan,
    all: &[EntryPlan],
) -> Result<Option<bundle::Task>, CompileError> {
    let mut inputs = Vec::new();
    let model_type = dir.config["model_type"].as_str();
    for task_input in &task.inputs {
        let source = match &task_input.source {
            Source::Text => bundle::InputSource::Text,
            Source::Mask => bundle::InputSource::Mask,
            Source::Audio { settings, through } => match (audio(dir.processors.audio(), settings)?, through) {
                (None, _) => return Ok(None),
                (Some(audio), None) => bundle::InputSource::Audio(audio),
                (Some(audio), Some(name)) => bundle::InputSource::EncodedAudio(encoded(model, audio, name, all)?),
            },
            Source::Image { settings, fit, cut } => {
                match prepared(dir.processors.image(), model_type, settings, fit.as_ref(), *cut)? {
                    Some(images) => bundle::InputSource::Image(images),
                    None => return Ok(None),
                }
            }
            Source::Frames { settings } => {
                match prepared(dir.processors.video(), model_type, settings, None, Cut::Whole)? {
                    Some(images) => bundle::InputSource::Frames(images),
                    None => return Ok(None),
                }
            }
            Source::Sizes(sizes) => {
                bundle::InputSource::Sizes(sizes.iter().map(|s| size(s)).collect::<Result<_, CompileError>>()?)
            }
        };
        let input = model.inputs.iter().position(|i| i.name == task_input.input);
        inputs.push(bundle::TaskInput { input: index(input, &task_input.input)?, source });
    }
    let input = |name: &String| index(model.inputs.iter().position(|i| i.name == *name), name);
    let output = |name: &String| index(plan.outputs.iter().position(|o| o == name), name);
    let meaning = match &task.output {
        TaskOutput::Classify { scores, labels, independent } => {
            bundle::TaskOutput::Classify { scores: output(scores)?, labels: labels.clone(), independent: *independent }
        }
        TaskOutput::Detect { scores, boxes, labels } => {
            bundle::TaskOutput::Detect { scores: output(scores)?, boxes: output(boxes)?, labels: labels.clone() }
        }
        TaskOutput::Compare { scores } => bundle::TaskOutput::Compare { scores: output(scores)? },
        TaskOutput::Ctc { tokens, blank } => {
            let Some(Ctc { letters, blank: own, clean_up }) = dir.ctc()? else { return Ok(None) };
            bundle::TaskOutput::Ctc { tokens: output(tokens)?, blank: own.unwrap_or(*blank), letters, clean_up }
        }
        TaskOutput::ImagePrompt { token, count, placeholder } => {
            bundle::TaskOutput::ImagePrompt { token: *token, count: size(count)?, placeholder: placeholder.clone() }
        }
        TaskOutput::Seq2Seq { features, into, step } => {
            let timestamps = step.filter(|_| marks_times(model)).map(|step| timestamps(step, dir)).transpose()?;
            bundle::TaskOutput::Seq2Seq {
                features: output(features)?,
                into: input(into)?,
                timestamps: timestamps.flatten(),
            }
        }
    };
    Ok(Some(bundle::Task { inputs, output: meaning }))
}

/// Whether the decoder can output timestamps.
fn marks_times(model: &Model) -> bool {
    bundle::TIMED_OUTPUTS.iter().all(|name| model.graph.outputs.contains_key(*name))
}

/// How the entry `name` encodes audio: its only input becomes its first output.
fn encoded(
    model: &Model,
    audio: bundle::AudioInput,
    name: &str,
    all: &[EntryPlan],
) -> Result<bundle::EncodedAudio, CompileError> {
    let entry = index(all.iter().position(|plan| plan.name == *name), name)?;
    let graph = model.entry_graph(&model.entries[all[entry as usize].entry], false);
    let mut inputs = graph.nodes.iter().filter_map(|node| if let Op::Input(i) = node.op { Some(i) } else { None });
    let input = inputs.next().ok_or_else(|| {
        CompileError::Config(format!("the entry `{name}` takes no input, but its task encodes audio"))
    })?;
    Ok(bundle::EncodedAudio { audio, entry, input, output: 0 })
}

/// How images are prepared; `None` if there are no settings.
fn prepared(
    own: Settings<'_>,
    model_type: Option<&str>,
    settings: &Map<String, Value>,
    fit: Option<&Fit>,
    cut: Cut,
) -> Result<Option<bundle::Images>, CompileError> {
    images(own.values, model_type, settings, fit, cut)
        .map_err(|fault| CompileError::Config(format!("{}: {fault}", own.source)))
}

/// Parses a size that depends on the dimensions of an image.
fn size(text: &str) -> Result<bundle::Size, CompileError> {
    let read = || {
        let size: bundle::Size = text.parse()?;
        size.resolve(&bundle::IMAGE_SYMBOLS)?;
        Ok(size)
    };
    read().map_err(|e: bundle::size::SizeError| {
        let known = bundle::IMAGE_SYMBOLS.join(", ");
        CompileError::Config(format!("the architecture counts by {e}; known sizes of an image are {known}"))
    })
}

/// How audio becomes samples: `sampling_rate`, `do_normalize` and `padding` of a Hugging Face feature extractor; `None`
/// if the sampling rate is unknown.
fn audio(own: Settings<'_>, settings: &Map<String, Value>) -> Result<Option<bundle::AudioInput>, CompileError> {
    let find = |key: &str| [own.values.get(key), settings.get(key)].into_iter().flatten().find(|v| !v.is_null());
    let Some(rate) = find("sampling_rate") else { return Ok(None) };
    let whole = rate.as_u64().and_then(|r| u32::try_from(r).ok()).filter(|r| *r > 0);
    let rate = whole.ok_or_else(|| {
        CompileError::Config(format!(
            "{}: sampling_rate: expected a number of samples per second, found {rate}",
            own.source
        ))
    })?;
    let normalize = match find("do_normalize") {
        None => false,
        Some(Value::Bool(yes)) => *yes,
        Some(other) => {
            let fault = format!("{}: do_normalize: expected true or false, found {other}", own.source);
            return Err(CompileError::Config(fault));
        }
    };
    let fill = match find("padding").map(|v| v.as_str().ok_or(v)) {
        None | Some(Ok("pad")) => bundle::Fill::Silence,
        Some(Ok("repeatpad")) => bundle::Fill::Repeat,
        Some(Ok("repeat")) => bundle::Fill::Cycle,
        // In feature extractors for speech, this setting is about padding batches, which is something else.
        Some(_) => bundle::Fill::Silence,
    };
    Ok(Some(bundle::AudioInput { rate, normalize, fill }))
}

/// Binding has checked that the name exists.
fn index(found: Option<usize>, name: &str) -> Result<u32, CompileError> {
    let found = found.and_then(|i| u32::try_from(i).ok());
    found.ok_or_else(|| CompileError::Internal(format!("a task names `{name}`, which does not exist")))
}
