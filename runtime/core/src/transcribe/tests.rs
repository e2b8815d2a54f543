//! Windows, on a backend with scripted results.

use std::collections::VecDeque;

use gristmill_bundle::{AudioInput, Elem, Entry, EntryRole, Fill, Input, InputSource, Output, Size, Task, TaskInput};

use super::*;
use crate::backend::{Pending, Request, Tensor, Tensors, nothing_started};
use crate::speech::rules::tests::timestamps as marks;
use crate::testing::encoder_manifest;

/// A model that processes 4 seconds at once, in 8 time steps; tokens from 20 on are timestamps.
fn manifest(start: &[u32]) -> Manifest {
    let mut m = encoder_manifest();
    m.model.decoder_start_tokens = start.to_vec();
    m.model.eos_token_ids = vec![10];
    let size = |text: &str| text.parse::<Size>().expect("a size");
    let (samples, source) = (m.inputs.len() as u32, m.inputs.len() as u32 - 2);
    let shape = vec![size("1"), size("32")];
    m.inputs.push(Input {
        name: "samples".to_string(),
        elem: Elem::F32,
        shape,
        default: None,
        advance: None,
        below: None,
    });
    let audio = AudioInput { rate: 8, normalize: false, fill: Fill::Silence };
    let timestamps = Some(Timestamps { step: 4, ..marks() });
    m.entries.push(Entry {
        name: "features".to_string(),
        role: EntryRole::Tensors,
        bind: std::collections::BTreeMap::new(),
        inputs: vec![samples],
        outputs: vec![Output { name: "features".to_string(), elem: Elem::F32, shape: vec![size("1"), size("4")] }],
        states: vec![],
        components: vec![],
        task: Some(Task {
            inputs: vec![TaskInput { input: samples, source: InputSource::Audio(audio) }],
            output: TaskOutput::Seq2Seq { features: 0, into: source, timestamps },
        }),
    });
    m
}

/// The scripted result of a window: tokens, the log probability of each, and the probability of silence.
type Script = (Vec<u32>, f32, f32);

/// Decodes one scripted text after the other.
struct Scripted {
    scripts: VecDeque<Script>,
    now: Script,
    results: VecDeque<Tensors>,
    /// The tokens in the states.
    fed: Vec<i32>,
    /// The tokens before each text.
    prompts: Vec<Vec<i32>>,
    /// Number of start tokens.
    start: usize,
    calls: usize,
    /// The call that fails once, and whether it failed in the middle of a text.
    fails: Option<usize>,
    lost: bool,
}

impl Scripted {
    fn new(scripts: &[(&[u32], f32, f32)], start: usize) -> Self {
        let scripts = scripts.iter().map(|(tokens, p, silence)| (tokens.to_vec(), *p, *silence)).collect();
        let (now, results, fed, prompts) = ((vec![], 0.0, 0.0), VecDeque::new(), Vec::new(), Vec::new());
        Scripted { scripts, now, results, fed, prompts, start, calls: 0, fails: None, lost: false }
    }

    fn call(&mut self, request: &Request, want: &[&str]) -> Result<Tensors, Error> {
        self.calls += 1;
        let decodes = matches!(request.entry.as_str(), "prefill" | "decode");
        if self.fails == Some(self.calls) {
            self.lost = decodes;
            return Err(Error::Backend("lost".to_string()));
        }
        let float = |value: f32| Tensor::f32([1, 1], vec![value]);
        let named = |all: Vec<(&str, Tensor)>| all.into_iter().map(|(n, t)| (n.to_string(), t)).collect();
        if request.entry == "features" {
            return Ok(named(vec![("features", Tensor::f32([1, 4], vec![0.0; 4]))]));
        }
        if !decodes {
            if !std::mem::take(&mut self.lost) {
                self.now = self.scripts.pop_front().expect("as many texts as windows");
            }
            return Ok(Tensors::new());
        }
        self.fed.truncate(request.past as usize);
        self.fed.extend(request.inputs["input_ids"].as_i32().expect("ids"));
        if want == ["next_logits"] {
            // Two tokens are possible.
            let mut logits = vec![-1e9; 32];
            (logits[18], logits[1]) = (self.now.2.ln(), (1.0 - self.now.2).ln());
            return Ok(named(vec![("next_logits", Tensor::f32([1, 32], logits))]));
        }
        assert_eq!(want, gristmill_bundle::TIMED_OUTPUTS);
        let begin = self.fed.iter().position(|id| *id == 12).map_or(usize::MAX, |at| at + self.start);
        if self.fed.len() == begin {
            self.prompts.push(self.fed.clone());
        }
        // The result in the middle of a prompt is not used.
        let next = self.fed.len().checked_sub(begin).and_then(|at| self.now.0.get(at));
        let tokens = Tensor::i32([1, 1], vec![next.map_or(10, |token| *token as i32)]);
        Ok(named(vec![("timed_tokens", tokens), ("timed_logits", float(self.now.1)), ("timed_total", float(0.0))]))
    }
}

