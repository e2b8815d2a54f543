//! Finds the parts of a graph that are constant expressions over weights.

use std::collections::{BTreeMap, BTreeSet};

use gristmill_graph::{DType, Dim, Graph, Model, Node, NodeId, Op, Region, numel};

use super::prepared::{Computed, VALUE};

/// A size in elements from which constants are worth computing ahead of time.
const LARGE: i64 = 1 << 10;

/// The body, with every constant matrix that is used as `[K, N]` in a product replaced by its transpose.
///
/// Two transposes cancel, so an embedding table that is also the output projection stays a single weight.
pub(super) fn orient(model: &Model) -> Graph {
    let old = &model.graph;
    let constant = constants(old);
    let mut graph =
        Graph { nodes: Vec::with_capacity(old.nodes.len()), regions: old.regions.clone(), ..Graph::default() };
    let mut renumbered: Vec<NodeId> = Vec::with_capacity(old.nodes.len());
    for id in old.ids() {
        let mut node = old.node(id).clone();
        for input in &mut node.inputs {
            *input = renumbered[input.index()];
        }
        if let (Op::MatMul { transpose_b: false }, [_, b]) = (&node.op, old.node(id).inputs.as_slice())
            && constant[b.index()] == Kind::Weighted
            && old.node(*b).shape.len() == 2
        {
            node.inputs[1] = transposed(&mut graph, node.inputs[1], node.region);
            node.op = Op::MatMul { transpose_b: true };
        }
        graph.nodes.push(node);
        renumbered.push(NodeId(graph.nodes.len() as u32 - 1));
    }
    graph.outputs = old.outputs.iter().map(|(name, id)| (name.clone(), renumbered[id.index()])).collect();
    graph
}

/// The transpose of a matrix: a new node, or the operand if `id` is itself a transpose.
fn transposed(graph: &mut Graph, id: NodeId, region: u32) -> NodeId {
    let node = graph.node(id);
    if node.op == Op::Transpose(vec![1, 0]) {
        return node.inputs[0];
    }
    let shape = node.shape.iter().rev().cloned().collect();
    let path = format!("{}/transposed", node.path);
    let node = Node { op: Op::Transpose(vec![1, 0]), inputs: vec![id], shape, path, region, ..node.clone() };
    graph.nodes.push(node);
    NodeId(graph.nodes.len() as u32 - 1)
}

/// What a node depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// On inputs, states or symbols.
    Variable,
    /// Only on constants of the architecture.
    Constant,
    /// On weights, and possibly constants.
    Weighted,
}

fn constants(graph: &Graph) -> Vec<Kind> {
    let mut kinds: Vec<Kind> = Vec::with_capacity(graph.nodes.len());
    for node in &graph.nodes {
        let fixed = node.shape.iter().all(|d| d.as_const().is_some());
        let sized = node.op.dims().iter().all(|d| d.as_const().is_some());
        let inputs = || node.inputs.iter().map(|i| kinds[i.index()]);
        let kind = if !fixed || !sized || node.op.state().is_some() {
            Kind::Variable
        } else if let Op::Weight(_) = node.op {
            Kind::Weighted
        } else if node.op.is_given() || inputs().any(|k| k == Kind::Variable) {
            Kind::Variable
        } else if inputs().any(|k| k == Kind::Weighted) {
            Kind::Weighted
        } else {
            Kind::Constant
        };
        kinds.push(kind);
    }
    kinds
}

/// The constant expressions of a graph: their roots, and which of them are equal.
pub(super) struct Folding {
    /// Nodes that become stored weights.
    roots: BTreeSet<NodeId>,
    /// Nodes that remain in the graph; the others are folded or unused.
    emitted: Vec<bool>,
    /// For each constant node, the first node that computes the same value.
    canonical: Vec<NodeId>,
}

