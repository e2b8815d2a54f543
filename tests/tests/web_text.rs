//! The page has a tokenizer and chat templates of its own, written in TypeScript. They and the native ones are held to
//! the same files of expected ids and texts: those of the page by `tokenizer.test.ts` and `template.test.ts` in
//! `runtime/web/test`, the native ones here. `UPDATE_EXPECT=1` writes the file of ids; read the difference. The texts
//! come from Jinja in Python.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;

use gristmill_runtime::template::{ChatTemplate, Message};
use gristmill_runtime::tokenizer::Tokenizer;
use serde_json::{Value, json};

/// The room given to `encode_within`.
const ROOM: usize = 5;

fn fixtures() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../runtime/web/test/fixtures")
}

/// One line of the file: a text and all that a tokenizer says of it.
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
        let bos = case["bos"].as_u64().map(|b| u32::try_from(b).unwrap());
        let content = std::fs::read(fixtures().join(file)).unwrap();
        let tokenizer = Tokenizer::from_bytes(&content, bos).unwrap();
        let rows = case["rows"].as_array().unwrap();
        let lines: Vec<String> = rows.iter().map(|r| row(&tokenizer, r["text"].as_str().unwrap())).collect();
        let comma = if at == 0 { "" } else { "," };
        let (lines, bos) = (lines.join(",\n      "), &case["bos"]);
        write!(
            found,
            "{comma}\n  {{\n    \"file\": {},\n    \"bos\": {bos},\n    \"rows\": [\n      {lines}\n    ]\n  }}",
            case["file"]
        )
        .unwrap();
    }
    found += "\n]\n";
    if std::env::var_os("UPDATE_EXPECT").is_some() {
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

#[test]
fn chat_templates_render_as_those_the_page_is_held_to() {
    let content = std::fs::read(fixtures().join("templates.json")).unwrap();
    let fixture: Value = serde_json::from_slice(&content).unwrap();
    let special = [("bos_token", "<s>"), ("eos_token", "</s>")].map(|(k, v)| (k.to_string(), v.to_string()));
    let special = BTreeMap::from(special);
    let rows = fixture["rows"].as_array().unwrap();
    assert!(rows.len() >= 80, "{} rows", rows.len());
    for row in rows {
        let source = fixture["templates"][row["template"].as_str().unwrap()].as_str().unwrap();
        let template = ChatTemplate::new("x", source, special.clone()).unwrap();
        let text = |value: &Value| value.as_str().unwrap().to_string();
        let messages = row["messages"].as_array().unwrap().iter().map(|m| Message::new(text(&m[0]), text(&m[1])));
        let messages: Vec<Message> = messages.collect();
        let found = template.render(&messages, row["generate"].as_bool().unwrap(), 1_700_000_000);
        match row["text"].as_str() {
            Some(expect) => assert_eq!(found.unwrap(), expect, "{row}"),
            None => assert!(found.is_err(), "{row}"),
        }
    }
}
