//! Synthetic audio, and the files that speech models need besides weights.

use std::fs;
use std::path::Path;

use serde_json::{Map, Value, json};

use crate::models::Numbers;

/// Samples per second.
pub const RATE: u32 = 16_000;

/// Something like speech: gliding tones of varying loudness, with noise. `samples` samples of 16 bits.
pub fn waveform(samples: usize, seed: u64) -> Vec<i16> {
    let mut numbers = Numbers::new(seed);
    let (mut phase, mut pitch) = (0.0f64, 200.0f64);
    (0..samples)
        .map(|i| {
            if i % 1600 == 0 {
                pitch = 150.0 + 600.0 * f64::from(numbers.uniform()).abs();
            }
            let time = i as f64 / f64::from(RATE);
            phase += std::f64::consts::TAU * (pitch + 40.0 * (7.0 * time).sin()) / f64::from(RATE);
            let loudness = 0.3 + 0.25 * (19.0 * time).sin();
            let value = loudness * (phase.sin() + 0.5 * (3.0 * phase).sin()) + 0.02 * f64::from(numbers.normal());
            (value.clamp(-1.0, 1.0) * 32767.0).round() as i16
        })
        .collect()
}

/// The samples as floats, as audio decoders return them.
pub fn floats(samples: &[i16]) -> Vec<f32> {
    samples.iter().map(|s| f32::from(*s) / 32768.0).collect()
}

/// A WAV file of 16-bit samples on one channel.
pub fn wav(rate: u32, samples: &[i16]) -> Vec<u8> {
    let size = 2 * samples.len() as u32;
    let mut file = b"RIFF".to_vec();
    file.extend((36 + size).to_le_bytes());
    file.extend(b"WAVEfmt ");
    file.extend(16u32.to_le_bytes());
    file.extend([1u16, 1].iter().flat_map(|v| v.to_le_bytes()));
    file.extend([rate, 2 * rate].iter().flat_map(|v| v.to_le_bytes()));
    file.extend([2u16, 16].iter().flat_map(|v| v.to_le_bytes()));
    file.extend(b"data");
    file.extend(size.to_le_bytes());
    file.extend(samples.iter().flat_map(|s| s.to_le_bytes()));
    file
}

/// Copies a model directory.
pub fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a directory");
    for entry in fs::read_dir(from).expect("a model directory").flatten().filter(|e| e.path().is_file()) {
        fs::copy(entry.path(), to.join(entry.file_name())).expect("a copy");
    }
}

/// Writes `tokenizer.json` for this many tokens. Each is a word or the end of one, except for the `special` ones.
pub fn write_tokenizer(dir: &Path, tokens: u32, special: &[(u32, String)]) {
    let word = |id: u32| match special.iter().find(|(own, _)| *own == id) {
        Some((_, name)) => name.clone(),
        None if id.is_multiple_of(3) => format!("s{id}"),
        None => format!("\u{120}w{id}"),
    };
    let vocab: Map<String, Value> = (0..tokens).map(|id| (word(id), id.into())).collect();
    let added = |(id, name): &(u32, String)| {
        json!({ "id": id, "content": name, "special": true, "single_word": false, "lstrip": false, "rstrip": false,
                "normalized": false })
    };
    let byte_level = json!({ "type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true });
    let tokenizer = json!({
        "version": "1.0", "truncation": null, "padding": null, "normalizer": null, "post_processor": null,
        "added_tokens": special.iter().map(added).collect::<Vec<_>>(),
        "pre_tokenizer": byte_level, "decoder": byte_level,
        "model": { "type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": "",
                   "end_of_word_suffix": "", "fuse_unk": false, "vocab": vocab, "merges": [] }
    });
    fs::write(dir.join("tokenizer.json"), tokenizer.to_string()).expect("tokenizer.json");
}

/// Writes `vocab.json` of a CTC model: 0 is the blank, the others are the letters of the alphabet.
pub fn write_letters(dir: &Path) {
    let letters = (1..=26u8).map(|id| (char::from(b'a' + id - 1).to_string(), json!(id)));
    let table: Map<String, Value> = letters.chain([("<pad>".to_string(), json!(0))]).collect();
    fs::write(dir.join("vocab.json"), Value::Object(table).to_string()).expect("vocab.json");
}
