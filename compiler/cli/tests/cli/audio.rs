//! Audio on the command line.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::common::{Place, Raw, load, stories};

fn golden() -> PathBuf {
    stories().join("../../tests/goldens/wav2vec2/ctc_layer_norm")
}

/// A CTC model. Its letters are those of the alphabet, and 0 is the blank.
fn ctc(place: &Place) -> String {
    let model = place.at("ctc");
    std::fs::create_dir(&model).unwrap();
    for entry in std::fs::read_dir(golden().join("model")).unwrap().flatten() {
        std::fs::copy(entry.path(), model.join(entry.file_name())).unwrap();
    }
    let letters = (1..=26u8).map(|id| (char::from(b'a' + id - 1).to_string(), json!(id)));
    let table: serde_json::Map<String, Value> = letters.chain([("<pad>".to_string(), json!(0))]).collect();
    std::fs::write(model.join("vocab.json"), serde_json::to_vec(&table).unwrap()).unwrap();
    model.display().to_string()
}

/// The golden audio files and their transcripts.
fn waveforms() -> Vec<(Vec<f32>, String)> {
    let (inputs, outputs) =
        (load(&golden().join("main/inputs.safetensors")), load(&golden().join("main/outputs.safetensors")));
    let words = |all: &BTreeMap<String, Raw>, name: &str| -> Vec<i64> {
        all[name].2.chunks_exact(8).map(|b| i64::from_le_bytes(b.try_into().unwrap())).collect()
    };
    let (mask, ids, valid) =
        (words(&inputs, "attention_mask"), words(&outputs, "argmax_ids"), words(&outputs, "frame_mask"));
    let samples: Vec<f32> =
        inputs["input_values"].2.chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect();
    let rows = inputs["input_values"].1[0];
    let (width, frames) = (samples.len() / rows, ids.len() / rows);
    let row = |row: usize| {
        let count = mask[row * width..][..width].iter().sum::<i64>() as usize;
        let spoken = valid[row * frames..][..frames].iter().sum::<i64>() as usize;
        let mut said = ids[row * frames..][..spoken].to_vec();
        said.dedup();
        let letters = said.into_iter().filter(|id| *id != 0).map(|id| char::from(b'a' + id as u8 - 1));
        (samples[row * width..][..count].to_vec(), letters.collect())
    };
    (0..rows).map(row).collect()
}

/// A WAV file of 32-bit floats.
pub(crate) fn write_wav(path: &Path, rate: u32, channels: u16, samples: &[f32]) {
    let data: Vec<u8> = samples.iter().flat_map(|s| s.to_le_bytes()).collect();
    let size = data.len() as u32;
    let mut file = Vec::new();
    file.extend(b"RIFF");
    file.extend((36 + size).to_le_bytes());
    file.extend(b"WAVEfmt ");
    file.extend(16u32.to_le_bytes());
    file.extend(3u16.to_le_bytes());
    file.extend(channels.to_le_bytes());
    file.extend(rate.to_le_bytes());
    file.extend((rate * u32::from(channels) * 4).to_le_bytes());
    file.extend((channels * 4).to_le_bytes());
    file.extend(32u16.to_le_bytes());
    file.extend(b"data");
    file.extend(size.to_le_bytes());
    file.extend(data);
    std::fs::write(path, file).unwrap();
}

#[test]
fn audio_files_are_written_down() {
    let place = Place::new();
    let model = ctc(&place);
    let waveforms = waveforms();
    for (i, (samples, _)) in waveforms.iter().enumerate() {
        write_wav(&place.at(&format!("{i}.wav")), 16000, 1, samples);
    }
    let shown = place.run(&["run", &model, "--audio", "0.wav", "--backend", "wasm"]).ok();
    assert_eq!(shown, format!("{}\n", waveforms[0].1));

    // A program that writes to a pipe does not know the sizes, and a file may be truncated.
    let mut piped = std::fs::read(place.at("0.wav")).unwrap();
    [4, 40].into_iter().for_each(|at| piped[at..at + 4].fill(0xff));
    std::fs::write(place.at("piped.wav"), &piped).unwrap();
    let ran = place.run(&["run", &model, "--audio", "piped.wav", "--backend", "wasm"]);
    assert_eq!((ran.stdout.as_str(), ran.stderr.contains("warning")), (shown.as_str(), false));
    let whole = std::fs::read(place.at("0.wav")).unwrap();
    std::fs::write(place.at("cut.wav"), &whole[..whole.len() - 7]).unwrap();
    let ran = place.run(&["run", &model, "--audio", "cut.wav", "--backend", "wasm"]);
    let (count, left) = (waveforms[0].0.len(), waveforms[0].0.len() - 2);
    let warning = format!("warning: cut.wav: the audio file is truncated: it has only {left} of {count} samples");
    assert!(ran.code == 0 && ran.stderr.contains(&warning), "{}", ran.stderr);

    // The same samples on two channels give the same result as on one.
    let both: Vec<f32> = waveforms[1].0.iter().flat_map(|s| [*s, *s]).collect();
    write_wav(&place.at("stereo.wav"), 16000, 2, &both);
    let shown = place.run(&["run", &model, "--audio", "1.wav", "stereo.wav", "--json", "--backend", "wasm"]).ok();
    let text = &waveforms[1].1;
    let segments = json!([{ "start": 0.0, "end": waveforms[1].0.len() as f64 / 16000.0, "text": text }]);
    let expected = json!([
        { "input": "1.wav", "text": text, "segments": segments, "choices": {} },
        { "input": "stereo.wav", "text": text, "segments": segments, "choices": {} },
    ]);
    assert_eq!(serde_json::from_str::<Value>(&shown).unwrap(), expected);
    // Other sample rates work as well.
    write_wav(&place.at("slow.wav"), 8000, 1, &waveforms[0].0);
    place.run(&["run", &model, "--audio", "slow.wav", "--backend", "wasm"]).ok();
}

