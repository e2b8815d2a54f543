//! CTC decoding: what the compiler reads from a model directory, and the text that the runtime makes of tokens.

use gristmill_compiler::hf::ctc::{Ctc, ctc};
use gristmill_runtime::task::decode_ctc;
use gristmill_tests::goldens::root;
use serde_json::Value;

#[test]
fn texts_are_those_of_transformers() {
    // `tests/fixtures/ctc/make.py` records the expectations.
    let content = std::fs::read(root().join("tests/fixtures/ctc/cases.json")).expect("the cases");
    let cases: Vec<Value> = serde_json::from_slice(&content).expect("JSON");
    let mut count = 0;
    for case in cases.iter().filter(|case| case["ids"].is_array()) {
        let name = case["name"].as_str().expect("a name");
        let files = &case["files"];
        let size = files["config.json"]["vocab_size"].as_u64().unwrap_or(0) as usize;
        let read = ctc(&|name| Ok(files.get(name).cloned()), &files["tokenizer_config.json"], size);
        let Ctc { letters, blank, clean_up } = read.expect("supported").expect("a vocabulary");
        let rows: Vec<Vec<i32>> = serde_json::from_value(case["ids"].clone()).expect("rows of ids");
        for (row, expect) in rows.iter().zip(case["texts"].as_array().expect("a text per row")) {
            let found = decode_ctc(row, blank.expect("a blank"), &letters, clean_up);
            assert_eq!(found, expect.as_str().expect("a text").trim(), "{name}: {row:?}");
            count += 1;
        }
    }
    assert!(count > 80, "{count}");
}
