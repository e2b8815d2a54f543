//! Checks that an entry can be used for its task.

use crate::manifest::{Advance, Elem, Entry, EntryRole, Manifest, Output};
use crate::size::Size;
use crate::task::{Answer, AudioInput, Cut, Feed, FeedSource, Heard, IMAGE_SYMBOLS, TIMED_OUTPUTS, Task, Timestamps};

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
        if task.takes.is_empty() || task.takes.len() > MAX_INPUTS {
            return Some(format!("a task takes 1 to {MAX_INPUTS} inputs, found {}", task.takes.len()));
        }
        for (i, feed) in task.takes.iter().enumerate() {
            let again = task.takes[..i].iter().any(|f| f.input == feed.input);
            if again || !entry.inputs.contains(&feed.input) {
                return Some(format!("input {} is not one of the entry, or occurs twice", feed.input));
            }
            let fault = self.feed_fault(feed);
            if fault.is_some() {
                return fault;
            }
        }
        // What shows images gets its prompt as well.
        let shows = matches!(task.gives, Answer::Show { .. });
        let prompted = |i: u32| shows && self.inputs[i as usize].advance == Some(Advance::Token);
        let unfed = |i: &&u32| {
            task.takes.iter().all(|f| f.input != **i) && self.inputs[**i as usize].default.is_none() && !prompted(**i)
        };
        if let Some(i) = entry.inputs.iter().find(unfed) {
            return Some(format!(
                "input `{}` has no default, and nothing to be made from",
                self.inputs[*i as usize].name
            ));
        }
        if let Answer::Write { features, into, timestamps } = &task.gives {
            let fault = timestamps.as_ref().and_then(|t| self.timestamps_fault(t));
            return fault.or_else(|| self.write_fault(entry, *features, *into));
        }
        if let Answer::Show { count, .. } = &task.gives {
            return show_fault(entry, task, count);
        }
        answer_fault(entry, &task.gives)
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
    fn heard_fault(&self, heard: &Heard, axes: usize) -> Option<String> {
        let entry = self.entries.get(heard.entry as usize);
        let fits = entry.is_some_and(|entry| {
            let takes = entry.inputs == [heard.input] && entry.task.is_none() && entry.role == EntryRole::Tensors;
            let input = self.inputs.get(heard.input as usize);
            let one = input.is_some_and(|i| i.elem == Elem::F32 && i.shape.len() == 2 && i.shape[0] == Size::Int(1));
            let output = entry.outputs.get(heard.output as usize);
            let gives = |o: &Output| o.elem == Elem::F32 && o.shape.len() == axes && o.shape[0] == Size::Int(1);
            takes && one && output.is_some_and(gives)
        });
        (!fits).then(|| format!("entry {} makes no input of {axes} axes of one audio file", heard.entry))
    }

    fn feed_fault(&self, feed: &Feed) -> Option<String> {
        let input = &self.inputs[feed.input as usize];
        let (elem, rank) = match &feed.source {
            FeedSource::Image(images) => {
                let fault = images.fault();
                if fault.is_some() {
                    return fault;
                }
                (Elem::F32, images.cut.axes())
            }
            FeedSource::Frames(images) => {
                let fixed =
                    input.shape.get(1).and_then(Size::as_int).is_some_and(|n| n > 0 && n <= u64::from(u32::MAX));
                if images.cut != Cut::Whole || !fixed {
                    return Some(format!("input `{}` takes no fixed number of whole images", input.name));
                }
                let fault = images.fault();
                if fault.is_some() {
                    return fault;
                }
                (Elem::F32, 5)
            }
            FeedSource::Sizes(sizes) => {
                let wrong = sizes.iter().find_map(|size| size.resolve(&IMAGE_SYMBOLS).err());
                if let Some(wrong) = wrong {
                    return Some(wrong.to_string());
                }
                if input.shape.get(1).is_none_or(|n| *n != Size::from(sizes.len() as u64)) {
                    return Some(format!("input `{}` does not take {} numbers per image", input.name, sizes.len()));
                }
                (Elem::I32, 2)
            }
            FeedSource::Audio(AudioInput { rate, .. })
            | FeedSource::Heard(Heard { audio: AudioInput { rate, .. }, .. })
                if !(1..=MAX_RATE).contains(rate) =>
            {
                return Some(format!("{rate} samples per second; 1 to {MAX_RATE} are accepted"));
            }
            FeedSource::Audio(_) => (Elem::F32, 2),
            FeedSource::Heard(heard) => {
                let fault = self.heard_fault(heard, input.shape.len());
                if fault.is_some() {
                    return fault;
                }
                (Elem::F32, input.shape.len())
            }
            FeedSource::Text | FeedSource::Mask => (Elem::I32, 2),
        };
        let fits = input.elem == elem && input.shape.len() == rank;
        (!fits).then(|| format!("input `{}` cannot be made from that: it needs {elem:?} with {rank} axes", input.name))
    }
}

/// Why an entry cannot show images.
fn show_fault(entry: &Entry, task: &Task, count: &Size) -> Option<String> {
    let images = task.takes.iter().any(|f| matches!(f.source, FeedSource::Image(_)));
    let other = |f: &Feed| !matches!(f.source, FeedSource::Image(_) | FeedSource::Sizes(_));
    if entry.role != EntryRole::Encode || !images || task.takes.iter().any(other) {
        return Some("what shows images is an entry that encodes, and takes images and their sizes".to_string());
    }
    count.resolve(&IMAGE_SYMBOLS).err().map(|e| e.to_string())
}

fn spell_fault(entry: &Entry, tokens: u32, letters: &[String]) -> Option<String> {
    let fits = entry.outputs.get(tokens as usize).is_some_and(|o| o.elem == Elem::I32 && o.shape.len() == 2);
    if !fits {
        return Some(format!("output {tokens} does not exist, or is not i32 with 2 axes"));
    }
    label_fault(letters)
}

fn label_fault(labels: &[String]) -> Option<String> {
    let most = labels.len() > MAX_LABELS || labels.iter().any(|l| l.len() > MAX_LABEL);
    most.then(|| format!("at most {MAX_LABELS} names of classes of {MAX_LABEL} bytes are accepted"))
}

/// Why these outputs cannot mean that.
fn answer_fault(entry: &Entry, answer: &Answer) -> Option<String> {
    let (outputs, labels, extra) = match answer {
        Answer::Spell { tokens, letters, .. } => {
            return spell_fault(entry, *tokens, letters);
        }
        // Judged with the inputs.
        Answer::Write { .. } | Answer::Show { .. } => return None,
        Answer::Classify { scores, labels, .. } => (vec![(*scores, 2)], labels.as_slice(), 0),
        Answer::Detect { scores, boxes, labels } => (vec![(*scores, 3), (*boxes, 3)], labels.as_slice(), 1),
        Answer::Compare { scores } => (vec![(*scores, 2)], [].as_slice(), 0),
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
