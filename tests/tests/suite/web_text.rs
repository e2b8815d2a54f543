//! The page has a tokenizer of its own, written in TypeScript, and runs chat templates as WebAssembly. Both sides are
//! compared with the same files of expected ids and texts: the page in `tokenizer.test.ts` and `template.test.ts`
//! (`runtime/web/test`), native code here. `UPDATE=1` writes the file of ids; review the difference. The texts come
//! from Jinja in Python.

use std::fmt::Write as _;
use std::path::PathBuf;

use gristmill_compiler::hf::files::Files;
use gristmill_compiler::hf::tokenizer::tokenizer;
use gristmill_runtime::tokenizer::Tokenizer;
use serde_json::{Value, json};

/// The limit given to `encode_within`.
const ROOM: usize = 5;

fn fixtures() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../runtime/web/test/fixtures")
}

/// One line of the file: a text, and everything that a tokenizer computes from it.
fn row(tokenizer: &Tokenizer, text: &str) -> String {
    let ids = tokenizer.encode(text, false).unwrap();
    let special = tokenizer.encode(text, true).unwrap();
    let within = tokenizer.encode_within(text, true, ROOM).unwrap();
    let decoded = tokenizer.decode(&special).unwrap();
    let (text, decoded) = (json!(text), json!(decoded));
    let (ids, special, within) = (json!(ids), json!(special), json!(within));
    format!(r#"{{"text":{text},"ids":{ids},"special":{special},"within5":{within},"decoded":{decoded}}}"#)
}

#[test]
fn token_ids_are_those_the_page_is_held_to() {
    let path = fixtures().join("token_ids.json");
    let expected = std::fs::read_to_string(&path).unwrap();
    let cases: Vec<Value> = serde_json::from_str(&expected).unwrap();
    assert!(cases.len() >= 8, "{} tokenizers", cases.len());
    let mut found = String::from("[");
    for (at, case) in cases.iter().enumerate() {
        let file = case["file"].as_str().unwrap();
        let content = std::fs::read(fixtures().join(file)).unwrap();
        let tokenizer = Tokenizer::from_bytes(&content).unwrap();
        let rows = case["rows"].as_array().unwrap();
        let lines: Vec<String> = rows.iter().map(|r| row(&tokenizer, r["text"].as_str().unwrap())).collect();
        let comma = if at == 0 { "" } else { "," };
        let lines = lines.join(",\n      ");
        write!(found, "{comma}\n  {{\n    \"file\": {},\n    \"rows\": [\n      {lines}\n    ]\n  }}", case["file"])
            .unwrap();
    }
    found += "\n]\n";
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, &found).unwrap();
        return;
    }
    let found: Vec<Value> = serde_json::from_str(&found).unwrap();
    for (case, found) in cases.iter().zip(&found) {
        let pairs = case["rows"].as_array().unwrap().iter().zip(found["rows"].as_array().unwrap());
        for (expect, row) in pairs {
            assert_eq!(expect, row, "{}", case["file"]);
        }
    }
}

/// Directories with settings of many kinds, and the results of transformers for texts. `tests/tokenizers/settings.py`
/// writes the file.
#[test]
fn settings_of_directories_are_folded() {
    let fixture: Value = serde_json::from_str(include_str!("tokenizers.json")).unwrap();
    let cases = fixture["cases"].as_array().unwrap();
    assert!(cases.len() >= 60, "{} directories", cases.len());
    for case in cases {
        let name = case["name"].as_str().unwrap();
        let dir = tempfile::tempdir().unwrap();
        let mut config = Value::Null;
        for (file, index) in case["files"].as_object().unwrap() {
            let content = match &fixture["contents"][index.as_u64().unwrap() as usize] {
                Value::String(text) => text.clone().into_bytes(),
                bytes => bytes.as_array().unwrap().iter().map(|b| b.as_u64().unwrap() as u8).collect(),
            };
            if file == "config.json" {
                config = serde_json::from_slice(&content).unwrap();
            }
            std::fs::write(dir.path().join(file), content).unwrap();
        }
        let folded = tokenizer(&Files::of_dir(dir.path()), &config).unwrap().expect(name);
        assert_eq!(folded.warnings, [""; 0], "{name}");
        let native = Tokenizer::from_bytes(&folded.json).unwrap();
        let pairs = fixture["texts"].as_array().unwrap().iter().zip(case["rows"].as_array().unwrap());
        for (text, row) in pairs {
            let text = text.as_str().unwrap();
            let ids = native.encode(text, true).unwrap();
            assert_eq!(json!(ids), row[0], "{name}: {text:?}");
            assert_eq!(json!(native.encode(text, false).unwrap()), row[1], "{name}: {text:?}");
            if let Some(decoded) = row[2].as_str() {
                assert_eq!(native.decode(&ids).unwrap(), decoded, "{name}: {text:?}");
            }
        }
    }
}

