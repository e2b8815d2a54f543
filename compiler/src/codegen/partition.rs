//! Decides which values become buffers.
//!
//! *Anchors* (contractions, reductions, norms, attention, writes to states) each get a kernel. Everything else is
//! computed inside the kernel that reads it, unless that would be wrong (the reader needs plain memory) or wasteful
//! (several kernels would repeat expensive work).

use std::collections::BTreeSet;

use gristmill_graph::{Graph, Node, NodeId, Op, Role};

/// Larger inlined expressions are split, so that shaders stay readable and compile fast.
const MAX_INLINE: usize = 48;

/// Where values are stored.
#[derive(Clone, Debug)]
pub struct Partition {
    /// For each node: whether it is stored in a buffer, in its own layout.
    pub stored: Vec<bool>,
    /// For each anchor, the node in whose layout its result is stored. This is the anchor itself, or the end of a chain
    /// of transposes and reshapes without other readers, so that the movement is free. If the results of several
    /// products are concatenated, each writes its own range of the result.
    pub root: Vec<Option<NodeId>>,
}

/// Whether a value is available without a kernel: it is in memory, or a constant or counter.
fn is_leaf(op: &Op) -> bool {
    *op != Op::Dequantize && matches!(op.traits().role, Role::Given | Role::Constant)
}

/// Whether a value has no operands but may have several elements, so that it can be stored.
fn is_counter(op: &Op) -> bool {
    matches!(op, Op::Iota(_) | Op::Size(_))
}

/// The node below a chain of views.
pub fn strip_views(graph: &Graph, mut id: NodeId) -> NodeId {
    while graph.node(id).op.is_view() {
        id = graph.node(id).inputs[0];
    }
    id
}

/// Decides which nodes of `graph` are stored. Stores further values where a kernel would bind more than `buffers`
/// buffers, as far as that helps.
pub fn partition(graph: &Graph, buffers: usize) -> Partition {
    let users = graph.users();
    let mut is_output = vec![false; graph.nodes.len()];
    for id in graph.outputs.values() {
        is_output[id.index()] = true;
    }
    let mut stored: Vec<bool> = graph.ids().map(|id| is_output[id.index()]).collect();
    let mut root = vec![None; graph.nodes.len()];
    for id in graph.ids() {
        if graph.node(id).op.is_anchor() {
            let end = layout_root(graph, &users, &is_output, id);
            root[id.index()] = Some(end);
            stored[end.index()] = true;
        }
    }
    for id in graph.ids() {
        let node = graph.node(id);
        for operand in node.inputs.iter().take(node.op.anchor().map_or(0, |a| a.direct)) {
            let base = strip_views(graph, *operand);
            if !is_leaf(&graph.node(base).op) || is_counter(&graph.node(base).op) {
                stored[base.index()] = true;
            }
        }
    }
    cut_expensive(graph, &users, &mut stored);
    hold_updates(graph, &root, &mut stored);
    // A value inside a layout chain is not itself a buffer.
    for id in graph.ids() {
        if let Some(end) = root[id.index()] {
            let mut at = id;
            while at != end {
                stored[at.index()] = false;
                at = users[at.index()][0];
            }
            stored[end.index()] = true;
        }
        if is_leaf(&graph.node(id).op) && !is_output[id.index()] {
            stored[id.index()] = is_counter(&graph.node(id).op) && stored[id.index()];
        }
    }
    cut_wide(graph, &root, &mut stored, buffers);
    Partition { stored, root }
}

/// Stores the new value of a state if it is computed from a state's old content. No kernel may read and write the same
/// memory, and all readers of a state run before the kernel that overwrites it.
fn hold_updates(graph: &Graph, root: &[Option<NodeId>], stored: &mut [bool]) {
    // Whether the kernel that computes a node reads a state.
    let mut reads = vec![false; graph.nodes.len()];
    for id in graph.ids() {
        let Node { op, inputs, .. } = graph.node(id);
        let inside = |input: &NodeId| !stored[input.index()] && root[input.index()].is_none() && reads[input.index()];
        let here = op.previous_state().is_some() || inputs.iter().any(inside);
        reads[id.index()] = here;
        if let (Op::StateUpdate(_), [x], true) = (op, inputs.as_slice(), here) {
            stored[x.index()] = true;
        }
    }
}

