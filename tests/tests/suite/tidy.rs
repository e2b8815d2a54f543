//! Checks the invariants of ARCHITECTURE.md that are visible in the sources.

use std::path::{Path, PathBuf};

use gristmill_tests::goldens::root;

/// All files of the crates with this extension, without build output.
pub(crate) fn sources(extension: &str) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    let mut folders: Vec<PathBuf> =
        ["ir", "backends", "runtime", "compiler", "tests", "xtask"].map(|f| root().join(f)).into();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("a folder").flatten() {
            let path = entry.path();
            let name = entry.file_name();
            let built = ["node_modules", "goldens", "target", "dist", "pkg"];
            if path.is_dir() && !built.iter().any(|b| name == *b) {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == extension) {
                let text = std::fs::read_to_string(&path).expect("UTF-8");
                found.push((path.strip_prefix(root()).expect("below the root").to_path_buf(), text));
            }
        }
    }
    assert!(!found.is_empty(), "no .{extension} files: the test looks in the wrong place");
    found.sort();
    found
}

/// All sources: Rust, TypeScript, JavaScript.
fn all_sources() -> Vec<(PathBuf, String)> {
    ["rs", "ts", "js", "mjs"].iter().flat_map(|e| sources(e)).collect()
}

/// Whether code is part of the product, rather than a test or an example.
pub(crate) fn is_product(path: &Path) -> bool {
    let part = |p: &str| path.components().any(|c| c.as_os_str() == p);
    !part("tests") && !part("test") && !part("examples") && !path.ends_with("tests.rs")
}

/// The lines of a file before its unit tests, without comments.
fn code(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let product = text.split("#[cfg(test)]").next().unwrap_or_default();
    product.lines().enumerate().filter(|(_, l)| !l.trim_start().starts_with("//")).map(|(n, l)| (n + 1, l))
}

/// The words of a line in lower case: `VitModel`, `vit_model` and `vit-model` have two each.
fn words(line: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut small = false;
    for letter in line.chars() {
        if !letter.is_ascii_alphanumeric() || (letter.is_ascii_uppercase() && small) {
            words.push(String::new());
        }
        small = letter.is_ascii_lowercase() || letter.is_ascii_digit();
        if letter.is_ascii_alphanumeric()
            && let Some(word) = words.last_mut()
        {
            word.push(letter.to_ascii_lowercase());
        }
    }
    words
}

#[test]
fn no_model_name_in_code() {
    assert_eq!(words("VitModel vit_model(t5);"), ["vit", "model", "vit", "model", "t5", "", ""]);
    // All shipped architectures, and other names of families.
    let shipped = std::fs::read_dir(root().join("models")).expect("models/").flatten().map(|e| e.path());
    let shipped = shipped.filter(|p| p.extension().is_some_and(|e| e == "ron"));
    let mut families: Vec<String> = shipped.map(|p| p.file_stem().expect("a name").to_string_lossy().into()).collect();
    assert!(families.len() > 25, "{families:?}");
    families.extend(["gpt", "phi", "clip_vision", "wav2vec", "mobilenet", "qwen", "x_clip", "olmo"].map(String::from));
    // Long names are also found inside other words.
    let (short, long): (Vec<&String>, Vec<&String>) = families.iter().partition(|f| f.len() <= 4 && *f != "bert");
    // Names that Hugging Face gave to a file and to tokenizer parts of any model, and the name of a library.
    let others = [
        "sentence_bert_config.json",
        "sentence_roberta_config.json",
        "sentence_distilbert_config.json",
        "sentence_camembert_config.json",
        "sentence_albert_config.json",
        "sentence_xlm-roberta_config.json",
        "sentence_xlnet_config.json",
        "bertnormalizer",
        "bertpretokenizer",
        "bertprocessing",
        "robertaprocessing",
        "clap::",
    ];
    let mut found = Vec::new();
    for (path, text) in all_sources().iter().filter(|(p, _)| is_product(p)) {
        for (n, line) in code(text) {
            let lower = others.iter().fold(line.to_lowercase(), |l, w| l.replace(w, ""));
            let in_words = || {
                let words = words(&line.replace("clap::", ""));
                short.iter().any(|f| words.contains(f))
            };
            if long.iter().any(|f| lower.contains(f.as_str())) || in_words() {
                found.push(format!("{}:{n}: {}", path.display(), line.trim()));
            }
        }
    }
    assert!(found.is_empty(), "architectures are RON:\n{}", found.join("\n"));
}

#[test]
fn files_stay_small() {
    let long: Vec<String> = all_sources()
        .iter()
        .filter(|(p, t)| is_product(p) && t.lines().count() > 800)
        .map(|(p, t)| format!("{}: {} lines", p.display(), t.lines().count()))
        .collect();
    assert!(long.is_empty(), "{}", long.join("\n"));
}

#[test]
fn no_conflict_is_left() {
    for (path, text) in all_sources() {
        let marks = text.lines().position(|l| ["<<<<<<< ", ">>>>>>> "].iter().any(|mark| l.starts_with(mark)));
        assert_eq!(marks.map(|n| n + 1), None, "{}: two versions are merged half", path.display());
    }
}

