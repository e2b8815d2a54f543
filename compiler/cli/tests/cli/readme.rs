//! Checks statements of the README.

use std::path::Path;

fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

fn readme() -> String {
    std::fs::read_to_string(root().join("README.md")).unwrap()
}

#[test]
fn its_excerpt_is_in_the_models() {
    let read = |name: &str| std::fs::read_to_string(root().join("models").join(name)).unwrap();
    let models = read("llama.ron") + &read("blocks/attention.ron");
    let text = readme();
    // Fenced blocks contain other languages.
    let unfenced = text.split("```").step_by(2);
    let code = unfenced.flat_map(str::lines).filter(|l| l.starts_with("    ")).map(str::trim);
    let lines: Vec<&str> = code.filter(|l| l.contains('(') && l.contains('"') && !l.starts_with("cargo")).collect();
    assert!(lines.len() > 5, "{lines:?}");
    for line in lines {
        assert!(models.contains(line), "not in models/: {line}");
    }
}
