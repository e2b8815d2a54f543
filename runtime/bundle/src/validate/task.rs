//! Checks that an entry can be used for its task.

use crate::manifest::{Advance, Elem, Entry, EntryRole, Manifest, Output};
use crate::size::Size;
use crate::task::{
    AudioInput, Cut, EncodedAudio, IMAGE_SYMBOLS, InputSource, TIMED_OUTPUTS, Task, TaskInput, TaskOutput, Timestamps,
};

/// Most inputs of a task.
const MAX_INPUTS: usize = 16;
/// Most names of classes, and the longest of them in bytes.
const MAX_LABELS: usize = 1 << 16;
const MAX_LABEL: usize = 1000;
/// Most samples per second.
const MAX_RATE: u32 = 1 << 20;

impl Manifest {
    /// Why a task cannot be; nothing if it can. The entry itself must be valid.
    pub(super) fn task_fault(&self, entry: &Entry, task: &Task) -> Option<String> {
        if task.inputs.is_empty() || task.inputs.len() > MAX_INPUTS {
            return Some(format!("a task takes 1 to {MAX_INPUTS} inputs, found {}", task.inputs.len()));
        }
        for (i, task_input) in task.inputs.iter().enumerate() {
            let again = task.inputs[..i].iter().any(|f| f.input == task_input.input);
            if again || !entry.inputs.contains(&task_input.input) {
                return Some(format!("input {} is not an input of the entry, or occurs twice", task_input.input));
            }
            let fault = self.input_fault(task_input);
            if fault.is_some() {
                return fault;
            }
        }
        // What shows images gets its prompt as well.
        let shows = matches!(task.output, TaskOutput::ImagePrompt { .. });
        let prompted = |i: u32| shows && self.inputs[i as usize].advance == Some(Advance::Token);
        let unfed = |i: &&u32| {
            task.inputs.iter().all(|f| f.input != **i) && self.inputs[**i as usize].default.is_none() && !prompted(**i)
        };
        if let Some(i) = entry.inputs.iter().find(unfed) {
            return Some(format!("input `{}` has neither a default nor a source", self.inputs[*i as usize].name));
        }
        if let TaskOutput::Seq2Seq { features, into, timestamps } = &task.output {
            let fault = timestamps.as_ref().and_then(|t| self.timestamps_fault(t));
            return fault.or_else(|| self.write_fault(entry, *features, *into));
        }
        if let TaskOutput::ImagePrompt { count, .. } = &task.output {
            return show_fault(entry, task, count);
        }
        output_fault(entry, &task.output)
    }

    /// Why an output cannot become an input of the entry that encodes.
    fn write_fault(&self, entry: &Entry, features: u32, into: u32) -> Option<String> {
        let encodes = |e: &&Entry| e.role == EntryRole::Encode && e.inputs.contains(&into);
        let fits = self.entries.iter().find(encodes).is_some_and(|_| {
            let input = &self.inputs[into as usize];
            entry.outputs.get(features as usize).is_some_and(|o| o.elem == Elem::F32 && input.elem == Elem::F32)
        });
        (!fits).then(|| format!("output {features} cannot become input {into} of an entry that encodes"))
    }

    /// Why times cannot be marked in that way.
    fn timestamps_fault(&self, timestamps: &Timestamps) -> Option<String> {
        let decoding = self.entries.iter().filter(|e| matches!(e.role, EntryRole::Prefill | EntryRole::Decode));
        let lacks = |name: &&&str| decoding.clone().any(|e| e.outputs.iter().all(|o| o.name != ***name));
        let lacking = TIMED_OUTPUTS.iter().find(lacks);
        let lacking = lacking.map(|name| format!("timestamps need the output `{name}` of the entries that decode"));
        lacking.or_else(|| timestamps.fault())
    }

    /// Why an entry cannot make an input with so many axes of audio files.
    fn encoded_audio_fault(&self, encoded: &EncodedAudio, axes: usize) -> Option<String> {
        let entry = self.entries.get(encoded.entry as usize);
        let fits = entry.is_some_and(|entry| {
            let takes = entry.inputs == [encoded.input] && entry.task.is_none() && entry.role == EntryRole::Tensors;
            let input = self.inputs.get(encoded.input as usize);
            let one = input.is_some_and(|i| i.elem == Elem::F32 && i.shape.len() == 2 && i.shape[0] == Size::Int(1));
            let output = entry.outputs.get(encoded.output as usize);
            let gives = |o: &Output| o.elem == Elem::F32 && o.shape.len() == axes && o.shape[0] == Size::Int(1);
            takes && one && output.is_some_and(gives)
        });
        (!fits).then(|| format!("entry {} has no input of {axes} axes for an audio file", encoded.entry))
    }

