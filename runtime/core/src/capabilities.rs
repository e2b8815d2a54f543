//! What a bundle can do, for programs that show it to users.

use gristmill_bundle::{EntryRole, Manifest, Task, TaskOutput};
use serde::Serialize;

use crate::task::{
    Kind, audio_input, compared_audio, takes_audio, takes_images, takes_texts, takes_videos, tasks, video_length,
};
use crate::transcribe::timestamps;

/// The file of a bundle with its tokenizer; without it, texts are token ids only.
const TOKENIZER: &str = "tokenizer.json";
/// The file of a bundle with its chat templates.
const TEMPLATE: &str = "chat_template.json";

/// A use of a bundle.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Capability {
    /// Continue conversations.
    Chat,
    /// Continue texts, or map one text to another.
    Generate,
    /// Embed texts.
    Embed,
    /// Classify images or texts.
    Classify,
    /// Find objects in images.
    Detect,
    /// Compare images, videos or audio files with texts.
    Compare,
    /// Transcribe audio files.
    Transcribe,
    /// Run on tensors, as every bundle can.
    Run,
}

impl Capability {
    /// The name in JSON: `chat`, `generate`, ...
    pub fn name(self) -> &'static str {
        match self {
            Capability::Chat => "chat",
            Capability::Generate => "generate",
            Capability::Embed => "embed",
            Capability::Classify => "classify",
            Capability::Detect => "detect",
            Capability::Compare => "compare",
            Capability::Transcribe => "transcribe",
            Capability::Run => "run",
        }
    }
}

/// A kind of input of a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Modality {
    /// Images.
    Image,
    /// Videos.
    Video,
    /// Texts.
    Text,
    /// Audio files.
    Audio,
}

/// The task of an entry, and what callers need to know about it.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TaskInfo {
    /// `classify`, `detect`, `compare`, `transcribe` or `generate`.
    pub kind: &'static str,
    /// The kinds of input.
    pub inputs: Vec<Modality>,
    /// The sample rate of audio inputs, in Hz.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate: Option<u32>,
    /// The number of frames of a video input.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub frames: Option<usize>,
    /// Seconds of audio that are encoded at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seconds: Option<f64>,
    /// The placeholder token of an image in a prompt.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token: Option<u32>,
    /// The placeholder text of an image in a prompt, if it is not that token alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub placeholder: Option<String>,
    /// Whether a transcript is generated token by token; otherwise it comes from CTC decoding.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub generates: Option<bool>,
    /// Whether a transcript can have timestamps.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timestamps: Option<bool>,
    /// The options of a transcript, such as its language.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub choices: Option<Vec<ChoiceInfo>>,
}

/// An option with a fixed set of values.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ChoiceInfo {
    /// Its name, such as `language`.
    pub name: String,
    /// The values.
    pub values: Vec<String>,
    /// The value if the caller gives none. Without a default, the model decides.
    pub default: Option<String>,
}

/// What a bundle can do, the most specific use first. Texts need a tokenizer, conversations a chat template.
pub fn capabilities(manifest: &Manifest) -> Vec<Capability> {
    let has = |role: EntryRole| manifest.entries.iter().any(|e| e.role == role);
    let text = manifest.files.contains_key(TOKENIZER);
    // Text that is generated from audio does not continue a prompt.
    let transcribes = tasks(manifest).any(|(_, task)| matches!(task.output, TaskOutput::Seq2Seq { .. }));
    let prompted = has(EntryRole::Decode) && !transcribes && text;
    let mut all = Vec::new();
    let mut add = |able: bool, what: Capability| {
        if able && !all.contains(&what) {
            all.push(what);
        }
    };
    add(prompted && manifest.files.contains_key(TEMPLATE), Capability::Chat);
    add(prompted, Capability::Generate);
    add(has(EntryRole::Embed) && text, Capability::Embed);
    for (_, task) in tasks(manifest) {
        let needs_text = takes_texts(task) || matches!(task.output, TaskOutput::Seq2Seq { .. });
        let what = match Kind::of(&task.output) {
            Kind::Classify => Capability::Classify,
            Kind::Detect => Capability::Detect,
            Kind::Compare => Capability::Compare,
            Kind::Transcribe => Capability::Transcribe,
            // Images in prompts. That the model generates text is listed already.
            Kind::Generate => continue,
        };
        add(text || !needs_text, what);
    }
    add(true, Capability::Run);
    all
}

