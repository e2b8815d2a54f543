//! Extracts the cheapest body from an e-graph.

use std::collections::BTreeMap;

use egg::Id;

use super::body::{Body, Term};
use super::cost::CostModel;
use super::facts::{EGraph, leaf};
use super::rule::history_of;

/// The result of one extraction.
pub(super) struct Extracted {
    pub(super) body: Body,
    /// How often each rule contributed to the result.
    pub(super) fired: BTreeMap<&'static str, usize>,
    /// For each term of the result, the best alternative in its class and its extra cost in microseconds.
    pub(super) runner_up: Vec<Option<(String, f64)>>,
}

/// Selects the cheapest term of each class that the roots need. Each class becomes one term of the result, so shared
/// values stay shared.
pub(super) fn extract(egraph: &EGraph, model: &CostModel) -> Extracted {
    let old = &egraph.analysis.body;
    let mut walk = Walk {
        egraph,
        choice: Choice::new(egraph, model),
        placed: BTreeMap::new(),
        out: Extracted {
            body: Body { leaves: old.leaves.clone(), slots: old.slots.clone(), ..Body::default() },
            fired: BTreeMap::new(),
            runner_up: Vec::new(),
        },
    };
    let roots: Vec<usize> = old.roots.iter().map(|&root| walk.place(egraph.analysis.ids[root])).collect();
    walk.out.body.roots = roots;
    walk.out
}

/// The cost of one term in microseconds, without its operands.
fn own_cost(egraph: &EGraph, model: &CostModel, class: Id, term: &Term) -> f64 {
    let operands: Vec<_> = term.args.iter().map(|&a| (&egraph[a].data.ty, leaf(egraph, a).map(|l| l.from))).collect();
    model.term(term, &egraph[class].data.ty, &operands)
}

/// A set of classes, as bits by position in [`Choice::position`].
type Set = Vec<u64>;

/// The selected term of a class.
struct Best<'a> {
    term: &'a Term,
    own: f64,
    /// The class, and all classes that it needs.
    needs: Set,
    /// The total cost of these, each counted once.
    total: f64,
}

/// Selects the cheapest term of each class, greedily from the leaves up. A value that several operands share is counted
/// once.
struct Choice<'a> {
    model: &'a CostModel,
    position: BTreeMap<Id, usize>,
    best: Vec<Option<Best<'a>>>,
}

/// Enough for the costs to converge: each pass propagates better choices by at least one class, and classes are nearly
/// in topological order.
const MAX_PASSES: usize = 64;

/// Smaller differences are rounding errors.
const SAME_US: f64 = 1e-7;

impl<'a> Choice<'a> {
    fn new(egraph: &'a EGraph, model: &'a CostModel) -> Self {
        let mut ids: Vec<Id> = egraph.classes().map(|c| c.id).collect();
        ids.sort_unstable();
        let position = ids.iter().enumerate().map(|(i, id)| (*id, i)).collect();
        let mut choice = Choice { model, position, best: ids.iter().map(|_| None).collect() };
        let terms: Vec<Vec<(&Term, f64)>> = ids
            .iter()
            .map(|&id| egraph[id].nodes.iter().map(|t| (t, own_cost(egraph, model, id, t))).collect())
            .collect();
        for _ in 0..MAX_PASSES {
            let mut changed = false;
            for (at, terms) in terms.iter().enumerate() {
                for &(term, own) in terms {
                    changed |= choice.offer(egraph, at, term, own);
                }
            }
            if !changed {
                break;
            }
        }
        choice
    }

    /// Selects the term if it is the first or the cheapest so far. Returns whether anything changed.
    fn offer(&mut self, egraph: &EGraph, at: usize, term: &'a Term, own: f64) -> bool {
        let Some((needs, total)) = self.with_operands(egraph, at, term, own) else { return false };
        let better = match &self.best[at] {
            None => true,
            // The classes that the selected term needs may have become cheaper in the meantime.
            Some(old) if old.term == term => (total - old.total).abs() > SAME_US || needs != old.needs,
            Some(old) => total < old.total - SAME_US,
        };
        if better {
            self.best[at] = Some(Best { term, own, needs, total });
        }
        better
    }

