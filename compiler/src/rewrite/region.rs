//! Splits a graph into bodies, one per region, and reassembles the rewritten bodies.

use std::collections::BTreeMap;
use std::sync::Arc;

use egg::Id;
use gristmill_graph::{Graph, Node, NodeId, Op, Precision};

use super::body::{Body, Head, Leaf, Origin, Term, Type};

/// A region of a graph: a body, and the nodes that its indices stand for.
#[derive(Clone, Debug)]
pub(super) struct Instance {
    /// Index in [`Graph::regions`].
    pub(super) region: u32,
    pub(super) body: Body,
    /// The graph node of each term.
    pub(super) nodes: Vec<NodeId>,
    /// The graph node of each leaf.
    leaves: Vec<NodeId>,
    /// The operation that writes each slot's state, with the index of the state.
    states: Vec<Op>,
}

/// Nodes that belong to no body: inputs, reads of states, and weights with their dequantization.
fn is_global(graph: &Graph, id: NodeId) -> bool {
    let node = graph.node(id);
    let of_weight = || node.inputs.iter().all(|&i| matches!(graph.node(i).op, Op::Weight(_)));
    node.op.is_given() && (node.op != Op::Dequantize || of_weight())
}

/// Constants and the like. They are copied into each region that reads them, so that rules see their values.
fn is_nullary(graph: &Graph, id: NodeId) -> bool {
    let node = graph.node(id);
    node.inputs.is_empty() && !is_global(graph, id)
}

/// The nodes that outputs or states need. Other nodes must not count as users.
fn live(graph: &Graph) -> Vec<bool> {
    let mut live = vec![false; graph.nodes.len()];
    for id in graph.outputs.values() {
        live[id.index()] = true;
    }
    for (i, node) in graph.nodes.iter().enumerate().rev() {
        live[i] |= node.op.written_state().is_some();
        if live[i] {
            node.inputs.iter().for_each(|input| live[input.index()] = true);
        }
    }
    live
}

/// The bodies of a graph, in order of regions.
pub(super) fn split(graph: &Graph) -> Vec<Instance> {
    let live = live(graph);
    let mut seen_outside = vec![false; graph.nodes.len()];
    for id in graph.ids().filter(|id| live[id.index()]) {
        let node = graph.node(id);
        for &input in &node.inputs {
            let crosses = graph.node(input).region != node.region && !is_nullary(graph, input);
            seen_outside[input.index()] |= crosses;
        }
        seen_outside[id.index()] |= node.op.written_state().is_some();
    }
    for id in graph.outputs.values() {
        seen_outside[id.index()] = true;
    }
    let mut by_region: BTreeMap<u32, Builder<'_>> = BTreeMap::new();
    for id in graph.ids().filter(|id| live[id.index()]) {
        let region = graph.node(id).region;
        let read_here = seen_outside[id.index()] || !is_nullary(graph, id);
        if !is_global(graph, id) && read_here {
            let builder = by_region.entry(region).or_insert_with(|| Builder::new(graph, region));
            let term = builder.term(id);
            if seen_outside[id.index()] {
                builder.instance.body.roots.push(term);
            }
        }
    }
    by_region.into_values().map(|builder| builder.instance).filter(|i| !i.body.roots.is_empty()).collect()
}

struct Builder<'a> {
    graph: &'a Graph,
    instance: Instance,
    terms: BTreeMap<NodeId, usize>,
}

impl<'a> Builder<'a> {
    fn new(graph: &'a Graph, region: u32) -> Self {
        let instance =
            Instance { region, body: Body::default(), nodes: Vec::new(), leaves: Vec::new(), states: Vec::new() };
        Builder { graph, instance, terms: BTreeMap::new() }
    }

    /// The term of a node, created on first use. Operands in this region precede it, so the recursion is shallow.
    fn term(&mut self, id: NodeId) -> usize {
        if let Some(&term) = self.terms.get(&id) {
            return term;
        }
        let node = self.graph.node(id);
        let ty = Type { shape: node.shape.clone(), dtype: node.dtype };
        let foreign = node.region != self.instance.region && !is_nullary(self.graph, id);
        let term = if foreign || is_global(self.graph, id) {
            let leaf = self.instance.leaves.len() as u32;
            self.instance.leaves.push(id);
            self.instance.body.leaves.push(Leaf { ty: ty.clone(), from: stored(self.graph, node) });
            Term { head: Head::Leaf(leaf), args: Vec::new() }
        } else {
            let args = node.inputs.iter().map(|&i| Id::from(self.term(i))).collect();
            let head = match &node.op {
                op if op.written_state().is_some() => {
                    self.instance.states.push(op.clone());
                    self.instance.body.slots.push(ty.clone());
                    Head::Store(self.instance.states.len() as u32 - 1)
                }
                op => Head::Op(op.clone()),
            };
            Term { head, args }
        };
        let body = &mut self.instance.body;
        let at = body.terms.len();
        body.terms.push(term);
        body.types.push(ty);
        body.origin.push(Some(at));
        self.instance.nodes.push(id);
        self.terms.insert(id, at);
        at
    }
}