/// Follows transposes and reshapes that are the only reader of their operand, and concatenations of products.
fn layout_root(graph: &Graph, users: &[Vec<NodeId>], is_output: &[bool], anchor: NodeId) -> NodeId {
    let mut at = anchor;
    // States and packed bytes have their own layouts.
    if graph.node(anchor).op.anchor().is_some_and(|a| a.own_layout) {
        return at;
    }
    while !is_output[at.index()] {
        let [user] = users[at.index()].as_slice() else { break };
        // Absorbing a transpose saves a copy; a reshape keeps the memory order and is free anyway.
        let moves = matches!(graph.node(*user).op, Op::Transpose(_) | Op::Reshape(_));
        if !moves && !joins_products(graph, users, is_output, *user) {
            break;
        }
        at = *user;
    }
    at
}

/// Whether a node concatenates products that nothing else reads: the parts of a layer with a split weight.
fn joins_products(graph: &Graph, users: &[Vec<NodeId>], is_output: &[bool], id: NodeId) -> bool {
    let joined = |input: &NodeId| {
        let product = matches!(graph.node(*input).op, Op::Linear { .. } | Op::MatMul { .. });
        product && !is_output[input.index()] && users[input.index()] == [id]
    };
    matches!(graph.node(id).op, Op::Concat { .. }) && graph.node(id).inputs.iter().all(joined)
}

/// Stores values inside kernels that would bind more than `buffers` buffers.
fn cut_wide(graph: &Graph, root: &[Option<NodeId>], stored: &mut [bool], buffers: usize) {
    // The memory that a node reads when it is computed in place.
    let mut reads: Vec<BTreeSet<NodeId>> = vec![BTreeSet::new(); graph.nodes.len()];
    let memory = |id: NodeId| {
        let node = graph.node(id);
        if node.op == Op::Dequantize {
            return Some(node.inputs[0]);
        }
        if node.op.is_given() || node.op.state().is_some() { Some(id) } else { root[id.index()] }
    };
    for id in graph.ids() {
        loop {
            let mut all = BTreeSet::new();
            for input in &graph.node(id).inputs {
                match memory(*input) {
                    Some(place) => drop(all.insert(place)),
                    None if stored[input.index()] => drop(all.insert(*input)),
                    None => all.extend(&reads[input.index()]),
                }
            }
            // The result takes one more buffer.
            let fits = all.len() < buffers;
            reads[id.index()] = all;
            let inputs = graph.node(id).inputs.iter().map(|input| strip_views(graph, *input));
            let inside = inputs.filter(|i| memory(*i).is_none() && !stored[i.index()] && reads[i.index()].len() > 1);
            match inside.max_by_key(|i| reads[i.index()].len()).filter(|_| !fits) {
                Some(widest) => stored[widest.index()] = true,
                None => break,
            }
        }
    }
}

/// Stores element-wise values that several readers would recompute, or that would be computed for every element of a
/// score matrix.
fn cut_expensive(graph: &Graph, users: &[Vec<NodeId>], stored: &mut [bool]) {
    let readers = readers(graph, users);
    let mut size = vec![0usize; graph.nodes.len()];
    let mut costly = vec![false; graph.nodes.len()];
    for id in graph.ids() {
        let node = graph.node(id);
        let i = id.index();
        if node.op.is_anchor() || is_leaf(&node.op) {
            continue;
        }
        let parts = || node.inputs.iter().filter(|p| !stored[p.index()]);
        size[i] = 1 + parts().map(|p| size[p.index()]).sum::<usize>();
        costly[i] = node.op.traits().role == Role::Elementwise { costly: true } || parts().any(|p| costly[p.index()]);
        let distinct = {
            let mut u = users[i].clone();
            u.dedup();
            u.len()
        };
        let scores = users[i].iter().any(|u| matches!(graph.node(*u).op, Op::Attention { .. }));
        if size[i] > MAX_INLINE || (costly[i] && (scores || distinct > 1 && readers[i] == Readers::Several)) {
            stored[i] = true;
        }
        if stored[i] {
            size[i] = 1;
            costly[i] = false;
        }
    }
}

/// The kernels that read a value: none, one or several.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Readers {
    None,
    /// The kernel of this node.
    One(NodeId),
    Several,
}

/// For each node, the kernels that read it if nothing between it and the next anchors is stored. A value that is used
/// twice inside one element-wise expression (`x * sigmoid(x)`) is computed once there.
fn readers(graph: &Graph, users: &[Vec<NodeId>]) -> Vec<Readers> {
    let mut all = vec![Readers::None; graph.nodes.len()];
    // Users come after their operands.
    for id in graph.ids().collect::<Vec<_>>().into_iter().rev() {
        for user in &users[id.index()] {
            let ends = graph.node(*user).op.is_anchor() || users[user.index()].is_empty();
            let kernel = if ends { Readers::One(*user) } else { all[user.index()] };
            all[id.index()] = match all[id.index()] {
                Readers::None => kernel,
                known if known == kernel => known,
                _ => Readers::Several,
            };
        }
    }
    all
}
