//! Finds fused operations in a graph of primitives.
//!
//! Each region (a layer, or what is between layers) is rewritten separately with egg, and equal regions share one
//! result. The stages of `STAGES` run one after the other, each with its own e-graph; `README.md` explains why, and
//! `rules/README.md` explains how to write rules.

mod body;
mod cost;
mod extract;
mod facts;
mod fold;
mod fusion_region;
mod pattern;
mod post_dominators;
mod region;
mod report;
mod rule;
mod rules;
mod show;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use egg::{Rewrite, Runner, SimpleScheduler};
use gristmill_graph::{Graph, Op};

use body::{Body, Head, Term};
use facts::Facts;
use region::Instance;
use rule::Rule;

pub use cost::CostModel;
pub use report::{Covered, FusedReport, RegionReport, RewriteReport};

/// The rules of one stage.
type Stage = fn() -> Vec<Rule>;

/// The stages, in order; rules of one stage run together.
const STAGES: [(&str, Stage); 3] =
    [("simplify", rules::simplify), ("recognise", rules::recognise), ("fuse", rules::fuse)];

/// Maximum number of iterations per stage. Real layers saturate after about six.
const MAX_ROUNDS: usize = 24;

/// Maximum number of terms per e-graph. Real layers need some hundreds.
const MAX_TERMS: usize = 20_000;

/// Finds fused operations in a graph. Returns the new graph and a report.
///
/// Outputs keep their names. A fused node has the path of the node whose value it computes.
pub fn rewrite(graph: &Graph, cost: &CostModel) -> (Graph, RewriteReport) {
    Rewriter::new(cost).run(graph)
}

/// Rewrites graphs and caches results by body, so that the entries of a model share work.
#[derive(Debug)]
pub struct Rewriter {
    cost: CostModel,
    stages: Vec<Vec<Rewrite<Term, Facts>>>,
    /// Only used for look-ups, never iterated.
    seen: HashMap<Body, Arc<Rewritten>>,
}

/// The result for a body.
#[derive(Debug)]
struct Rewritten {
    body: Arc<Body>,
    /// For each term of `body`, the original terms that a fused operation replaces.
    covers: Arc<Vec<Vec<usize>>>,
    rules: BTreeMap<String, usize>,
    /// Alternatives, by origin.
    runners_up: BTreeMap<usize, RunnerUp>,
}

/// The best alternative to a selected term.
#[derive(Debug)]
struct RunnerUp {
    winner: Head,
    op: String,
    adds_us: f64,
}

impl Rewriter {
    /// A rewriter for one target.
    pub fn new(cost: &CostModel) -> Self {
        let stages = STAGES.iter().map(|(_, rules)| rules().iter().map(Rule::rewrite).collect()).collect();
        Rewriter { cost: cost.clone(), stages, seen: HashMap::new() }
    }

    /// See [`rewrite`].
    pub fn run(&mut self, graph: &Graph) -> (Graph, RewriteReport) {
        let mut parts = Vec::new();
        let mut done = Vec::new();
        for instance in region::split(graph) {
            let rewritten = self.rewritten(&instance.body);
            let (new, covers) = (Arc::clone(&rewritten.body), Arc::clone(&rewritten.covers));
            parts.push(region::Part { old: instance, new, covers });
            done.push(rewritten);
        }
        let report = self.report(graph, &parts, &done);
        (region::assemble(graph, &parts), report)
    }

    fn rewritten(&mut self, body: &Body) -> Arc<Rewritten> {
        if let Some(known) = self.seen.get(body) {
            return Arc::clone(known);
        }
        let mut current = body.clone();
        let mut rules: BTreeMap<String, usize> = BTreeMap::new();
        let mut runners_up = BTreeMap::new();
        for stage in &self.stages {
            let winner = self.stage(stage, current);
            for (rule, count) in winner.fired {
                *rules.entry(rule.to_string()).or_default() += count;
            }
            keep_runners_up(&mut runners_up, &winner.body, winner.runner_up);
            current = winner.body;
        }
        let covers = Arc::new(covers(body, &current));
        let new = Arc::new(Rewritten { body: Arc::new(current), covers, rules, runners_up });
        self.seen.insert(body.clone(), Arc::clone(&new));
        new
    }

    fn stage(&self, rules: &[Rewrite<Term, Facts>], body: Body) -> extract::Extracted {
        let egraph = Facts::egraph(&Arc::new(body), self.cost.max_operands);
        let runner = Runner::<Term, Facts, ()>::new(Facts::default())
            .with_egraph(egraph)
            .with_scheduler(SimpleScheduler)
            .with_iter_limit(MAX_ROUNDS)
            .with_node_limit(MAX_TERMS)
            // Never reached: the result must not depend on the speed of the machine.
            .with_time_limit(Duration::from_secs(u64::from(u32::MAX)))
            .run(rules);
        extract::extract(&runner.egraph, &self.cost)
    }