fn stored(graph: &Graph, node: &Node) -> Origin {
    let weight = if node.op == Op::Dequantize { node.inputs.first().map(|&i| graph.node(i)) } else { Some(node) };
    let weight = weight.filter(|n| matches!(n.op, Op::Weight(_)));
    match weight {
        Some(weight) => Origin::Weight(node.precision.or(weight.precision).unwrap_or(Precision::F32)),
        None => Origin::Value,
    }
}

/// A region before and after rewriting.
#[derive(Clone, Debug)]
pub(super) struct Part {
    pub(super) old: Instance,
    pub(super) new: Arc<Body>,
    /// For each new term, the old terms that it replaces. They provide a role if the root has none.
    pub(super) covers: Arc<Vec<Vec<usize>>>,
}

/// The graph with the new body of each region.
pub(super) fn assemble(graph: &Graph, parts: &[Part]) -> Graph {
    let mut roots = BTreeMap::new();
    for (at, part) in parts.iter().enumerate() {
        for (&old, &root) in part.old.body.roots.iter().zip(&part.new.roots) {
            roots.insert(part.old.nodes[old], (at, root));
        }
    }
    let placed = parts.iter().map(|part| vec![None; part.new.terms.len()]).collect();
    let out = Graph { regions: graph.regions.clone(), ..Graph::default() };
    let mut assembly = Assembly { graph, parts, roots, out, globals: BTreeMap::new(), placed };
    let order: Vec<NodeId> = assembly.roots.keys().copied().collect();
    for id in order {
        assembly.outside(id);
    }
    for (name, &id) in &graph.outputs {
        let new = assembly.outside(id);
        assembly.out.outputs.insert(name.clone(), new);
    }
    assembly.out
}

struct Assembly<'a> {
    graph: &'a Graph,
    parts: &'a [Part],
    /// For nodes that are used outside their region: the instance, and the term in its new body.
    roots: BTreeMap<NodeId, (usize, usize)>,
    out: Graph,
    globals: BTreeMap<NodeId, NodeId>,
    placed: Vec<Vec<Option<NodeId>>>,
}

impl Assembly<'_> {
    /// The new node of an old one that is used outside its region.
    fn outside(&mut self, id: NodeId) -> NodeId {
        if let Some(&(part, term)) = self.roots.get(&id) {
            return self.inside(part, term, 0);
        }
        if let Some(&new) = self.globals.get(&id) {
            return new;
        }
        let mut node = self.graph.node(id).clone();
        node.inputs = node.inputs.iter().map(|&i| self.outside(i)).collect();
        let new = self.push(node);
        self.globals.insert(id, new);
        new
    }

    /// The new node of a term. `user` is the old term whose name it takes if it has none of its own.
    fn inside(&mut self, part: usize, term: usize, user: usize) -> NodeId {
        if let Some(new) = self.placed[part][term] {
            return new;
        }
        let Part { old: instance, new: body, covers } = &self.parts[part];
        let node = match &body.terms[term].head {
            Head::Leaf(leaf) => {
                let new = self.outside(instance.leaves[*leaf as usize]);
                self.placed[part][term] = Some(new);
                return new;
            }
            Head::Store(slot) => instance.states[*slot as usize].clone(),
            Head::Op(op) => op.clone(),
        };
        let old = body.origin[term].unwrap_or(user);
        let inputs = body.args(term).map(|arg| self.inside(part, arg, old)).collect();
        let source = self.graph.node(instance.nodes[old]);
        let covered = covers[term].iter().map(|&c| self.graph.node(instance.nodes[c]));
        let role = source.role.clone().or_else(|| covered.rev().find_map(|n| n.role.clone()));
        let ty = &body.types[term];
        let new = self.push(Node {
            op: node,
            inputs,
            shape: ty.shape.clone(),
            dtype: ty.dtype,
            path: source.path.clone(),
            role,
            precision: source.precision,
            region: instance.region,
        });
        self.placed[part][term] = Some(new);
        new
    }

    fn push(&mut self, node: Node) -> NodeId {
        self.out.nodes.push(node);
        NodeId(self.out.nodes.len() as u32 - 1)
    }
}