/// The kinds of input of a task.
pub fn modalities(task: &Task) -> Vec<Modality> {
    let all = [
        (Modality::Image, takes_images(task)),
        (Modality::Video, takes_videos(task)),
        (Modality::Text, takes_texts(task)),
        (Modality::Audio, takes_audio(task)),
    ];
    all.into_iter().filter(|(_, yes)| *yes).map(|(modality, _)| modality).collect()
}

/// The kind of a task, and what callers need to know about it.
pub fn task_info(manifest: &Manifest, task: &Task) -> TaskInfo {
    let kind = Kind::of(&task.output);
    let mut info = TaskInfo {
        kind: kind.name(),
        inputs: modalities(task),
        rate: None,
        frames: video_length(manifest, task),
        seconds: None,
        token: None,
        placeholder: None,
        generates: None,
        timestamps: None,
        choices: None,
    };
    match kind {
        Kind::Transcribe => {
            if let Ok((how, most)) = audio_input(manifest) {
                info.rate = Some(how.rate);
                info.seconds = Some(most as f64 / f64::from(how.rate));
            }
            info.generates = Some(matches!(task.output, TaskOutput::Seq2Seq { .. }));
            info.timestamps = Some(timestamps(manifest).is_some());
            let choices = manifest.model.choices.iter().map(|c| ChoiceInfo {
                name: c.name.clone(),
                values: c.values.keys().cloned().collect(),
                default: c.default.clone(),
            });
            info.choices = Some(choices.collect());
        }
        Kind::Compare => info.rate = compared_audio(manifest).map(|how| how.rate),
        Kind::Generate | Kind::Classify | Kind::Detect => {}
    }
    if let TaskOutput::ImagePrompt { token, placeholder, .. } = &task.output {
        (info.token, info.placeholder) = (Some(*token), placeholder.clone());
    }
    info
}

#[cfg(test)]
mod tests {
    use gristmill_bundle::FileInfo;

    use super::*;
    use crate::testing::{decoder_manifest, encoder_manifest};

    #[test]
    fn texts_need_a_tokenizer_and_conversations_a_template() {
        let mut manifest = decoder_manifest();
        let file = FileInfo { sha256: String::new(), bytes: 0 };
        assert_eq!(capabilities(&manifest), [Capability::Run]);
        manifest.files.insert(TOKENIZER.to_string(), file.clone());
        assert_eq!(capabilities(&manifest), [Capability::Generate, Capability::Run]);
        manifest.files.insert(TEMPLATE.to_string(), file);
        assert_eq!(capabilities(&manifest), [Capability::Chat, Capability::Generate, Capability::Run]);
    }

    #[test]
    fn what_is_generated_from_audio_continues_no_prompt() {
        let mut manifest = encoder_manifest();
        let output = TaskOutput::Seq2Seq { features: 0, into: 0, timestamps: None };
        manifest.entries[0].task = Some(Task { inputs: Vec::new(), output });
        assert_eq!(capabilities(&manifest), [Capability::Run], "its text needs a tokenizer");
        manifest.files.insert(TOKENIZER.to_string(), FileInfo { sha256: String::new(), bytes: 0 });
        assert_eq!(capabilities(&manifest), [Capability::Transcribe, Capability::Run]);
    }

    #[test]
    fn names_are_those_of_json() {
        use Capability::{Chat, Classify, Compare, Detect, Embed, Generate, Run, Transcribe};
        for one in [Chat, Generate, Embed, Classify, Detect, Compare, Transcribe, Run] {
            assert_eq!(serde_json::to_value(one).unwrap(), one.name());
        }
    }
}