#[test]
fn dependencies_point_one_way() {
    // A folder of a crate, and the crates of the workspace that it must not depend on.
    let forbidden = [
        ("ir/graph", ["kernel", "wgsl", "wasm", "bundle", "runtime", "compiler"].as_slice()),
        ("ir/kernel", &["wgsl", "wasm", "bundle", "runtime", "compiler"]),
        ("backends/wgsl", &["wasm", "bundle", "runtime", "compiler"]),
        ("backends/wasm", &["wgsl", "bundle", "runtime", "compiler"]),
        ("runtime/bundle", &["graph", "kernel", "wgsl", "wasm", "runtime", "compiler"]),
        ("runtime/tokenizer", &["graph", "kernel", "wgsl", "wasm", "runtime", "compiler"]),
        ("runtime/core", &["graph", "kernel", "wgsl", "wasm", "compiler"]),
        ("runtime/web", &["graph", "kernel", "wgsl", "wasm", "compiler"]),
        ("models", &["graph", "kernel", "wgsl", "wasm", "bundle", "runtime", "compiler"]),
        ("compiler", &["runtime", "reference"]),
        ("compiler/web", &["runtime", "reference"]),
    ];
    for (folder, crates) in forbidden {
        let manifest = std::fs::read_to_string(root().join(folder).join("Cargo.toml")).expect("a manifest");
        for name in crates {
            let dependency = format!("gristmill-{name}");
            let depends = manifest.lines().any(|l| l.starts_with(&dependency));
            assert!(!depends, "{folder} must not depend on {dependency}");
        }
    }
}

#[test]
fn models_are_data() {
    let mut folders = vec![root().join("models")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("a folder").flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            // A crate of three files embeds the files here.
            let embeds = ["Cargo.toml", "build.rs", "lib.rs"].iter().any(|f| path == root().join("models").join(f));
            let licence = path.file_name().is_some_and(|n| n.to_string_lossy().starts_with("LICENSE-"));
            let fine = path.extension().is_some_and(|e| e == "ron" || e == "md") || embeds || licence;
            assert!(fine, "{}: models/ holds RON, its manual, and what embeds it", path.display());
        }
    }
}

#[test]
fn backends_know_neither_operations_nor_formats() {
    for (path, text) in sources("rs").iter().filter(|(p, _)| p.starts_with("backends") && is_product(p)) {
        for (n, line) in code(text) {
            for word in ["Op::", "QuantSpec", "Precision", "WeightFormat"] {
                let line = line.replace("GroupOp::", "");
                assert!(!line.contains(word), "{}:{n} mentions {word}", path.display());
            }
        }
    }
}

/// Words that the project once used in place of the standard terms.
const RETIRED: [(&str, &str); 10] = [
    ("picture", "image"),
    ("film", "video"),
    ("recordings", "audio files"),
    ("sounds", "audio"),
    ("hear", "encode, transcribe"),
    ("heard", "encoded, transcribed"),
    ("hearing", "audio"),
    ("fade", "hann, alpha"),
    ("triangles", "filterbank"),
    ("chooser", "selector"),
];

/// The same for phrases and names of more than one word.
const RETIRED_NAMES: [(&str, &str); 12] = [
    ("graphics card", "GPU"),
    ("graphics device", "GPU"),
    ("on the processor", "on the CPU"),
    ("as many as asked for", "max_new_tokens"),
    ("FeedSource", "InputSource"),
    ("FourRows", "RowQuad"),
    ("KernelMachine", "KernelInstance"),
    ("LOWEST", "NEG_MAX"),
    ("NOBODY", "INVALID_INDEX"),
    ("RoundBlocks", "QuantizeActivations"),
    ("rounded activations", "8-bit activations"),
    ("WideBytes", "DotSignedness"),
];

/// All texts that people write: sources, architectures, documents.
fn all_texts() -> Vec<(PathBuf, String)> {
    let mut texts: Vec<(PathBuf, String)> =
        ["rs", "ts", "mjs", "js", "md", "py"].iter().flat_map(|e| sources(e)).collect();
    let mut folders: Vec<PathBuf> = ["models", "docs"].map(|f| root().join(f)).into();
    while let Some(folder) = folders.pop() {
        for path in std::fs::read_dir(&folder).expect("a folder").flatten().map(|e| e.path()) {
            match path.extension() {
                _ if path.is_dir() => folders.push(path),
                Some(e) if e == "ron" || e == "md" => {
                    let text = std::fs::read_to_string(&path).expect("UTF-8");
                    texts.push((path.strip_prefix(root()).expect("below the root").to_path_buf(), text));
                }
                _ => {}
            }
        }
    }
    for name in ["README.md", "ARCHITECTURE.md", "CHANGELOG.md", "SECURITY.md"] {
        texts.push((name.into(), std::fs::read_to_string(root().join(name)).expect("UTF-8")));
    }
    texts
}

#[test]
fn words_are_those_of_the_field() {
    let retired = |line: &str| {
        let words = words(line);
        let is = |old: &str| words.iter().any(|w| w == old || w.strip_suffix('s') == Some(old));
        let all = RETIRED.iter().filter(|(old, _)| is(old));
        all.chain(RETIRED_NAMES.iter().filter(|(old, _)| line.contains(old))).next().copied()
    };
    assert!(retired("let withoutPictures = 1;").is_some() && retired("an image, a filmstrip").is_none());
    assert!(retired("NEG_MAX").is_none() && retired("a graphics card").is_some());
    let mut wrong = Vec::new();
    let texts = all_texts();
    assert!(texts.len() > 600, "{} files: the test looks in the wrong places", texts.len());
    for (path, text) in texts.iter().filter(|(path, _)| !path.ends_with("tidy.rs")) {
        for (n, line) in text.lines().enumerate() {
            if let Some((old, new)) = retired(line) {
                wrong.push(format!("{}:{}: `{old}`: write `{new}`", path.display(), n + 1));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