impl Folding {
    pub(super) fn of(model: &Model) -> Self {
        let graph = &model.graph;
        let kinds = constants(graph);
        let (mut emitted, mut roots) = (vec![false; graph.nodes.len()], BTreeSet::new());
        // Whether a node is needed; `demand` then decides whether it becomes a weight or stays.
        let mut demanded: Vec<bool> = vec![false; graph.nodes.len()];
        for id in graph.outputs.values() {
            demanded[id.index()] = true;
        }
        for id in graph.ids().filter(|id| graph.node(*id).op.written_state().is_some()) {
            demanded[id.index()] = true;
        }
        for id in (0..graph.nodes.len() as u32).rev().map(NodeId) {
            if !demanded[id.index()] {
                continue;
            }
            let stored = match kinds[id.index()] {
                Kind::Weighted => is_worth_storing(graph, id),
                Kind::Constant => is_worth_computing_once(graph, id),
                Kind::Variable => false,
            };
            if stored {
                roots.insert(id);
                continue;
            }
            emitted[id.index()] = true;
            for input in &graph.node(id).inputs {
                demanded[input.index()] = true;
            }
        }
        Self { roots, emitted, canonical: canonical(model, &kinds) }
    }

    /// The nodes that remain, in order.
    pub(super) fn emitted<'a>(&'a self, graph: &Graph) -> impl Iterator<Item = NodeId> + use<'a> {
        graph.ids().filter(|id| self.emitted[id.index()])
    }

    pub(super) fn is_root(&self, id: NodeId) -> bool {
        self.roots.contains(&id)
    }

    /// The first node that computes the same constant as `id`.
    pub(super) fn canonical(&self, id: NodeId) -> NodeId {
        self.canonical[id.index()]
    }

    /// The expression whose value is `root`.
    pub(super) fn expression(&self, model: &Model, root: NodeId) -> Computed {
        let name = VALUE.to_string();
        let whole = Graph { outputs: BTreeMap::from([(name.clone(), root)]), ..model.graph.clone() };
        let mut graph = whole.restricted_to(&[name]);
        graph.regions = vec![Region { name: "constant".into(), index: None }];
        let mut weights = Vec::new();
        for node in &mut graph.nodes {
            node.region = 0;
            if let Op::Weight(w) = &mut node.op {
                let weight = &model.weights[*w as usize];
                let local = weights.iter().position(|other| other == weight).unwrap_or_else(|| {
                    weights.push(weight.clone());
                    weights.len() - 1
                });
                *w = local as u32;
            }
        }
        Computed { graph, weights }
    }
}

/// Whether to store a constant expression as a weight, rather than computing it from its operands in each call. False
/// for broadcasts, which would only cost memory, for reshapes of a vector, which are free, and for values that are not
/// f32.
fn is_worth_storing(graph: &Graph, id: NodeId) -> bool {
    let node = graph.node(id);
    let grows = |input: &NodeId| elements(&node.shape) > elements(&graph.node(*input).shape);
    let vector = |input: &NodeId| graph.node(*input).shape.len() <= 1 && matches!(graph.node(*input).op, Op::Weight(_));
    let repeats = matches!(node.op, Op::Broadcast(_)) && node.inputs.iter().any(grows);
    let reshapes = matches!(node.op, Op::Reshape(_)) && node.inputs.iter().any(vector);
    node.dtype == DType::F32 && !repeats && !reshapes
}

/// Whether to store a constant that depends on no weight: a small result of many numbers, which would otherwise be read
/// again in each call.
fn is_worth_computing_once(graph: &Graph, id: NodeId) -> bool {
    let node = graph.node(id);
    let all = |input: &NodeId| elements(&graph.node(*input).shape) >= LARGE;
    matches!(node.op, Op::Reduce { .. }) && node.dtype == DType::F32 && node.inputs.iter().any(all)
}

fn elements(shape: &[Dim]) -> i64 {
    numel(shape).as_const().unwrap_or(i64::MAX)
}

/// For each node, the first constant node with the same operation and operands; any other node maps to itself.
fn canonical(model: &Model, kinds: &[Kind]) -> Vec<NodeId> {
    let mut first: BTreeMap<(Op, Vec<NodeId>), NodeId> = BTreeMap::new();
    let mut tensors: BTreeMap<(&str, &[u64]), u32> = BTreeMap::new();
    let mut result: Vec<NodeId> = Vec::with_capacity(kinds.len());
    for id in model.graph.ids() {
        let node = model.graph.node(id);
        if kinds[id.index()] == Kind::Variable {
            result.push(id);
            continue;
        }
        let op = if let Op::Weight(w) = node.op {
            let weight = &model.weights[w as usize];
            Op::Weight(*tensors.entry((&weight.source, &weight.shape)).or_insert(w))
        } else {
            node.op.clone()
        };
        let inputs = node.inputs.iter().map(|i| result[i.index()]).collect();
        result.push(*first.entry((op, inputs)).or_insert(id));
    }
    result
}
