//! Runs the cases, one file per topic. `UPDATE=1` writes the results into the files.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;

use gristmill_graph::{Bindings, DType, Graph, Node, NodeId, Op, Unary};

use super::super::{Rewriter, rewrite, rules};
use super::cost;
use super::notation::{read, write};
use super::values::{same_values, well_formed};

struct Case {
    name: String,
    before: String,
    after: String,
}

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/cases/rewrite")
}

/// A file is a list of cases: `--- name`, the graph before, `=>`, the outputs after.
fn cases(topic: &str) -> Vec<Case> {
    let path = folder().join(format!("{topic}.txt"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let case = |block: &str| {
        let (name, rest) = block.split_once('\n').expect("a case has lines");
        let (before, after) = rest.split_once("\n=>\n").unwrap_or((rest, ""));
        Case { name: name.trim().into(), before: before.trim().into(), after: after.trim().into() }
    };
    text.split("--- ").skip(1).map(case).collect()
}

fn head(topic: &str) -> String {
    let text = std::fs::read_to_string(folder().join(format!("{topic}.txt"))).unwrap();
    text.split("--- ").next().unwrap_or_default().to_string()
}

const TOPICS: [&str; 8] = ["algebra", "norm", "softmax", "linear", "epilogue", "attention", "region", "model"];

fn run(topic: &str) {
    let mut blessed = head(topic);
    let mut wrong = String::new();
    for case in cases(topic) {
        let before = read(&case.before);
        let (after, _) = rewrite(&before.graph, &cost());
        let found = write(&after);
        if found.trim() != case.after {
            writeln!(wrong, "--- {}\nexpected\n{}\nfound\n{found}", case.name, case.after).unwrap();
        }
        writeln!(blessed, "--- {}\n{}\n=>\n{found}", case.name, case.before).unwrap();
    }
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(folder().join(format!("{topic}.txt")), blessed.trim_end().to_string() + "\n").unwrap();
    } else {
        assert!(wrong.is_empty(), "{topic}:\n{wrong}\nIf that is right: UPDATE=1");
    }
}

macro_rules! topics {
    ($($topic:ident)*) => { $(#[test] fn $topic() { run(stringify!($topic)); })* };
}
topics!(algebra norm softmax linear epilogue attention region model);

/// Every rule contributes to the cases that have its name (with an optional suffix).
#[test]
fn every_rule_has_a_case() {
    let all: Vec<Case> = TOPICS.iter().flat_map(|t| cases(t)).collect();
    let mut wrong = Vec::new();
    for rule in [rules::recognise(), rules::fuse()].concat() {
        match all.iter().find(|c| c.name == rule.name) {
            None => wrong.push(format!("{}: no case", rule.name)),
            Some(case) => {
                let (_, report) = rewrite(&read(&case.before).graph, &cost());
                if !report.regions.iter().any(|r| r.rules.contains_key(rule.name)) {
                    wrong.push(format!("{}: not used in its case, but {:?}", rule.name, report.regions[0].rules));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The same graph gives the same result, both from a fresh rewriter and from one that has seen all other cases.
#[test]
fn deterministic() {
    let mut warm = Rewriter::new(&cost());
    for case in TOPICS.iter().flat_map(|t| cases(t)) {
        let graph = read(&case.before).graph;
        let first = rewrite(&graph, &cost());
        assert_eq!(first, rewrite(&graph, &cost()), "{}", case.name);
        assert_eq!(first, warm.run(&graph), "{}", case.name);
        assert_eq!(first, warm.run(&graph), "{}", case.name);
    }
}

/// Unused nodes change nothing, wherever they are.
#[test]
fn dead_nodes_change_nothing() {
    for case in TOPICS.iter().flat_map(|t| cases(t)) {
        let clean = read(&case.before).graph;
        let mut noisy = Graph { regions: clean.regions.clone(), ..Graph::default() };
        let mut moved: Vec<NodeId> = Vec::new();
        for node in &clean.nodes {
            let inputs = node.inputs.iter().map(|i| moved[i.index()]).collect();
            let here = NodeId(noisy.nodes.len() as u32);
            moved.push(here);
            noisy.nodes.push(Node { inputs, ..node.clone() });
            if node.dtype == DType::F32 {
                noisy.nodes.push(Node { op: Op::Unary(Unary::Exp), inputs: vec![here], ..node.clone() });
            }
        }
        noisy.outputs = clean.outputs.iter().map(|(n, id)| (n.clone(), moved[id.index()])).collect();
        assert_eq!(rewrite(&clean, &cost()), rewrite(&noisy, &cost()), "{}", case.name);
    }
}

/// Every case computes the same values after rewriting as before.
#[test]
fn equivalent() {
    for topic in TOPICS {
        for case in cases(topic) {
            let model = read(&case.before);
            let (after, _) = rewrite(&model.graph, &cost());
            let bindings: Bindings = [("B", 2), ("T", 3), ("S", 5), ("P", 0)].map(|(n, v)| (n.to_string(), v)).into();
            // Roots and quotients need positive operands.
            let low = if topic == "algebra" { 0.25 } else { -1.5 };
            well_formed(&case.name, &model, &after, &Bindings::new());
            same_values(&case.name, &model, &model.graph, &after, &bindings, low);
        }
    }
}

/// The decoder of the first case of `model.txt` with this many layers.
fn decoder(layers: usize) -> String {
    let text = cases("model").remove(0).before;
    let (start, rest) = text.split_once("region layers\n").expect("a layer");
    let (layer, end) = rest.split_once("region end\n").expect("an end");
    let mut all = start.to_string();
    for i in 0..layers {
        let named = layer.replace("h1", "next").replace("h0", &format!("h{i}"));
        all += &format!("region layers\n{}\n", named.replace("next", &format!("h{}", i + 1)));
    }
    format!("{all}region end\n{}", end.replace("h1", &format!("h{layers}")))
}

/// The number of fused operations of each name.
fn fused(graph: &Graph) -> BTreeMap<String, usize> {
    let mut all = BTreeMap::new();
    for node in graph.nodes.iter().filter(|n| n.op.is_fused()) {
        *all.entry(node.op.name()).or_default() += 1;
    }
    all
}

/// Layers share one result, each layer keeps its own names and states, and a model without regions gives the same.
#[test]
fn equal_layers() {
    let text = decoder(3);
    let model = read(&text);
    let (layered, report) = rewrite(&model.graph, &cost());
    let repeats: Vec<_> = report.regions.iter().map(|r| (r.name.as_str(), r.repeats)).collect();
    assert_eq!(repeats, [("main", 1), ("layers", 3), ("end", 1)]);
    let per_layer = [("attention", 1), ("linear", 6), ("rms_norm", 2)];
    let expected: BTreeMap<_, _> =
        per_layer.iter().map(|(op, n)| (op.to_string(), 3 * n + usize::from(*n != 1))).collect();
    assert_eq!(fused(&layered), expected);
    let states: Vec<_> = layered.nodes.iter().filter(|n| matches!(n.op, Op::StateAppend(_))).map(|n| &n.op).collect();
    assert_eq!(states, (0..6).map(Op::StateAppend).collect::<Vec<_>>().iter().collect::<Vec<_>>());

    let flat = read(&text.replace("region layers\n", ""));
    assert_eq!(fused(&rewrite(&flat.graph, &cost()).0), expected);
}

/// A fused node has the path of the node whose value it computes, and takes a role from below if that node has none.
#[test]
fn names_are_kept() {
    let mut graph = read("value x [B T 8]\nweight w [8 8]\nlet p = (matmul_t x w)\nout y = (add x p)").graph;
    for node in graph.nodes.iter_mut().filter(|n| n.path == "p") {
        node.role = Some("ffn.down".into());
    }
    let (after, report) = rewrite(&graph, &cost());
    let fused = after.node(after.outputs["y"]);
    assert_eq!((fused.path.as_str(), fused.role.as_deref()), ("y", Some("ffn.down")));
    let covers: Vec<String> = report.regions[0].fused[0].covers.iter().map(ToString::to_string).collect();
    assert_eq!(covers, ["p (matmul)", "y (add)"]);
    assert_eq!(report.regions[0].rules.keys().collect::<Vec<_>>(), ["epilogue", "linear"]);
}

/// The report as `inspect --rewrites` prints it.
#[test]
fn report_text() {
    let graph = read("value x [B T 8]\nweight w [8 8]\nlet p = (matmul_t x w)\nout y = (add x p)").graph;
    let expected = "\
main: 2 -> 1 operations, 10.2 -> 5.1 us by the cost model
  rules   epilogue x1, linear x1
  y
    is      linear { arg0 + acc0 }
    covers  p (matmul)
            y (add)
    saves   1 launch, 4096 bytes of traffic; the next best form ends in `add` and takes 5.12 us more
";
    assert_eq!(rewrite(&graph, &cost()).1.to_string(), expected);
}
