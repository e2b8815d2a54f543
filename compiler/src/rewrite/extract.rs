//! From the e-graph of a body to the best body.

use std::collections::BTreeMap;

use egg::{CostFunction, Extractor, Id};

use super::body::{Body, Term};
use super::cost::{CostModel, TermCost};
use super::facts::{EGraph, members};
use super::rule::canonical_history;

/// The winner of one run.
pub(super) struct Extracted {
    pub(super) body: Body,
    /// How often each rule took part in the winner.
    pub(super) fired: BTreeMap<&'static str, usize>,
    /// For every term of the winner the best other term of its class, and how many microseconds it would add.
    pub(super) runner_up: Vec<Option<(String, f64)>>,
}

/// Takes the cheapest term of every class that the roots need. Each class becomes one term of the result, so
/// values that were shared stay shared.
pub(super) fn extract(egraph: &EGraph, model: &CostModel) -> Extracted {
    let old = &egraph.analysis.body;
    let extractor = Extractor::new(egraph, TermCost { model, egraph });
    let mut walk = Walk {
        egraph,
        extractor,
        cost: TermCost { model, egraph },
        history: canonical_history(egraph),
        placed: BTreeMap::new(),
        out: Extracted {
            body: Body { leaves: old.leaves.clone(), slots: old.slots.clone(), ..Body::default() },
            fired: BTreeMap::new(),
            runner_up: Vec::new(),
        },
    };
    let roots: Vec<usize> = old.roots.iter().map(|&root| walk.place(egraph.analysis.ids[root])).collect();
    let mut out = walk.out;
    out.body.roots = roots;
    out
}

struct Walk<'a> {
    egraph: &'a EGraph,
    extractor: Extractor<'a, TermCost<'a>, Term, super::facts::Facts>,
    cost: TermCost<'a>,
    history: BTreeMap<Term, Vec<&'static str>>,
    placed: BTreeMap<Id, usize>,
    out: Extracted,
}

impl Walk<'_> {
    fn place(&mut self, class: Id) -> usize {
        let class = self.egraph.find(class);
        if let Some(&at) = self.placed.get(&class) {
            return at;
        }
        let best = self.extractor.find_best_node(class).clone();
        let args = best.args.iter().map(|&a| Id::from(self.place(a))).collect();
        let at = self.out.body.terms.len();
        self.placed.insert(class, at);
        let body = &mut self.out.body;
        body.terms.push(Term { head: best.head.clone(), args });
        body.types.push(self.egraph[class].data.ty.clone());
        body.origin.push(origin(self.egraph, class, &best));
        let collapsed = self.egraph.analysis.collapsed.iter();
        let collapsed = collapsed.filter(|(id, _)| self.egraph.find(**id) == class).flat_map(|(_, rules)| rules);
        for rule in self.history.get(&best).into_iter().flatten().chain(collapsed) {
            *self.out.fired.entry(rule).or_default() += 1;
        }
        let runner_up = self.runner_up(class, &best);
        self.out.runner_up.push(runner_up);
        at
    }

    fn runner_up(&mut self, class: Id, best: &Term) -> Option<(String, f64)> {
        let won = self.extractor.find_best_cost(class);
        let mut second: Option<(String, f64)> = None;
        for term in self.egraph[class].nodes.iter().filter(|t| *t != best) {
            let cost = self.cost.cost(term, |id| self.extractor.find_best_cost(id)) - won;
            if second.as_ref().is_none_or(|(_, other)| cost < *other) {
                second = Some((term.name(), cost));
            }
        }
        second
    }
}

/// Which value of the first body a class is. If several turned out to be equal, the one with the chosen
/// operation gives the name, else the last (the one nearest to its users).
fn origin(egraph: &EGraph, class: Id, best: &Term) -> Option<usize> {
    let body = &egraph.analysis.body;
    let all: Vec<usize> = members(egraph, class).filter(|&t| body.origin[t].is_some()).collect();
    let same = all.iter().find(|&&t| body.terms[t].head == best.head);
    same.or(all.last()).and_then(|&t| body.origin[t])
}
