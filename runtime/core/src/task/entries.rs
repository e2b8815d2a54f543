//! The tasks of entries: their kinds and inputs.

use gristmill_bundle::{Entry, Input, InputSource, Manifest, Size, Task, TaskOutput};

use crate::backend::Backend;
use crate::error::Error;

/// A kind of [`TaskOutput`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// [`TaskOutput::Classify`].
    Classify,
    /// [`TaskOutput::Detect`].
    Detect,
    /// [`TaskOutput::Compare`].
    Compare,
    /// [`TaskOutput::Ctc`] or [`TaskOutput::Seq2Seq`].
    Transcribe,
    /// [`TaskOutput::ImagePrompt`].
    Generate,
}

impl Kind {
    /// The kind of an output.
    pub fn of(output: &TaskOutput) -> Self {
        match output {
            TaskOutput::Classify { .. } => Kind::Classify,
            TaskOutput::Detect { .. } => Kind::Detect,
            TaskOutput::Compare { .. } => Kind::Compare,
            TaskOutput::Ctc { .. } | TaskOutput::Seq2Seq { .. } => Kind::Transcribe,
            TaskOutput::ImagePrompt { .. } => Kind::Generate,
        }
    }

    /// The name: `classify`, `detect`, `compare`, `transcribe` or `generate`.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Classify => "classify",
            Kind::Detect => "detect",
            Kind::Compare => "compare",
            Kind::Transcribe => "transcribe",
            Kind::Generate => "generate",
        }
    }
}

/// Entries with tasks, and these tasks, in order.
pub fn tasks(manifest: &Manifest) -> impl Iterator<Item = (&Entry, &Task)> {
    manifest.entries.iter().filter_map(|e| e.task.as_ref().map(|t| (e, t)))
}

/// Whether a task takes images.
pub fn takes_images(task: &Task) -> bool {
    task.inputs.iter().any(|f| matches!(f.source, InputSource::Image(_)))
}

/// Whether a task takes videos.
pub fn takes_videos(task: &Task) -> bool {
    task.inputs.iter().any(|f| matches!(f.source, InputSource::Frames(_)))
}

/// The number of frames of a video that a task takes, if it takes videos.
pub fn video_length(manifest: &Manifest, task: &Task) -> Option<usize> {
    let task_input = task.inputs.iter().find(|f| matches!(f.source, InputSource::Frames(_)))?;
    Some(frame_count(manifest.inputs.get(task_input.input as usize)?))
}

/// Whether a task takes audio files.
pub fn takes_audio(task: &Task) -> bool {
    task.inputs.iter().any(|f| matches!(f.source, InputSource::Audio(_) | InputSource::EncodedAudio(_)))
}

/// Whether a task takes texts.
pub fn takes_texts(task: &Task) -> bool {
    task.inputs.iter().any(|f| matches!(f.source, InputSource::Text))
}

/// The first entry whose task is of this kind.
pub(super) fn find(manifest: &Manifest, kind: Kind) -> Result<(&Entry, &Task), Error> {
    tasks(manifest).find(|(_, t)| Kind::of(&t.output) == kind).ok_or_else(|| {
        let known: Vec<&str> = tasks(manifest).map(|(_, t)| Kind::of(&t.output).name()).collect();
        let known =
            if known.is_empty() { "its inputs and outputs are tensors only".to_string() } else { known.join(", ") };
        Error::Unsupported(format!("this model does not {}; it can {known}", kind.name()))
    })
}

/// Starts a session, if the model has states.
pub(super) async fn begin(backend: &mut dyn Backend, manifest: &Manifest, batch: u32) -> Result<(), Error> {
    if manifest.states.is_empty() { Ok(()) } else { backend.begin(batch, manifest.model.max_context).await }
}

/// The number of frames of a video that an input takes.
pub(super) fn frame_count(input: &Input) -> usize {
    input.shape.get(1).and_then(Size::as_int).map_or(1, |n| n as usize)
}
