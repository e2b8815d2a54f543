//! Audio: encoding, and CTC decoding.

use gristmill_bundle::{AudioInput, CLEAN_UP, Entry, InputSource, Manifest, Task, TaskOutput};

use super::entries::{Kind, begin, find};
use super::inputs::{TaskInputs, lengths, request, stacked};
use crate::audio::Audio;
use crate::backend::{Backend, Request, Tensor, Tensors, run};
use crate::choices::Start;
use crate::error::Error;
use crate::prompt::Prompt;

/// The result of encoding an audio file.
#[derive(Clone, Debug, PartialEq)]
pub enum AudioResult {
    /// The text.
    Text(String),
    /// A prompt whose continuation is the text.
    Prompt(Prompt),
}

/// How a model that transcribes takes audio, and the largest number of samples. An error if it takes none.
pub fn audio_input(manifest: &Manifest) -> Result<(AudioInput, usize), Error> {
    let (_, task) = find(manifest, Kind::Transcribe)?;
    let (how, _, most) = audio(manifest, task)?;
    Ok((how, most))
}

/// Encodes one audio file, which must not be longer than [`audio_input`] allows. `start` has the start tokens of the
/// text.
///
/// # Errors
/// If the model does not transcribe, the audio is too long, or a call fails.
pub async fn encode_audio(
    backend: &mut dyn Backend,
    manifest: &Manifest,
    audio: &Audio,
    start: &Start,
) -> Result<AudioResult, Error> {
    let (entry, task) = find(manifest, Kind::Transcribe)?;
    let request =
        request(manifest, entry, task, TaskInputs { audio: std::slice::from_ref(audio), ..TaskInputs::default() })?;
    begin(backend, manifest, 1).await?;
    match &task.output {
        TaskOutput::Ctc { tokens, blank, letters, clean_up } => {
            let output = entry.outputs[*tokens as usize].name.as_str();
            let outputs = run(backend, &request, &[output]).await?;
            let tokens = outputs.get(output).and_then(Tensor::as_i32).unwrap_or_default();
            Ok(AudioResult::Text(decode_ctc(tokens, *blank, letters, *clean_up)))
        }
        TaskOutput::Seq2Seq { features, into, timestamps: _ } => {
            let output = entry.outputs[*features as usize].name.as_str();
            let mut outputs = run(backend, &request, &[output]).await?;
            let features = outputs.remove(output).ok_or_else(|| missing(entry, output))?;
            let input = manifest.inputs[*into as usize].name.clone();
            Ok(AudioResult::Prompt(Prompt::given(start.clone(), Tensors::from([(input, features)]))))
        }
        TaskOutput::Classify { .. }
        | TaskOutput::Detect { .. }
        | TaskOutput::Compare { .. }
        | TaskOutput::ImagePrompt { .. } => Err(missing(entry, "text")),
    }
}

fn missing(entry: &Entry, what: &str) -> Error {
    Error::Backend(format!("entry `{}` returned no `{what}`", entry.name))
}

/// How a model takes the audio that it compares with texts; none if it compares something else.
pub fn compared_audio(manifest: &Manifest) -> Option<AudioInput> {
    let (_, task) = find(manifest, Kind::Compare).ok()?;
    audio(manifest, task).ok().map(|(how, _, _)| how)
}

/// The outputs of other entries for the audio files of this task, by the name of the input. Audio that is too long is
/// cut to its middle.
pub(super) async fn encode_all(
    backend: &mut dyn Backend,
    manifest: &Manifest,
    task: &Task,
    given: TaskInputs<'_>,
) -> Result<Tensors, Error> {
    let mut made = Tensors::new();
    for task_input in &task.inputs {
        let InputSource::EncodedAudio(how) = task_input.source else { continue };
        let target = &manifest.inputs[task_input.input as usize];
        if given.audio.is_empty() {
            let expected = "an audio file".to_string();
            return Err(Error::Input { name: target.name.clone(), expected, found: "none".to_string() });
        }
        let entry = &manifest.entries[how.entry as usize];
        let (input, output) = (&manifest.inputs[how.input as usize].name, &entry.outputs[how.output as usize].name);
        let (least, most) = lengths(manifest, how.input);
        let mut rows = Vec::new();
        for audio in given.audio {
            let samples = audio.tensor(&how.audio, least, most)?;
            let request = Request::new(&entry.name, &Tensors::from([(input.clone(), samples)]), 0);
            let mut outputs = run(backend, &request, &[output]).await?;
            rows.push(outputs.remove(output).ok_or_else(|| missing(entry, output))?);
        }
        made.insert(target.name.clone(), stacked(target, rows)?);
    }
    Ok(made)
}

/// How a task takes audio, and the smallest and largest number of samples.
pub(super) fn audio(manifest: &Manifest, task: &Task) -> Result<(AudioInput, usize, usize), Error> {
    let task_input = task.inputs.iter().find_map(|f| match f.source {
        InputSource::Audio(how) => Some((f.input, how)),
        InputSource::EncodedAudio(encoded) => Some((encoded.input, encoded.audio)),
        _ => None,
    });
    let (input, how) = task_input.ok_or_else(|| Error::Unsupported("this model takes no audio files".to_string()))?;
    let (least, most) = lengths(manifest, input);
    Ok((how, least, most))
}

/// CTC decoding: tokens to text. Repeated tokens collapse into one; then blanks are removed. `clean_up` removes spaces
/// before punctuation.
pub fn decode_ctc(tokens: &[i32], blank: u32, letters: &[String], clean_up: bool) -> String {
    let mut text = String::new();
    let mut last = None;
    for token in tokens {
        if last != Some(token) && i64::from(*token) != i64::from(blank) {
            text.push_str(usize::try_from(*token).ok().and_then(|t| letters.get(t)).map_or("", String::as_str));
        }
        last = Some(token);
    }
    let text = text.trim().to_string();
    if clean_up { CLEAN_UP.iter().fold(text, |text, (from, to)| text.replace(from, to)) } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spaces_in_front_of_punctuation_are_taken_away() {
        let letters = ["", "i do n't know , it 's ' so ' ."].map(String::from);
        assert_eq!(decode_ctc(&[1], 0, &letters, true), "i don't know, it's'so '.");
        assert_eq!(decode_ctc(&[1], 0, &letters, false), letters[1]);
    }

    #[test]
    fn repeated_letters_need_a_blank_between_them() {
        let letters = ["", " ", "H", "E", "L", "O"].map(String::from);
        let text = decode_ctc(&[0, 2, 2, 3, 4, 4, 0, 4, 5, 5, 1, 1, 2, 9, -1, 0], 0, &letters, false);
        assert_eq!(text, "HELLO H");
        assert_eq!(decode_ctc(&[], 0, &letters, false), "");
    }
}
