//! The analysis of e-graph classes: the type, and the value if it is a constant.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use egg::{Analysis, DidMerge, Id};
use gristmill_graph::{DType, Literal, Op, infer};
use indexmap::IndexMap;

use super::body::{Body, Head, Leaf, Term, Type};
use super::fold;
use super::post_dominators::{PostDominated, post_dominated};

/// An e-graph over the terms of one body.
pub(super) type EGraph = egg::EGraph<Term, Facts>;

/// What is known about a class.
#[derive(Clone, Debug)]
pub(super) struct Fact {
    pub(super) ty: Type,
    /// The value of all elements, if they are the same known constant.
    pub(super) value: Option<Literal>,
    /// The terms of the body in this class, in order.
    pub(super) members: Vec<usize>,
}

/// Shared data: the body that an e-graph was made from, and a log of applied rules.
///
/// Guards ("this value is used only here") look at the body, not at the e-graph. The e-graph holds all alternatives at
/// once, so its parents do not tell how often the extracted body will use a value.
#[derive(Debug, Default)]
pub(super) struct Facts {
    pub(super) body: Arc<Body>,
    /// The class of each term of the body.
    pub(super) ids: Vec<Id>,
    pub(super) users: Vec<Vec<usize>>,
    pub(super) roots: BTreeSet<usize>,
    /// For each term, the values whose element-wise uses all converge in it.
    pub(super) post_dominated: Vec<Vec<PostDominated>>,
    /// Maximum number of operands of a fused operation.
    pub(super) max_operands: usize,
    /// The rules that led to a term, oldest first.
    pub(super) history: IndexMap<Term, Vec<&'static str>>,
    /// Rules that found a class equal to one of its operands.
    pub(super) collapsed: BTreeMap<Id, BTreeSet<&'static str>>,
}

impl Facts {
    /// An e-graph with exactly the terms of `body`.
    pub(super) fn egraph(body: &Arc<Body>, max_operands: usize) -> EGraph {
        let users = body.users();
        let facts = Facts {
            ids: Vec::with_capacity(body.terms.len()),
            roots: body.roots.iter().copied().collect(),
            post_dominated: post_dominated(body, &users),
            users,
            body: Arc::clone(body),
            max_operands,
            history: IndexMap::new(),
            collapsed: BTreeMap::new(),
        };
        let mut egraph = EGraph::new(facts);
        for term in &body.terms {
            let args = term.args.iter().map(|&a| egraph.analysis.ids[usize::from(a)]).collect();
            let id = egraph.add(Term { head: term.head.clone(), args });
            let index = egraph.analysis.ids.len();
            egraph.analysis.ids.push(id);
            egraph[id].data.members.push(index);
        }
        egraph.rebuild();
        egraph
    }
}

/// The type of a term whose arguments are in the e-graph.
pub(super) fn type_of(egraph: &EGraph, term: &Term) -> Result<Type, String> {
    let body = &egraph.analysis.body;
    let declared = |ty: Option<&Type>| ty.cloned().ok_or_else(|| "not declared by the body".to_string());
    match &term.head {
        Head::Leaf(i) => declared(body.leaves.get(*i as usize).map(|l| &l.ty)),
        Head::Store(i) => declared(body.slots.get(*i as usize)),
        Head::Op(op) => {
            let operands: Vec<_> = term
                .args
                .iter()
                .map(|&a| {
                    let ty = &egraph[a].data.ty;
                    (ty.shape.as_slice(), ty.dtype)
                })
                .collect();
            infer(op, &operands).map(|(shape, dtype)| Type { shape, dtype })
        }
    }
}

/// The leaf in a class, if it contains one.
pub(super) fn leaf(egraph: &EGraph, class: Id) -> Option<&Leaf> {
    egraph[class].nodes.iter().find_map(|t| match t.head {
        Head::Leaf(i) => egraph.analysis.body.leaves.get(i as usize),
        _ => None,
    })
}

impl Analysis<Term> for Facts {
    type Data = Fact;

    fn make(egraph: &mut EGraph, term: &Term, _id: Id) -> Fact {
        // Terms of the body are well-typed, and rules only add terms whose type can be inferred.
        let ty = type_of(egraph, term).unwrap_or_else(|message| {
            debug_assert!(false, "{}: {message}", term.name());
            Type { shape: Vec::new(), dtype: DType::F32 }
        });
        let value = term.op().and_then(|op| {
            let values: Vec<_> = term.args.iter().map(|&a| egraph[a].data.value).collect();
            fold::uniform(op, &values)
        });
        Fact { ty, value, members: Vec::new() }
    }

    fn merge(&mut self, a: &mut Fact, b: Fact) -> DidMerge {
        debug_assert_eq!(a.ty, b.ty, "equal terms have equal types");
        a.members.extend(b.members);
        a.members.sort_unstable();
        // No user's facts depend on the members, so only a new value counts as a change.
        match (a.value, b.value) {
            (None, Some(v)) => {
                a.value = Some(v);
                DidMerge(true, false)
            }
            (Some(_), None) => DidMerge(false, true),
            _ => DidMerge(false, false),
        }
    }

    /// A scalar with a known value is that constant.
    fn modify(egraph: &mut EGraph, id: Id) {
        let fact = &egraph[id].data;
        let (Some(value), true) = (fact.value, fact.ty.shape.is_empty()) else { return };
        if fact.ty.dtype == value.dtype() {
            let constant = egraph.add(Term::new(Op::Const(value), Vec::new()));
            egraph.union(id, constant);
        }
    }
}