/// Unsupported settings are rejected at compile time, with the name of the entry.
#[test]
fn tokenizers_that_cannot_be_used_are_named() {
    let good = json!({"version": "1.0", "added_tokens": [], "normalizer": null, "pre_tokenizer": null,
        "post_processor": null, "decoder": null, "model": {"type": "WordLevel", "vocab": {"a": 0}, "unk_token": "a"}});
    let with = |part: &str, value: Value| {
        let mut json = good.clone();
        json[part] = value;
        json.to_string()
    };
    let regex = |pattern: &str| json!({"type": "Replace", "pattern": {"Regex": pattern}, "content": ""});
    for (file, content, message) in [
        ("tokenizer.json", "{".to_string(), "tokenizer.json:1:1: EOF"),
        ("tokenizer.json", "{}".to_string(), "tokenizer.json: model: missing"),
        ("tokenizer.json", "[]".to_string(), "not a JSON object"),
        ("tokenizer.json", with("model", json!({"type": "BPE"})), "model \"BPE\""),
        ("tokenizer.json", with("normalizer", json!({"type": "Other"})), "normalizer \"Other\""),
        ("tokenizer.json", with("pre_tokenizer", json!({"type": "Other"})), "pre_tokenizer \"Other\""),
        ("tokenizer.json", with("added_tokens", json!([{"id": 3}])), "added_tokens: entry 0"),
        ("tokenizer.json", with("normalizer", regex(r"(a)\1")), r"has `\1`, which is not supported"),
        (
            "tokenizer.json",
            with("normalizer", json!({"type": "Precompiled", "precompiled_charsmap": "/////w=="})),
            "precompiled_charsmap is damaged",
        ),
        (
            "tokenizer.json",
            with("normalizer", json!({"type": "Precompiled", "precompiled_charsmap": "BAAAAAEAAAAA"})),
            "precompiled_charsmap is damaged",
        ),
        ("tokenizer_config.json", r#"{"added_tokens_decoder": []}"#.to_string(), "added_tokens_decoder: not an object"),
        ("tokenizer_config.json", r#"{"pad_token": 3}"#.to_string(), "pad_token is not a token"),
        ("added_tokens.json", r#"{"x": "y"}"#.to_string(), "\"x\" has no id"),
        (
            "tokenizer.json",
            {
                let mut json: Value = serde_json::from_str(&with("normalizer", json!({"type": "Lowercase"}))).unwrap();
                let token = |id: u32, content: &str| {
                    json!({"id": id, "content": content, "special": false, "normalized": true, "single_word": false,
                        "lstrip": false, "rstrip": false})
                };
                json["added_tokens"] = json!([token(1, "Fox"), token(2, "FOX")]);
                json.to_string()
            },
            "the same text of \"Fox\" and \"FOX\"",
        ),
        (
            "tokenizer_config.json",
            r#"{"truncation_side": "middle"}"#.to_string(),
            "`truncation_side` is \"middle\"; it is \"left\" or \"right\"",
        ),
        ("vocab.txt", "a".to_string(), "`tokenizer_class` of tokenizer_config.json does not say how to read it"),
        ("tokenizer.model", "\u{1}\u{2}".to_string(), "neither a SentencePiece model nor"),
        ("tekken.json", "{}".to_string(), "tekken.json: config: no text `pattern`"),
    ] {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("tokenizer.json"), good.to_string()).unwrap();
        let vocabulary = !file.ends_with(".json") || file == "tekken.json";
        if vocabulary {
            std::fs::remove_file(dir.path().join("tokenizer.json")).unwrap();
        }
        std::fs::write(dir.path().join(file), content).unwrap();
        let found = tokenizer(&Files::of_dir(dir.path()), &Value::Null).unwrap_err().to_string();
        assert!(found.contains(message), "{message}: {found}");
        assert_eq!(found.matches(file).count(), 1, "the file is named once: {found}");
    }
}
