//! No text and no config may panic, hang or exhaust the memory: whatever comes in, a model or diagnostics come out.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use gristmill_graph::text::{Library, Policy, bind, check};
use proptest::prelude::*;
use serde_json::{Value, json};

fn shipped() -> Library {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models");
    let mut library = Library::default();
    for folder in ["", "blocks/", "parts/"] {
        for entry in fs::read_dir(root.join(folder)).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|e| e == "ron") {
                let name = format!("{folder}{}", path.file_name().unwrap().to_str().unwrap());
                library.files.insert(name, fs::read_to_string(&path).unwrap());
            }
        }
    }
    library
}

fn config() -> Value {
    json!({
        "architectures": ["BertModel"], "vocab_size": 11, "hidden_size": 16, "intermediate_size": 20,
        "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2, "sliding_window": 3,
        "use_sliding_window": true, "max_window_layers": 1, "layer_types": ["full_attention", "sliding_attention"],
        "rope_scaling": {"rope_type": "linear", "factor": 2.0}, "head_dim": 4, "max_position_embeddings": 32,
        "n_embd": 16, "n_layer": 2, "n_head": 4, "n_positions": 32, "id2label": {"0": "a"}
    })
}

/// Pieces that mean something in these files, to get beyond the first syntax error.
const PIECES: &[&str] = &[
    "",
    "(",
    ")",
    "[",
    "]",
    "{",
    "}",
    ",",
    ":",
    "\"",
    "'",
    "h",
    "i",
    "T",
    "P",
    "0",
    "-1",
    "99999999999",
    "0.5",
    "1e300",
    " + ",
    " * ",
    " / ",
    " // ",
    " ?? ",
    "null",
    "true",
    "not ",
    "if h then ",
    "[:, -1]",
    "[..., 3:]",
    "{i}",
    "config.",
    "append(key, h)",
    "reshape(h, [0, -1])",
    "range(65536)",
    "iota(T)",
    "Let(\"h = h\"),",
    "::",
    "q4",
    "\u{e9}",
    "\n",
];

#[derive(Clone, Debug)]
enum Change {
    Cut(usize, usize),
    Insert(usize, usize),
    Copy(usize, usize, usize),
}

fn changes() -> impl Strategy<Value = Vec<Change>> {
    let one = prop_oneof![
        (any::<usize>(), 1usize..40).prop_map(|(at, n)| Change::Cut(at, n)),
        (any::<usize>(), any::<usize>()).prop_map(|(at, piece)| Change::Insert(at, piece)),
        (any::<usize>(), 1usize..60, any::<usize>()).prop_map(|(from, n, to)| Change::Copy(from, n, to)),
    ];
    prop::collection::vec(one, 1..4)
}

/// A position on a character boundary.
fn place(text: &str, at: usize) -> usize {
    let mut at = at % (text.len() + 1);
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

fn changed(text: &str, changes: &[Change]) -> String {
    let mut text = text.to_string();
    for change in changes {
        match change {
            Change::Cut(at, n) => {
                let start = place(&text, *at);
                let end = place(&text, (start + n).min(text.len()));
                text.replace_range(start..end.max(start), "");
            }
            Change::Insert(at, piece) => text.insert_str(place(&text, *at), PIECES[piece % PIECES.len()]),
            Change::Copy(from, n, to) => {
                let start = place(&text, *from);
                let end = place(&text, (start + n).min(text.len())).max(start);
                let piece = text[start..end].to_string();
                text.insert_str(place(&text, *to), &piece);
            }
        }
    }
    text
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn changed_files_are_survived(file in any::<usize>(), changes in changes()) {
        let library = shipped();
        let names: Vec<String> = library.files.keys().cloned().collect();
        let name = &names[file % names.len()];
        let text = changed(&library.files[name], &changes);
        let user = if name.contains('/') { "qwen3.ron" } else { name.as_str() };
        let library = library.clone().with_file(name.as_str(), text);
        let _ = check(&library, user).map_err(|d| d.to_string());
        let empty = BTreeMap::new();
        let _ = bind(&library, user, &config(), None).map_err(|d| d.to_string());
        let _ = bind(&library, user, &config(), Some(&empty)).map_err(|d| d.to_string());
    }

    #[test]
    fn changed_configs_are_survived(file in any::<usize>(), key in any::<usize>(), what in 0usize..14) {
        let library = shipped();
        let names: Vec<&str> = library.architectures().collect();
        let mut config = config();
        let keys: Vec<String> = config.as_object().unwrap().keys().cloned().collect();
        let values = [
            json!(0), json!(-1), json!(1), json!(3), json!(7), json!(1000), json!(i64::MAX), json!(u64::MAX),
            json!(1e308), json!(0.5), json!("text"), json!([]), json!({}), Value::Null,
        ];
        config[&keys[key % keys.len()]] = values[what].clone();
        let _ = bind(&library, names[file % names.len()], &config, None).map_err(|d| d.to_string());
    }

    #[test]
    fn any_text_is_survived(text in "\\PC{0,200}") {
        let library = Library::default().with_file("any.ron", text.as_str());
        let _ = check(&library, "any.ron").map_err(|d| d.to_string());
        let _ = Policy::parse("any.ron", &text).map_err(|d| d.to_string());
        let formula = format!("Architecture(config: [r#\"a = {text}\"#])");
        let library = Library::default().with_file("any.ron", formula);
        let _ = bind(&library, "any.ron", &config(), None).map_err(|d| d.to_string());
    }
}

/// An architecture without a body of its own, on top of another one.
fn link(next: Option<usize>) -> String {
    let extends = next.map(|next| format!("extends: \"link{next}\",")).unwrap_or_default();
    format!("Architecture({extends} symbols: {{\"B\": \"1, 8\"}})")
}

#[test]
fn chains_of_any_length_are_followed_without_recursion() {
    const LENGTH: usize = 5000;
    let chain = |last: Option<usize>| -> String {
        let mut library = Library::default();
        for i in 0..LENGTH {
            let next = if i + 1 < LENGTH { Some(i + 1) } else { last };
            library.files.insert(format!("link{i}.ron"), link(next));
        }
        check(&library, "link0").unwrap_err().to_string()
    };
    let whole = chain(None);
    assert!(whole.contains("the architecture has no entries"), "{whole}");
    let circle = chain(Some(LENGTH - 3));
    assert!(circle.contains("in a cycle: link4997.ron -> link4998.ron -> link4999.ron -> link4997.ron"), "{circle}");

    let blocks = |last: &str| -> String {
        let mut text =
            "Architecture(symbols: {\"B\": \"1, 8\"}, inputs: {\"x\": (dtype: F32, shape: \"B\")}, blocks: {"
                .to_string();
        for i in 0..LENGTH {
            let callee = if i + 1 < LENGTH { format!("b{}", i + 1) } else { last.to_string() };
            text += &format!("\"b{i}(x)\": (result: \"{callee}(x)\"),");
        }
        text += "}, body: [Output(\"out\", \"b0(x)\")], entries: {\"forward\": (outputs: [\"out\"], role: Tensors)})";
        let library = Library::default().with_file("chain.ron", text);
        bind(&library, "chain", &json!({}), None).unwrap_err().to_string()
    };
    let whole = blocks("exp");
    assert!(whole.contains("nested too deeply"), "{whole}");
    let circle = blocks("b4998");
    assert!(circle.contains("blocks call each other recursively: b4998 -> b4999 -> b4998"), "{circle}");
}
