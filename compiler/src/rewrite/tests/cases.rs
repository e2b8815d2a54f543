//! Runs the cases, one file per topic. `GRISTMILL_BLESS=1` writes what came out into the files.

use std::fmt::Write as _;
use std::path::PathBuf;

use gristmill_graph::Bindings;

use super::super::{CostModel, Rewriter, rewrite, rules};
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

const TOPICS: [&str; 7] = ["algebra", "norm", "softmax", "linear", "epilogue", "attention", "region"];

fn run(topic: &str) {
    let mut blessed = head(topic);
    let mut wrong = String::new();
    for case in cases(topic) {
        let before = read(&case.before);
        let (after, _) = rewrite(&before.graph, &CostModel::default());
        let found = write(&after);
        if found.trim() != case.after {
            writeln!(wrong, "--- {}\nexpected\n{}\nfound\n{found}", case.name, case.after).unwrap();
        }
        writeln!(blessed, "--- {}\n{}\n=>\n{found}", case.name, case.before).unwrap();
    }
    if std::env::var_os("GRISTMILL_BLESS").is_some() {
        std::fs::write(folder().join(format!("{topic}.txt")), blessed.trim_end().to_string() + "\n").unwrap();
    } else {
        assert!(wrong.is_empty(), "{topic}:\n{wrong}");
    }
}

macro_rules! topics {
    ($($topic:ident)*) => { $(#[test] fn $topic() { run(stringify!($topic)); })* };
}
topics!(algebra norm softmax linear epilogue attention region);

/// Every rule has a case of its name (further cases add a word), and takes part in it.
#[test]
fn every_rule_has_a_case() {
    let all: Vec<Case> = TOPICS.iter().flat_map(|t| cases(t)).collect();
    let mut wrong = Vec::new();
    for rule in [rules::recognise(), rules::fuse()].concat() {
        match all.iter().find(|c| c.name == rule.name) {
            None => wrong.push(format!("{}: no case", rule.name)),
            Some(case) => {
                let (_, report) = rewrite(&read(&case.before).graph, &CostModel::default());
                if !report.regions.iter().any(|r| r.rules.contains_key(rule.name)) {
                    wrong.push(format!("{}: not used in its case, but {:?}", rule.name, report.regions[0].rules));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The same graph gives the same result: by a fresh rewriter, and by one that has seen all other cases.
#[test]
fn deterministic() {
    let mut warm = Rewriter::new(&CostModel::default());
    for case in TOPICS.iter().flat_map(|t| cases(t)) {
        let graph = read(&case.before).graph;
        let first = rewrite(&graph, &CostModel::default());
        assert_eq!(first, rewrite(&graph, &CostModel::default()), "{}", case.name);
        assert_eq!(first, warm.run(&graph), "{}", case.name);
        assert_eq!(first, warm.run(&graph), "{}", case.name);
    }
}

/// Every case computes the same values after rewriting as before.
#[test]
fn equivalent() {
    for topic in TOPICS {
        for case in cases(topic) {
            let model = read(&case.before);
            let (after, _) = rewrite(&model.graph, &CostModel::default());
            let bindings: Bindings = [("B", 2), ("T", 3), ("S", 5), ("P", 0)].map(|(n, v)| (n.to_string(), v)).into();
            // Roots and quotients want positive operands.
            let low = if topic == "algebra" { 0.25 } else { -1.5 };
            well_formed(&case.name, &model, &after, &Bindings::new());
            same_values(&case.name, &model, &model.graph, &after, &bindings, low);
        }
    }
}
