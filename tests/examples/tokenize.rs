//! Compiles tokenizers and runs texts through them, for the scripts in `tests/tokenizers`. The argument is a file with
//! a list of `{"dir", "texts"}`. Each item gives a line of JSON: `none` without a tokenizer, `error`, or `warnings`,
//! the folded `json`, and `rows` with the ids including special tokens, the ids without them, and the decoded text of
//! the former.

use std::path::Path;

use gristmill_compiler::hf::files::Files;
use gristmill_compiler::hf::tokenizer::tokenizer;
use gristmill_runtime::tokenizer::Tokenizer;
use serde_json::{Value, json};

fn main() {
    let Some(list) = std::env::args().nth(1) else { panic!("usage: tokenize LIST.json") };
    let list: Vec<Value> = serde_json::from_slice(&std::fs::read(list).expect("the list")).expect("a list");
    for case in &list {
        // A text that makes the library panic must not end the comparison.
        let answer = std::panic::catch_unwind(|| answer(case));
        println!("{}", answer.unwrap_or_else(|_| json!({"rows": [], "warnings": [], "panicked": true})));
    }
}

fn answer(case: &Value) -> Value {
    let dir = Path::new(case["dir"].as_str().expect("a directory"));
    let config = std::fs::read(dir.join("config.json")).ok().and_then(|b| serde_json::from_slice(&b).ok());
    let folded = match tokenizer(&Files::of_dir(dir), &config.unwrap_or(Value::Null)) {
        Ok(Some(folded)) => folded,
        Ok(None) => return json!({"none": true}),
        Err(e) => return json!({"error": e.to_string()}),
    };
    let native = match Tokenizer::from_bytes(&folded.json) {
        Ok(native) => native,
        Err(e) => return json!({"error": format!("what was folded cannot be read: {e}")}),
    };
    let rows = case["texts"].as_array().expect("texts").iter().map(|text| row(&native, text.as_str().expect("a text")));
    let rows: Vec<Value> = rows.collect();
    let json: Value = serde_json::from_slice(&folded.json).expect("JSON");
    json!({"warnings": folded.warnings, "json": json, "rows": rows})
}

fn row(tokenizer: &Tokenizer, text: &str) -> Value {
    let ids = match tokenizer.encode(text, true) {
        Ok(ids) => ids,
        Err(e) => return json!(format!("{e}")),
    };
    let bare = tokenizer.encode(text, false).ok();
    json!([ids, bare, tokenizer.decode(&ids).unwrap_or_else(|e| format!("{e}"))])
}