    /// All classes that a term of class `at` needs, and their cost; `None` if it is not known yet, or if there is a
    /// cycle.
    fn with_operands(&self, egraph: &EGraph, at: usize, term: &Term, own: f64) -> Option<(Set, f64)> {
        let mut needs: Set = vec![0; self.best.len().div_ceil(64)];
        for &arg in &term.args {
            let operand = self.best[self.position[&egraph.find(arg)]].as_ref()?;
            for (all, more) in needs.iter_mut().zip(&operand.needs) {
                *all |= more;
            }
        }
        let (word, bit) = (at / 64, 1u64 << (at % 64));
        if needs[word] & bit != 0 {
            return None;
        }
        let below: f64 = members(&needs).filter_map(|i| self.best[i].as_ref()).map(|b| b.own).sum();
        needs[word] |= bit;
        Some((needs, own + below))
    }
}

fn members(set: &Set) -> impl Iterator<Item = usize> + '_ {
    set.iter()
        .enumerate()
        .flat_map(|(word, &bits)| (0..64).filter(move |b| bits >> b & 1 == 1).map(move |b| word * 64 + b))
}

struct Walk<'a> {
    egraph: &'a EGraph,
    choice: Choice<'a>,
    placed: BTreeMap<Id, usize>,
    out: Extracted,
}

impl Walk<'_> {
    fn place(&mut self, class: Id) -> usize {
        let class = self.egraph.find(class);
        if let Some(&at) = self.placed.get(&class) {
            return at;
        }
        let best = self.chosen(class);
        let args = best.args.iter().map(|&a| Id::from(self.place(a))).collect();
        let at = self.out.body.terms.len();
        self.placed.insert(class, at);
        let body = &mut self.out.body;
        body.terms.push(Term { head: best.head.clone(), args });
        body.types.push(self.egraph[class].data.ty.clone());
        body.origin.push(origin(self.egraph, class, &best));
        let facts = &self.egraph.analysis;
        let collapsed = facts.collapsed.iter().filter(|(id, _)| self.egraph.find(**id) == class);
        for rule in history_of(self.egraph, &best).iter().chain(collapsed.flat_map(|(_, rules)| rules)) {
            *self.out.fired.entry(rule).or_default() += 1;
        }
        let runner_up = self.runner_up(class, &best);
        self.out.runner_up.push(runner_up);
        at
    }

    /// The selected term. Every class has one: it contains a term of the acyclic graph that the e-graph was made from,
    /// or one that a rule built from such terms.
    fn chosen(&self, class: Id) -> Term {
        let best = self.choice.best[self.choice.position[&class]].as_ref();
        debug_assert!(best.is_some(), "class {class} has no finite term");
        best.map_or(&self.egraph[class].nodes[0], |b| b.term).clone()
    }

    fn runner_up(&self, class: Id, best: &Term) -> Option<(String, f64)> {
        let at = self.choice.position[&class];
        let won = self.choice.best[at].as_ref()?;
        let mut second: Option<(String, f64)> = None;
        for term in self.egraph[class].nodes.iter().filter(|t| *t != best) {
            let own = own_cost(self.egraph, self.choice.model, class, term);
            let Some((_, total)) = self.choice.with_operands(self.egraph, at, term, own) else { continue };
            let cost = total - won.total;
            if second.as_ref().is_none_or(|(_, other)| cost < *other) {
                second = Some((term.name(), cost));
            }
        }
        second
    }
}

/// The term of the first body with the value of a class. If there are several, the one with the selected operation, or
/// else the last one (the one nearest to its users).
fn origin(egraph: &EGraph, class: Id, best: &Term) -> Option<usize> {
    let body = &egraph.analysis.body;
    let all: Vec<usize> = egraph[class].data.members.iter().copied().filter(|&t| body.origin[t].is_some()).collect();
    let same = all.iter().find(|&&t| body.terms[t].head == best.head);
    same.or(all.last()).and_then(|&t| body.origin[t])
}