impl Backend for Scripted {
    fn describe(&self) -> String {
        "scripted".to_string()
    }

    fn begin(&mut self, _: u32, _: u32) -> Pending<'_, ()> {
        self.results.clear();
        Box::pin(std::future::ready(Ok(())))
    }

    fn start<'a>(&'a mut self, request: &'a Request, want: &'a [&'a str]) -> Pending<'a, ()> {
        let result = self.call(request, want).map(|outputs| self.results.push_back(outputs));
        Box::pin(std::future::ready(result))
    }

    fn finish(&mut self) -> Pending<'_, Tensors> {
        Box::pin(std::future::ready(self.results.pop_front().ok_or_else(nothing_started)))
    }
}

/// The transcript of this many seconds with these scripted texts; survives a device loss.
fn transcribed(seconds: usize, backend: &mut Scripted, manifest: &Manifest, stops: &[String]) -> Transcribed {
    let audio = Audio::new(8, vec![0.0; 8 * seconds]).unwrap();
    let text = |ids: &[u32]| Ok(ids.iter().map(|id| format!(" w{id}")).collect());
    let times = Some(Granularity::Segment);
    let made = Transcript::new(manifest, audio, &Choices::new(), times, text, &Options::default(), stops);
    let mut transcript = made.unwrap();
    let mut pieces = String::new();
    let mut callbacks =
        Callbacks { clock: &mut || 0.0, keep_going: &mut |_| true, piece: &mut |piece| pieces.push_str(piece) };
    let transcript = loop {
        match pollster::block_on(transcript.drive(backend, manifest, &mut callbacks)) {
            Ok(transcript) => break transcript,
            Err(e) => assert_eq!(e.to_string(), Error::Backend("lost".to_string()).to_string()),
        }
        transcript.rewind(manifest).unwrap();
    };
    assert_eq!(pieces, transcript.text);
    transcript
}

fn spoken(transcript: &Transcribed) -> Vec<(f64, f64, &str)> {
    transcript.segments.iter().map(|s| (s.start, s.end, s.text.as_str())).collect()
}

const GOOD: f32 = -0.1;

/// The scripted texts of 10 seconds.
const WINDOWS: [(&[u32], f32, f32); 4] = [
    (&[20, 1, 22, 22, 2, 26, 26, 3], GOOD, 0.0),
    (&[20, 3, 24], GOOD, 0.9),
    (&[20, 4, 25, 25, 5], GOOD, 0.0),
    (&[20, 6, 21], GOOD, 0.0),
];
const SPOKEN: [(f64, f64, &str); 5] =
    [(0.0, 1.0, "w1"), (1.0, 3.0, "w2"), (3.0, 5.0, "w3"), (7.0, 9.5, "w4"), (9.5, 10.0, "w6")];

