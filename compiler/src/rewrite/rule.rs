//! Rules, and how egg runs them.

use egg::{Applier, Id, PatternAst, Rewrite, SearchMatches, Searcher, Subst, Symbol, Var};
use gristmill_graph::Dim;

use super::body::{Origin, Term};
use super::facts::{EGraph, Facts, leaf, type_of};
use super::fold::as_f64;
use super::fusion_region::private;
use super::pattern::{Match, New, Pattern};

/// A rule: a name, and a function that finds equal terms.
#[derive(Clone, Debug)]
pub(super) struct Rule {
    /// In `kebab-case`. It appears in reports and names the test case.
    pub(super) name: &'static str,
    body: RuleBody,
    conditions: Vec<If>,
}

#[derive(Clone, Debug)]
enum RuleBody {
    Equation(Box<(Pattern, Pattern)>),
    Find(fn(&EGraph, Id) -> Vec<Found>),
}

/// A term that is equal to a class.
#[derive(Clone, Debug)]
pub(super) struct Found {
    pub(super) new: New,
    /// The terms that it was made from.
    pub(super) from: Vec<Term>,
}

/// A condition on the variables of an equation.
#[derive(Clone, Copy, Debug)]
pub(super) enum If {
    /// All elements of the value are the same known constant.
    Constant(&'static str),
    /// The constant equals the length of the last axis of the other variable.
    Length(&'static str, &'static str),
    /// The constant equals one over the length of the last axis of the other variable.
    PerLength(&'static str, &'static str),
    /// The value is a vector with one element per position of the last axis of the other variable.
    PerFeature(&'static str, &'static str),
    /// The value is a weight matrix: of rank 2, and a leaf.
    WeightMatrix(&'static str),
    /// Rank 2 or more.
    Batched(&'static str),
    /// Everything between the class and the variables is only used for this class; see [`private`].
    Private,
}

/// A rule given as an equation, applied from left to right.
///
/// # Panics
/// If a side cannot be parsed. Rules are part of the program, and a test parses all of them.
pub(super) fn rule(name: &'static str, left: &str, right: &str) -> Rule {
    let side = |text| Pattern::parse(text).unwrap_or_else(|message| panic!("rule {name}: {message}"));
    Rule { name, body: RuleBody::Equation(Box::new((side(left), side(right)))), conditions: Vec::new() }
}

/// A rule given as a function from a class to terms that are equal to it.
pub(super) fn finder(name: &'static str, find: fn(&EGraph, Id) -> Vec<Found>) -> Rule {
    Rule { name, body: RuleBody::Find(find), conditions: Vec::new() }
}

impl Rule {
    /// Adds conditions.
    pub(super) fn when(mut self, conditions: &[If]) -> Self {
        self.conditions.extend_from_slice(conditions);
        self
    }

    /// The terms that this rule finds equal to `class`.
    fn find(&self, egraph: &EGraph, class: Id) -> Vec<Found> {
        match &self.body {
            RuleBody::Find(find) => find(egraph, class),
            RuleBody::Equation(sides) => sides
                .0
                .matches(egraph, class, &Match::default())
                .into_iter()
                .filter(|found| self.conditions.iter().all(|c| c.holds(egraph, class, found)))
                .filter_map(|found| Some(Found { new: sides.1.build(egraph, &found)?, from: found.terms }))
                .collect(),
        }
    }

    /// The rule in egg's form.
    pub(super) fn rewrite(&self) -> Rewrite<Term, Facts> {
        let run = Run(self.clone());
        Rewrite::new(self.name, run.clone(), run).unwrap_or_else(|message| panic!("rule {}: {message}", self.name))
    }
}

impl If {
    fn holds(self, egraph: &EGraph, class: Id, found: &Match) -> bool {
        let value = |var| found.class(var).and_then(|id| egraph[id].data.value).and_then(as_f64);
        let shape = |var| found.class(var).map(|id| egraph[id].data.ty.shape.as_slice());
        let last = |var| shape(var).and_then(<[Dim]>::last);
        let length = |var| last(var).and_then(Dim::as_const).map(|n| n as f64);
        match self {
            If::Constant(c) => value(c).is_some(),
            If::Length(c, x) => value(c).is_some() && value(c) == length(x),
            If::PerLength(c, x) => match (value(c), length(x)) {
                (Some(c), Some(n)) if n > 0.0 => c as f32 == (1.0 / n) as f32,
                _ => false,
            },
            If::PerFeature(w, x) => match (shape(w), last(x)) {
                (Some([n]), Some(of)) => n == of,
                _ => false,
            },
            If::WeightMatrix(w) => found.class(w).is_some_and(|id| is_weight_matrix(egraph, id)),
            If::Batched(x) => shape(x).is_some_and(|s| s.len() >= 2),
            If::Private => private(egraph, class, &found.classes()),
        }
    }
}

/// Whether a matrix is in memory, with a size that the kernels of linear layers support.
fn is_weight_matrix(egraph: &EGraph, class: Id) -> bool {
    let shape = &egraph[class].data.ty.shape;
    shape.len() == 2 && shape.iter().all(|d| d.as_const().is_some()) && leaf(egraph, class).is_some()
}

/// The kind of leaf in a class that is a stored weight; `None` for other classes.
pub(super) fn stored(egraph: &EGraph, class: Id) -> Option<Origin> {
    leaf(egraph, class).map(|l| l.from)
}

/// A rule as both searcher and applier. The search only finds the classes that match, and the application matches
/// again, because the attributes of new operations do not fit into egg's substitutions.
#[derive(Clone)]
struct Run(Rule);

impl Searcher<Term, Facts> for Run {
    fn search_eclass_with_limit(&self, egraph: &EGraph, class: Id, _limit: usize) -> Option<SearchMatches<'_, Term>> {
        let found = !self.0.find(egraph, class).is_empty();
        found.then(|| SearchMatches { eclass: class, substs: vec![Subst::default()], ast: None })
    }

    fn vars(&self) -> Vec<Var> {
        Vec::new()
    }
}

impl Applier<Term, Facts> for Run {
    fn apply_one(&self, egraph: &mut EGraph, class: Id, _: &Subst, _: Option<&PatternAst<Term>>, _: Symbol) -> Vec<Id> {
        let mut changed = Vec::new();
        for found in self.0.find(egraph, class) {
            let expected = egraph[class].data.ty.clone();
            let Some((id, term)) = add(egraph, &found.new) else { continue };
            // A rule may simplify an expression only if broadcasting did not enlarge it.
            if egraph[id].data.ty != expected || egraph.find(class) == egraph.find(id) {
                continue;
            }
            self.log(egraph, class, term, &found);
            if egraph.union(class, id) {
                changed.push(id);
            }
        }
        changed
    }
}

impl Run {
    /// Logs what this rule did, for the report.
    fn log(&self, egraph: &mut EGraph, class: Id, term: Option<Term>, found: &Found) {
        let Some(term) = term else {
            egraph.analysis.collapsed.entry(class).or_default().insert(self.0.name);
            return;
        };
        let mut history: Vec<&'static str> = Vec::new();
        for from in &found.from {
            history.extend(history_of(egraph, from));
        }
        history.push(self.0.name);
        egraph.analysis.history.entry(term).or_insert(history);
    }
}

/// The rules that led to a term, oldest first. The log uses the class ids of the time of the entry.
pub(super) fn history_of<'a>(egraph: &'a EGraph, term: &Term) -> &'a [&'static str] {
    let history = &egraph.analysis.history;
    let same = |old: &Term| {
        let args = || old.args.iter().zip(&term.args);
        old.head == term.head
            && old.args.len() == term.args.len()
            && args().all(|(a, b)| egraph.find(*a) == egraph.find(*b))
    };
    let known = history.get(term).or_else(|| history.iter().find(|(old, _)| same(old)).map(|(_, rules)| rules));
    known.map_or(&[], Vec::as_slice)
}

/// Adds terms if their types can be inferred. Returns the class and the outermost term (`None` for a variable), or
/// `None` if a term is ill-typed.
fn add(egraph: &mut EGraph, new: &New) -> Option<(Id, Option<Term>)> {
    match new {
        New::Class(id) => Some((egraph.find(*id), None)),
        New::Term(op, args) => {
            let args = args.iter().map(|a| Some(add(egraph, a)?.0)).collect::<Option<Vec<_>>>()?;
            let term = Term::new(op.clone(), args);
            type_of(egraph, &term).ok()?;
            Some((egraph.add(term.clone()), Some(term)))
        }
    }
}
