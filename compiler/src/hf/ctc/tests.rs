use std::path::Path;

use super::*;

/// `tests/fixtures/ctc/make.py` records the expectations.
fn cases() -> Vec<Value> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/ctc/cases.json");
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

fn read(case: &Value) -> Result<Option<Ctc>, CompileError> {
    let files = &case["files"];
    let size = files["config.json"]["vocab_size"].as_u64().unwrap_or(0) as usize;
    ctc(&|name| Ok(files.get(name).cloned()), &files[SETTINGS], size)
}

#[test]
fn what_is_not_supported_is_named() {
    let cases = cases();
    let faults = cases.iter().filter_map(|case| Some((case, case["fault"].as_str()?)));
    assert!(faults.clone().count() > 8);
    for (case, fault) in faults {
        let found = read(case).map(|c| format!("{c:?}")).unwrap_err().to_string();
        assert!(found.contains(fault), "{found} does not say {fault}");
    }
    assert_eq!(read(&Value::Null).unwrap(), None);
}

#[test]
fn a_vocabulary_without_padding_has_no_blank_of_its_own() {
    let read = |name: &str| Ok((name == VOCABULARY).then(|| serde_json::json!({ "[PAD]": 0, "a": 1 })));
    let found = ctc(&read, &Value::Null, 0).unwrap().unwrap();
    assert_eq!(found.blank, None);
    assert_eq!(found.letters[..2], ["[PAD]", "a"]);
}