    /// Equal regions of the same name share an entry.
    fn report(&self, graph: &Graph, parts: &[region::Part], done: &[Arc<Rewritten>]) -> RewriteReport {
        let mut kinds: Vec<(String, *const Rewritten)> = Vec::new();
        let mut report = RewriteReport::default();
        for (part, rewritten) in parts.iter().zip(done) {
            let name = graph.regions.get(part.old.region as usize).map_or("", |r| r.name.as_str());
            let kind = (name.to_string(), Arc::as_ptr(rewritten));
            match kinds.iter().position(|k| *k == kind) {
                Some(at) => report.regions[at].repeats += 1,
                None => {
                    kinds.push(kind);
                    report.regions.push(self.region_report(graph, name, &part.old, rewritten));
                }
            }
        }
        report
    }

    fn region_report(&self, graph: &Graph, name: &str, old: &Instance, new: &Rewritten) -> RegionReport {
        let path = |term: usize| graph.node(old.nodes[term]).path.clone();
        let fused = (0..new.body.terms.len()).filter_map(|term| {
            let op = new.body.terms[term].op().filter(|op| op.is_fused())?;
            let origin = new.body.origin[term]?;
            let covers = &new.covers[term];
            let kernels: Vec<usize> =
                covers.iter().copied().filter(|&c| self.own_cost(&old.body, c) >= self.cost.launch_us).collect();
            let inner = kernels.iter().filter(|&&c| c != origin);
            Some(FusedReport {
                path: path(origin),
                op: show::op(op),
                covers: grouped(covers.iter().map(|&c| (path(c), old.body.terms[c].name()))),
                saved_launches: kernels.len().saturating_sub(1),
                saved_bytes: inner.fold(0.0, |sum, &c| sum + 2.0 * self.cost.bytes(&old.body.types[c], None)),
                instead_of: new.runners_up.get(&origin).map(|r| (r.op.clone(), r.adds_us)),
            })
        });
        let total = |body: &Body| (0..body.terms.len()).map(|t| self.own_cost(body, t)).sum();
        RegionReport {
            name: name.to_string(),
            repeats: 1,
            rules: new.rules.clone(),
            nodes_before: old.body.size(),
            nodes_after: new.body.size(),
            cost_before_us: total(&old.body),
            cost_after_us: total(&new.body),
            fused: fused.collect(),
        }
    }

    fn own_cost(&self, body: &Body, term: usize) -> f64 {
        let operand = |arg: usize| {
            let from = match body.terms[arg].head {
                Head::Leaf(leaf) => Some(body.leaves[leaf as usize].from),
                _ => None,
            };
            (&body.types[arg], from)
        };
        let operands: Vec<_> = body.args(term).map(operand).collect();
        self.cost.term(&body.terms[term], &body.types[term], &operands)
    }
}

/// Merges adjacent nodes of the same path into one entry.
fn grouped(nodes: impl Iterator<Item = (String, String)>) -> Vec<Covered> {
    let mut all: Vec<Covered> = Vec::new();
    for (path, op) in nodes {
        match all.last_mut().filter(|last| last.path == path) {
            Some(last) => last.ops.push(op),
            None => all.push(Covered { path, ops: vec![op] }),
        }
    }
    all
}

/// Records the alternatives to selected terms, by origin. A term that a stage leaves unchanged has no alternative there
/// and keeps its earlier one.
fn keep_runners_up(kept: &mut BTreeMap<usize, RunnerUp>, body: &Body, found: Vec<Option<(String, f64)>>) {
    for ((term, origin), rival) in body.terms.iter().zip(&body.origin).zip(found) {
        let Some(origin) = *origin else { continue };
        match rival {
            Some((op, adds_us)) => {
                kept.insert(origin, RunnerUp { winner: term.head.clone(), op, adds_us });
            }
            None if kept.get(&origin).is_some_and(|r| r.winner != term.head) => {
                kept.remove(&origin);
            }
            None => {}
        }
    }
}

/// For each fused term of `new`, the terms of `old` that it replaces: everything from its origin down to values that
/// still exist.
fn covers(old: &Body, new: &Body) -> Vec<Vec<usize>> {
    let alive: BTreeSet<usize> = new.origin.iter().flatten().copied().collect();
    let cover = |term: usize| {
        let fused = new.terms[term].op().is_some_and(Op::is_fused);
        let Some(root) = new.origin[term].filter(|_| fused) else { return Vec::new() };
        let mut covered = BTreeSet::from([root]);
        let mut open = vec![root];
        while let Some(next) = open.pop() {
            for arg in old.args(next) {
                let node = &old.terms[arg];
                let ends = alive.contains(&arg) || node.is_nullary() || matches!(node.head, Head::Leaf(_));
                if !ends && covered.insert(arg) {
                    open.push(arg);
                }
            }
        }
        covered.into_iter().collect()
    };
    (0..new.terms.len()).map(cover).collect()
}