    fn input_fault(&self, task_input: &TaskInput) -> Option<String> {
        let input = &self.inputs[task_input.input as usize];
        let (elem, rank) = match &task_input.source {
            InputSource::Image(images) => {
                let fault = images.fault();
                if fault.is_some() {
                    return fault;
                }
                (Elem::F32, images.cut.axes())
            }
            InputSource::Frames(images) => {
                let fixed =
                    input.shape.get(1).and_then(Size::as_int).is_some_and(|n| n > 0 && n <= u64::from(u32::MAX));
                if images.cut != Cut::Whole || !fixed {
                    return Some(format!("input `{}` does not take a fixed number of whole images", input.name));
                }
                let fault = images.fault();
                if fault.is_some() {
                    return fault;
                }
                (Elem::F32, 5)
            }
            InputSource::Sizes(sizes) => {
                let wrong = sizes.iter().find_map(|size| size.resolve(&IMAGE_SYMBOLS).err());
                if let Some(wrong) = wrong {
                    return Some(wrong.to_string());
                }
                if input.shape.get(1).is_none_or(|n| *n != Size::from(sizes.len() as u64)) {
                    return Some(format!("input `{}` does not take {} numbers per image", input.name, sizes.len()));
                }
                (Elem::I32, 2)
            }
            InputSource::Audio(AudioInput { rate, .. })
            | InputSource::EncodedAudio(EncodedAudio { audio: AudioInput { rate, .. }, .. })
                if !(1..=MAX_RATE).contains(rate) =>
            {
                return Some(format!("{rate} samples per second; 1 to {MAX_RATE} are supported"));
            }
            InputSource::Audio(_) => (Elem::F32, 2),
            InputSource::EncodedAudio(encoded) => {
                let fault = self.encoded_audio_fault(encoded, input.shape.len());
                if fault.is_some() {
                    return fault;
                }
                (Elem::F32, input.shape.len())
            }
            InputSource::Text | InputSource::Mask => (Elem::I32, 2),
        };
        let fits = input.elem == elem && input.shape.len() == rank;
        (!fits).then(|| {
            format!("input `{}` has the wrong type for its source: it needs {elem:?} with {rank} axes", input.name)
        })
    }
}

/// Why an entry cannot show images.
fn show_fault(entry: &Entry, task: &Task, count: &Size) -> Option<String> {
    let images = task.inputs.iter().any(|f| matches!(f.source, InputSource::Image(_)));
    let other = |f: &TaskInput| !matches!(f.source, InputSource::Image(_) | InputSource::Sizes(_));
    if entry.role != EntryRole::Encode || !images || task.inputs.iter().any(other) {
        return Some("the entry of an image prompt must encode, and take images and their sizes".to_string());
    }
    count.resolve(&IMAGE_SYMBOLS).err().map(|e| e.to_string())
}

fn ctc_fault(entry: &Entry, tokens: u32, letters: &[String]) -> Option<String> {
    let fits = entry.outputs.get(tokens as usize).is_some_and(|o| o.elem == Elem::I32 && o.shape.len() == 2);
    if !fits {
        return Some(format!("output {tokens} does not exist, or is not i32 with 2 axes"));
    }
    label_fault(letters)
}

fn label_fault(labels: &[String]) -> Option<String> {
    let most = labels.len() > MAX_LABELS || labels.iter().any(|l| l.len() > MAX_LABEL);
    most.then(|| format!("at most {MAX_LABELS} class names of {MAX_LABEL} bytes are supported"))
}

/// Why these outputs cannot mean that.
fn output_fault(entry: &Entry, output: &TaskOutput) -> Option<String> {
    let (outputs, labels, extra) = match output {
        TaskOutput::Ctc { tokens, letters, .. } => {
            return ctc_fault(entry, *tokens, letters);
        }
        // Judged with the inputs.
        TaskOutput::Seq2Seq { .. } | TaskOutput::ImagePrompt { .. } => return None,
        TaskOutput::Classify { scores, labels, .. } => (vec![(*scores, 2)], labels.as_slice(), 0),
        TaskOutput::Detect { scores, boxes, labels } => (vec![(*scores, 3), (*boxes, 3)], labels.as_slice(), 1),
        TaskOutput::Compare { scores } => (vec![(*scores, 2)], [].as_slice(), 0),
    };
    for (index, rank) in &outputs {
        let Some(output) = entry.outputs.get(*index as usize) else {
            return Some(format!("output {index} does not exist"));
        };
        if output.elem != Elem::F32 || output.shape.len() != *rank {
            return Some(format!("output `{}` must be f32 with {rank} axes", output.name));
        }
    }
    let fault = label_fault(labels);
    if fault.is_some() {
        return fault;
    }
    // A size that is no number is found out when the model runs.
    let classes = entry.outputs[outputs[0].0 as usize].shape.last().and_then(Size::as_int);
    match classes {
        Some(n) if !labels.is_empty() && (labels.len() + extra) as u64 != n => {
            Some(format!("{} names for {} classes", labels.len(), n.saturating_sub(extra as u64)))
        }
        _ => None,
    }
}