#[test]
fn windows_follow_what_is_said() {
    let mut backend = Scripted::new(&WINDOWS, 2);
    let transcript = transcribed(10, &mut backend, &manifest(&[12, 13, 19]), &[]);
    assert_eq!(spoken(&transcript), SPOKEN);
    assert_eq!(transcript.text, "w1 w2 w3 w4 w6");
    assert_eq!(backend.prompts, [[12, 13]; 4], "the token for no times is left out");
    assert_eq!(transcript.segments[1].tokens, [2], "times are no text");

    // A single start token also gives the first token of the text.
    let single = manifest(&[12, 19]);
    let transcript = transcribed(10, &mut Scripted::new(&WINDOWS, 1), &single, &[]);
    assert_eq!(spoken(&transcript), SPOKEN);
}

#[test]
fn a_lost_device_changes_nothing() {
    let manifest = manifest(&[12, 13, 19]);
    let mut calm = Scripted::new(&WINDOWS, 2);
    transcribed(10, &mut calm, &manifest, &[]);
    for fails in (1..=calm.calls).step_by(3) {
        let mut backend = Scripted::new(&WINDOWS, 2);
        backend.fails = Some(fails);
        assert_eq!(spoken(&transcribed(10, &mut backend, &manifest, &[])), SPOKEN, "call {fails} fails");
    }
}

#[test]
fn what_is_doubtful_is_decoded_again() {
    let manifest = manifest(&[12, 13, 19]);
    let looping = [vec![20], [1, 2].repeat(25), vec![24]].concat();
    let run = |scripts: &[(&[u32], f32, f32)]| {
        let mut backend = Scripted::new(scripts, 2);
        let transcript = transcribed(4, &mut backend, &manifest, &[]);
        assert!(backend.scripts.is_empty(), "all were needed");
        transcript.text
    };
    assert_eq!(run(&[(&[20, 1, 24], -1.5, 0.1), (&[20, 2, 24], GOOD, 0.1)]), "w2");
    assert_eq!(run(&[(&looping, GOOD, 0.1), (&[20, 2, 24], GOOD, 0.1)]), "w2");
    let doubtful: [(&[u32], f32, f32); 3] =
        [(&looping, GOOD, 0.1), (&[20, 2, 24], -1.2, 0.1), (&[20, 3, 24], -2.0, 0.1)];
    assert_eq!(run(&doubtful), "w2", "of all that can be had the best");
    assert_eq!(run(&[(&[20, 1, 24], -1.5, 0.9)]), "", "nothing is said");
}

#[test]
fn a_window_may_continue_what_was_said() {
    let mut manifest = manifest(&[12, 13, 19]);
    for task in manifest.entries.iter_mut().filter_map(|e| e.task.as_mut()) {
        if let TaskOutput::Seq2Seq { timestamps: Some(timestamps), .. } = &mut task.output {
            timestamps.fallback.previous_text = true;
        }
    }
    let mut backend = Scripted::new(&WINDOWS, 2);
    assert_eq!(spoken(&transcribed(10, &mut backend, &manifest, &[])), SPOKEN);
    assert_eq!(backend.prompts[1], [17, 20, 1, 22, 22, 2, 26, 12, 13]);
}

#[test]
fn stop_texts_end_a_window() {
    let transcript = transcribed(10, &mut Scripted::new(&WINDOWS, 2), &manifest(&[12, 13, 19]), &["w2".to_string()]);
    assert_eq!(transcript.text, "w1 w3 w4 w6");
}

#[test]
fn parts_are_joined_by_one_space() {
    let mut text = Joined::default();
    let mut shown = String::new();
    let mut parts = Vec::new();
    for part in [[" Hello", " ", "there. "], ["", " ", "  "], ["  \n", " You", " all"], ["too", "", ""]] {
        part.iter().for_each(|piece| shown += &text.push(piece));
        parts.push(text.end());
    }
    assert_eq!(parts, ["Hello there.", "", "You all", "too"]);
    assert_eq!(shown, "Hello there. You all too");
    assert_eq!(text.all, shown);

    // Segments bring their own spaces.
    let mut text = Joined { spaced: false, ..Joined::default() };
    for part in [" One.", " Two.", "二。"] {
        text.push(part);
        text.end();
    }
    assert_eq!(text.all, "One. Two.二。");
}
