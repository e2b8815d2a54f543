//! Entries and their tasks: of which kinds they are, and what they take.

use gristmill_bundle::{Answer, Entry, FeedSource, Input, Manifest, Size, Task};

use crate::backend::Backend;
use crate::error::Error;

/// A kind of [`Answer`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// [`Answer::Classify`].
    Classify,
    /// [`Answer::Detect`].
    Detect,
    /// [`Answer::Compare`].
    Compare,
    /// [`Answer::Spell`] or [`Answer::Write`].
    Transcribe,
    /// [`Answer::Show`].
    Generate,
}

impl Kind {
    /// The kind of an answer.
    pub fn of(answer: &Answer) -> Self {
        match answer {
            Answer::Classify { .. } => Kind::Classify,
            Answer::Detect { .. } => Kind::Detect,
            Answer::Compare { .. } => Kind::Compare,
            Answer::Spell { .. } | Answer::Write { .. } => Kind::Transcribe,
            Answer::Show { .. } => Kind::Generate,
        }
    }

    /// `classify`, `detect`, `compare`, `transcribe`, `generate`.
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

/// Entries with their tasks, in their order.
pub fn tasks(manifest: &Manifest) -> impl Iterator<Item = (&Entry, &Task)> {
    manifest.entries.iter().filter_map(|e| e.task.as_ref().map(|t| (e, t)))
}

/// Whether a task takes images.
pub fn takes_images(task: &Task) -> bool {
    task.takes.iter().any(|f| matches!(f.source, FeedSource::Image(_)))
}

/// Whether a task takes videos.
pub fn takes_videos(task: &Task) -> bool {
    task.takes.iter().any(|f| matches!(f.source, FeedSource::Frames(_)))
}

/// How many images of a video a task looks at, if it takes videos.
pub fn video_length(manifest: &Manifest, task: &Task) -> Option<usize> {
    let feed = task.takes.iter().find(|f| matches!(f.source, FeedSource::Frames(_)))?;
    Some(frame_count(manifest.inputs.get(feed.input as usize)?))
}

/// Whether a task takes audio files.
pub fn takes_audio(task: &Task) -> bool {
    task.takes.iter().any(|f| matches!(f.source, FeedSource::Audio(_) | FeedSource::Heard(_)))
}

/// Whether a task takes texts.
pub fn takes_texts(task: &Task) -> bool {
    task.takes.iter().any(|f| matches!(f.source, FeedSource::Text))
}

/// The first entry whose task is of this kind.
pub(super) fn find(manifest: &Manifest, kind: Kind) -> Result<(&Entry, &Task), Error> {
    tasks(manifest).find(|(_, t)| Kind::of(&t.gives) == kind).ok_or_else(|| {
        let known: Vec<&str> = tasks(manifest).map(|(_, t)| Kind::of(&t.gives).name()).collect();
        let known = if known.is_empty() { "it takes tensors only".to_string() } else { known.join(", ") };
        Error::Unsupported(format!("this model does not {}; what it does: {known}", kind.name()))
    })
}

/// Begins with empty states, if there are any.
pub(super) async fn begin(backend: &mut dyn Backend, manifest: &Manifest, batch: u32) -> Result<(), Error> {
    if manifest.states.is_empty() { Ok(()) } else { backend.begin(batch, manifest.model.max_context).await }
}

/// How many images of a video an input takes.
pub(super) fn frame_count(input: &Input) -> usize {
    input.shape.get(1).and_then(Size::as_int).map_or(1, |n| n as usize)
}