#[test]
fn what_is_no_audio_file_is_said_before_anything_is_compiled() {
    let place = Place::new();
    let model = ctc(&place);
    std::fs::write(place.at("note.txt"), "no audio file").unwrap();
    write_wav(&place.at("empty.wav"), 16000, 1, &[]);
    write_wav(&place.at("nan.wav"), 16000, 1, &[0.0, f32::NAN]);
    write_wav(&place.at("good.wav"), 16000, 1, &[0.5; 800]);
    let run = |more: &[&str], texts: &[&str]| {
        let args = [&["run", &model], more].concat();
        place.run(&args).fails(2, texts);
    };
    run(&["--audio", "nowhere.wav"], &["nowhere.wav: No such file"]);
    run(&["--audio", "note.txt"], &["note.txt: not an audio file: this is a text file; expected a WAV, FLAC, MP3"]);
    run(&["--audio", "empty.wav"], &["empty.wav: "]);
    run(&["--audio", "nan.wav"], &["nan.wav: sample 1 of the audio file is not a number"]);
    run(&["--audio", "good.wav", "--image", "cat.png"], &["cannot be used with"]);
    run(&["--prompt", "a", "--language", "de"], &["--language", "--audio"]);
    run(&["--audio", "good.wav", "good.wav", "--format", "srt"], &["--format: subtitles need exactly one audio file"]);
    run(&["--audio", "good.wav", "--format", "srt", "--json"], &["cannot be used with"]);
    run(&["--audio", "good.wav", "--timestamps", "letter"], &["segment, word"]);
    assert!(!place.at("cache").exists(), "nothing was compiled");
    run(&["--audio", "good.wav", "--prompt", "a"], &["takes no prompt"]);
    let stories = stories().display().to_string();
    place.run(&["run", &stories, "--audio", "good.wav"]).fails(2, &["--audio: this model does not transcribe"]);
}

#[test]
fn what_cannot_be_chosen_is_said() {
    let place = Place::new();
    write_wav(&place.at("good.wav"), 16000, 1, &[0.5; 800]);
    let writer = golden().join("../../whisper/published/model").display().to_string();
    let run = |model: &str, more: &[&str], texts: &[&str]| {
        let args = [&["run", model, "--audio", "good.wav", "--backend", "wasm"], more].concat();
        place.run(&args).fails(2, texts);
    };
    run(&writer, &["--language", "xx"], &["language", "one of de, en, fr", "xx"]);
    run(&writer, &["--task", "sing"], &["task", "one of transcribe, translate", "sing"]);
    run(&writer, &["--language", "de"], &["has no tokenizer.json"]);
    run(&writer, &["--timestamps"], &["timestamps: this model has no timestamp tokens", "no_timestamps_token_id"]);
    run(&ctc(&place), &["--task", "translate"], &["task: this model has no such choice"]);
}

/// A tokenizer with one word per token.
fn tokenizer(tokens: u32) -> String {
    let vocab: serde_json::Map<String, Value> = (0..tokens).map(|id| (format!("\u{120}w{id}"), id.into())).collect();
    let byte_level = json!({ "type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true });
    json!({
        "version": "1.0", "truncation": null, "padding": null, "normalizer": null, "post_processor": null,
        "added_tokens": [], "pre_tokenizer": byte_level, "decoder": byte_level,
        "model": { "type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": "",
                   "end_of_word_suffix": "", "fuse_unk": false, "vocab": vocab, "merges": [] }
    })
    .to_string()
}

#[test]
fn times_are_lines_or_subtitles() {
    let place = Place::new();
    let fixture = stories().join("../../tests/fixtures/timestamps");
    let model = place.at("timer");
    std::fs::create_dir(&model).unwrap();
    for entry in std::fs::read_dir(fixture.join("model")).unwrap().flatten() {
        std::fs::copy(entry.path(), model.join(entry.file_name())).unwrap();
    }
    std::fs::write(model.join("tokenizer.json"), tokenizer(162)).unwrap();
    let samples = &load(&fixture.join("recording.safetensors"))["waveform"].2;
    let samples: Vec<f32> = samples.chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect();
    write_wav(&place.at("speech.wav"), 16000, 1, &samples);
    let model = model.display().to_string();
    let said = |more: &[&str]| {
        let wish = ["--audio", "speech.wav", "--language", "de", "--max-new-tokens", "28", "--backend", "wasm"];
        place.run(&[&["run", &model], wish.as_slice(), more].concat()).ok()
    };
    // The first segments of `plain` in meta.json.
    let lines = "[00:00.100 --> 00:00.300] w56\n[00:00.400 --> 00:00.600] w56\n[00:00.600 --> 00:01.000] w96\n";
    assert!(said(&["--timestamps"]).starts_with(lines));
    let cues = "1\n00:00:00,100 --> 00:00:00,300\nw56\n\n2\n00:00:00,400 --> 00:00:00,600\nw56\n\n";
    assert!(said(&["--format", "srt"]).starts_with(cues));
    let all: Value = serde_json::from_str(&said(&["--format", "json", "--timestamps", "word"])).unwrap();
    assert_eq!(all[0]["segments"][1]["words"][0]["text"], " w56");
    assert!(all[0]["text"].as_str().unwrap().starts_with("w56 w56 w96"));
}
