//! Real architectures with small configs, listed in `tests/cases/rewrite/models.json`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use gristmill_graph::text::{Library, bind};
use gristmill_graph::{Bindings, Graph, Model, Op};
use serde::Deserialize;
use serde_json::Value;

use super::super::{RegionReport, Rewriter};
use super::cost;
use super::values::{same_values, well_formed};

#[derive(Deserialize)]
struct Case {
    architecture: String,
    config: Value,
    /// Number of equal layers.
    layers: usize,
    /// The contractions and reductions of each layer, with their counts. There must be no others.
    per_layer: BTreeMap<String, usize>,
    /// Subexpressions that must occur in some fused operation of a layer.
    expressions: Vec<String>,
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn cases() -> Vec<Case> {
    let text = std::fs::read_to_string(root().join("tests/cases/rewrite/models.json")).expect("the list of cases");
    serde_json::from_str(&text).expect("a list of cases")
}

fn library() -> Library {
    let mut library = Library::default();
    for folder in ["", "blocks/", "parts/"] {
        for entry in std::fs::read_dir(root().join("models").join(folder)).expect("a folder of models") {
            let path = entry.expect("an entry").path();
            if path.extension().is_some_and(|e| e == "ron") {
                let name = format!("{folder}{}", path.file_name().expect("a name").to_string_lossy());
                library = library.with_file(name, std::fs::read_to_string(&path).expect("a text"));
            }
        }
    }
    library
}

fn model(library: &Library, case: &Case) -> Model {
    bind(library, &case.architecture, &case.config, None).unwrap_or_else(|e| panic!("{}: {e}", case.architecture))
}

/// The number of contractions and reductions of each name in the repeated layers.
fn census(graph: &Graph) -> BTreeMap<String, usize> {
    let repeated = |name: &str| graph.regions.iter().any(|r| r.name == name && r.index == Some(1));
    let mut all = BTreeMap::new();
    for node in graph.nodes.iter().filter(|n| {
        let region = &graph.regions[n.region as usize];
        region.index.is_some() && repeated(&region.name)
    }) {
        let name = match &node.op {
            Op::Linear { weights: 2, .. } => "linear pair".to_string(),
            Op::MatMul { .. } | Op::Reduce { .. } => node.op.name(),
            op if op.is_fused() => op.name(),
            _ => continue,
        };
        *all.entry(name).or_default() += 1;
    }
    all
}

fn check_layers(name: &str, case: &Case, graph: &Graph, layers: &RegionReport) {
    assert_eq!(layers.repeats, case.layers, "{name}\n{layers}");
    let expected: BTreeMap<String, usize> =
        case.per_layer.iter().map(|(op, n)| (op.clone(), case.layers * n)).collect();
    assert_eq!(census(graph), expected, "{name}\n{layers}");
    for part in &case.expressions {
        assert!(layers.fused.iter().any(|f| f.op.contains(part)), "{name}: no `{part}` in\n{layers}");
    }
}

/// All fused operations are found in every entry, the same in all layers.
#[test]
fn everything_is_found() {
    let library = library();
    for case in cases() {
        let model = model(&library, &case);
        let mut rewriter = Rewriter::new(&cost());
        for entry in &model.entries {
            let name = format!("{} {}", case.architecture, entry.name);
            let (graph, report) = rewriter.run(&model.entry_graph(entry, false));
            let layers = report.regions.iter().max_by_key(|r| r.repeats).expect("a region");
            check_layers(&name, &case, &graph, layers);
        }
    }
}

/// Every entry of every architecture, with and without taps, is well formed after rewriting and computes the same
/// values.
#[test]
fn values_stay() {
    let library = library();
    for case in cases() {
        let model = model(&library, &case);
        let mut rewriter = Rewriter::new(&cost());
        for entry in &model.entries {
            for taps in [false, true] {
                let name = format!("{} {} taps: {taps}", case.architecture, entry.name);
                let before = model.entry_graph(entry, taps);
                let (after, _) = rewriter.run(&before);
                well_formed(&name, &model, &after, &model.bound_by(entry));
                let sizes = [("B", 2), ("T", 5), ("P", 0)].map(|(n, v)| (n.to_string(), v));
                let bindings: Bindings = sizes.into_iter().chain(model.bound_by(entry)).collect();
                same_values(&name, &model, &before, &after, &bindings, -0.9);
            }
        }
    }
}
