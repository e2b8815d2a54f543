//! Graphs and models: nodes in topological order, and what surrounds them.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::dim::{Bindings, Dim, Shape};
use crate::dtype::{DType, Precision};
use crate::literal::Literal;
use crate::op::Op;
use crate::task::Task;

/// The symbol that states grow along: tokens that they hold before a call.
pub const PAST: &str = "P";

/// The symbol that counts the rows of a batch: one number for all calls of a session.
const ROWS: &str = "B";

/// Index of a node in [`Graph::nodes`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct NodeId(pub u32);

impl NodeId {
    /// As an array index.
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// One operation, with the type of its result.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Node {
    /// What is computed.
    pub op: Op,
    /// Operands; every one stands before this node.
    pub inputs: Vec<NodeId>,
    /// Shape of the result.
    pub shape: Shape,
    /// Element type of the result.
    pub dtype: DType,
    /// Where it comes from: `layers.3.q` for the statement `q` in layer 3, and `layers.3.q/linear` inside a block.
    pub path: String,
    /// What part it plays (`attention.query`, `ffn.gate`, `norm`, `embedding`, `lm_head`, ...), for precision policies.
    pub role: Option<String>,
    /// Precision that the author demands for weights used here; overrides every policy.
    pub precision: Option<Precision>,
    /// The region it belongs to: an index in [`Graph::regions`].
    pub region: u32,
}

/// A stretch of the graph that is rewritten on its own: one layer, or what stands between layers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Region {
    /// Name of the repetition, or of the stretch (`start`, `end`).
    pub name: String,
    /// Which repetition.
    pub index: Option<u32>,
}

/// Nodes in topological order.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Graph {
    /// All nodes; operands precede users.
    pub nodes: Vec<Node>,
    /// The regions, in order of execution.
    pub regions: Vec<Region>,
    /// Named results.
    pub outputs: BTreeMap<String, NodeId>,
}

impl Graph {
    /// The node with this id.
    pub fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id.index()]
    }

    /// Ids in topological order.
    pub fn ids(&self) -> impl Iterator<Item = NodeId> + use<> {
        (0..self.nodes.len() as u32).map(NodeId)
    }

    /// For every node, its users (one entry per use), in order.
    pub fn users(&self) -> Vec<Vec<NodeId>> {
        let mut users = vec![Vec::new(); self.nodes.len()];
        for id in self.ids() {
            for input in &self.node(id).inputs {
                users[input.index()].push(id);
            }
        }
        users
    }

    /// A copy that keeps only what `outputs` need. Names that do not exist are left out.
    pub fn restricted_to(&self, outputs: &[String]) -> Graph {
        self.restricted(outputs, &|_| false)
    }

    /// A copy that computes only `outputs`, and writes all states that this graph writes.
    pub fn giving(&self, outputs: &[String]) -> Graph {
        self.restricted(outputs, &|op| op.written_state().is_some())
    }

    /// A copy that keeps only what `outputs` and the nodes with an operation that is a `root` need. Whoever reads what a
    /// state held before the call ([`Op::StatePrevious`]) needs its update.
    pub(crate) fn restricted(&self, outputs: &[String], root: &dyn Fn(&Op) -> bool) -> Graph {
        let kept: BTreeMap<String, NodeId> =
            outputs.iter().filter_map(|n| self.outputs.get(n).map(|id| (n.clone(), *id))).collect();
        let mut live: Vec<bool> = self.nodes.iter().map(|n| root(&n.op)).collect();
        for id in kept.values() {
            live[id.index()] = true;
        }
        loop {
            for id in (0..self.nodes.len()).rev() {
                if live[id] {
                    for input in &self.nodes[id].inputs {
                        live[input.index()] = true;
                    }
                }
            }
            let read: BTreeSet<u32> =
                self.nodes.iter().zip(&live).filter_map(|(n, live)| n.op.previous_state().filter(|_| *live)).collect();
            let wakes =
                |(node, live): (&Node, &bool)| !*live && matches!(node.op, Op::StateUpdate(s) if read.contains(&s));
            let woken: Vec<usize> = (0..live.len()).filter(|id| wakes((&self.nodes[*id], &live[*id]))).collect();
            woken.iter().for_each(|id| live[*id] = true);
            if woken.is_empty() {
                break;
            }
        }
        let mut renumber = vec![NodeId(u32::MAX); self.nodes.len()];
        let mut nodes = Vec::new();
        for (i, node) in self.nodes.iter().enumerate() {
            if live[i] {
                renumber[i] = NodeId(nodes.len() as u32);
                let mut node = node.clone();
                for input in &mut node.inputs {
                    *input = renumber[input.index()];
                }
                nodes.push(node);
            }
        }
        let outputs = kept.into_iter().map(|(n, id)| (n, renumber[id.index()])).collect();
        Graph { nodes, regions: self.regions.clone(), outputs }
    }

    /// A copy in which what was kept is read, and not computed.
    fn recalling(&self) -> Graph {
        let mut graph = self.clone();
        for node in &mut graph.nodes {
            if let Op::StateKeep(state) = node.op {
                node.op = Op::StateRead(state);
                node.inputs.clear();
            }
        }
        graph
    }

    /// A copy for calls that neither follow others nor are followed: states are not there, what would be appended to
    /// one or kept in it is used as it is, and what one would have held before is zero. Shapes are right where the past
    /// length is 0.
    fn forgetting(&self) -> Graph {
        let mut graph = Graph { nodes: Vec::with_capacity(self.nodes.len()), ..self.clone() };
        let mut stands_for: Vec<NodeId> = Vec::with_capacity(self.nodes.len());
        for node in &self.nodes {
            let mut node = node.clone();
            for input in &mut node.inputs {
                *input = stands_for[input.index()];
            }
            let next = |graph: &Graph| NodeId(graph.nodes.len() as u32);
            match (&node.op, node.inputs.as_slice()) {
                (Op::StateAppend(_) | Op::StateKeep(_) | Op::StateUpdate(_), [x]) => {
                    stands_for.push(*x);
                    continue;
                }
                (Op::StatePrevious(_), _) => {
                    let zero = next(&graph);
                    let op = Op::Const(Literal::f32(0.0));
                    graph.nodes.push(Node { op, shape: Vec::new(), ..node.clone() });
                    node = Node { op: Op::Broadcast(node.shape.clone()), inputs: vec![zero], ..node };
                }
                _ => {}
            }
            stands_for.push(next(&graph));
            graph.nodes.push(node);
        }
        graph.outputs.values_mut().for_each(|id| *id = stands_for[id.index()]);
        graph
    }

    /// A copy in which the symbols of `bindings` have those values in every shape and size.
    pub fn with_symbols(&self, bindings: &Bindings) -> Graph {
        let mut graph = self.clone();
        let bind = |d: &mut Dim| *d = d.bind(bindings);
        for node in &mut graph.nodes {
            node.shape.iter_mut().for_each(bind);
            node.op = node.op.with_symbols(bindings);
        }
        graph
    }
}

/// A symbol: an integer that is known when an entry runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Symbol {
    /// `B`, `T`, `P`, ...
    pub name: String,
    /// Smallest value.
    pub min: i64,
    /// Largest value.
    pub max: i64,
}

/// What an input holds when the caller does not give it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum InputDefault {
    /// Every element has this value.
    Value(i32),
    /// Element `[.., t]` is `P + t`: positions that count through.
    Positions,
}

/// How an input continues when a decoded token is fed back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Advance {
    /// It becomes the token that was chosen.
    Token,
    /// Its last element plus one.
    Increment,
    /// It grows by one element of this value on its last axis.
    Append(i32),
}

/// An input of the model, named as the argument of the Hugging Face `forward`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Input {
    /// `input_ids`, `attention_mask`, ...
    pub name: String,
    /// Element type (f32 or i32).
    pub dtype: DType,
    /// Shape over symbols.
    pub shape: Shape,
    /// Value if absent; without one the input is required.
    pub default: Option<InputDefault>,
    /// Continuation while decoding.
    pub advance: Option<Advance>,
}

/// A buffer that lives between runs: a key or value cache, the window of a convolution, or what an encoder has made of its
/// input.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// `layers.3.key`.
    pub name: String,
    /// Shape. An appended axis is given as the past length `P`; its capacity is chosen when a session opens.
    pub shape: Shape,
    /// What calls do with it.
    pub kind: StateKind,
}

impl State {
    /// The axis that grows, if one does.
    pub fn axis(&self) -> Option<u32> {
        match self.kind {
            StateKind::Appended { axis, .. } => Some(axis),
            StateKind::Overwritten | StateKind::Kept => None,
        }
    }

    /// How many of the newest tokens readers use; `None` if they use all, or if nothing is appended.
    pub fn window(&self) -> Option<u32> {
        match self.kind {
            StateKind::Appended { window, .. } => window,
            StateKind::Overwritten | StateKind::Kept => None,
        }
    }

    /// Whether its shape is the same in all calls of a session.
    pub(crate) fn has_one_size(&self) -> bool {
        self.shape.iter().all(|d| d.symbols().iter().all(|s| s == ROWS))
    }
}

/// What calls do with a state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum StateKind {
    /// It grows along an axis with every token: [`Op::StateAppend`].
    Appended {
        /// The axis.
        axis: u32,
        /// How many of the newest tokens a query sees, itself included; `None`: all. Memory may hold fewer tokens
        /// than are past then: what [`Op::StateAppend`] gives before position `P - window + 1` is arbitrary, but finite.
        window: Option<u32>,
    },
    /// Its size is fixed, and every call puts something else into it: [`Op::StateUpdate`].
    Overwritten,
    /// The call that encodes fills it for those that follow: [`Op::StateKeep`].
    Kept,
}

/// A weight, as it is found in the model directory.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Weight {
    /// Path in the architecture: `layers.3.q_proj`.
    pub name: String,
    /// Name of the tensor in the safetensors files.
    pub source: String,
    /// Shape, all constant.
    pub shape: Vec<u64>,
    /// The component that it is a part of, in [`Model::components`].
    pub component: u32,
}

/// What kind of model it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Modality {
    /// Reads and writes text.
    #[default]
    Text,
    /// Sees images.
    Vision,
    /// Audio models.
    Audio,
    /// Several of these together.
    Multimodal,
}

impl Modality {
    /// `text`, `vision`, `audio`, `multimodal`.
    pub fn name(self) -> &'static str {
        match self {
            Modality::Text => "text",
            Modality::Vision => "vision",
            Modality::Audio => "audio",
            Modality::Multimodal => "multimodal",
        }
    }
}

/// What an entry is for, where the runtime has to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum EntryRole {
    /// Called with tensors.
    Tensors,
    /// Computes what is kept for `Prefill` and `Decode`: what an encoder makes of its input.
    Encode,
    /// Takes a stretch of the prompt.
    Prefill,
    /// Takes one token.
    Decode,
    /// Gives sentence embeddings.
    Embed,
}

/// A way to call the model: some outputs of the graph under some symbol values.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// `forward`, `prefill`, `decode`, `embed`, ...
    pub name: String,
    /// What for.
    pub role: EntryRole,
    /// Symbols with a fixed value here (`T` is 1 while decoding).
    pub bind: Bindings,
    /// Names of graph outputs.
    pub outputs: Vec<String>,
    /// What people use it for, if more than tensors.
    pub task: Option<Task>,
}

/// An architecture bound to a config: what the compiler reads.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Model {
    /// Name of the architecture (its file stem).
    pub architecture: String,
    /// Symbols with ranges.
    pub symbols: Vec<Symbol>,
    /// Inputs.
    pub inputs: Vec<Input>,
    /// States.
    pub states: Vec<State>,
    /// Weights in order of first use.
    pub weights: Vec<Weight>,
    /// Names of the parts that weights belong to (`vision_tower`, `language_model`); each has at least one weight.
    pub components: Vec<String>,
    /// What goes in and comes out.
    pub modality: Modality,
    /// The precision policy to take if nobody asks for another: a name of one that ships, or a precision.
    pub precision: String,
    /// The one body that all entries are views of. Outputs include taps.
    pub graph: Graph,
    /// Names of outputs that are taps (`hidden_states.0`, ...).
    pub taps: Vec<String>,
    /// Entries.
    pub entries: Vec<Entry>,
}

impl Model {
    /// The components whose weights a part of the graph needs: positions in [`Model::components`], in order.
    pub fn components_of(&self, graph: &Graph) -> Vec<u32> {
        let used = graph.nodes.iter().filter_map(|node| match node.op {
            Op::Weight(w) => self.weights.get(w as usize).map(|weight| weight.component),
            _ => None,
        });
        used.collect::<BTreeSet<_>>().into_iter().collect()
    }

    /// The same without states, for a model none of whose calls follows another: the past is empty.
    pub(crate) fn without_past(mut self) -> Model {
        let none = Bindings::from([(PAST.to_string(), 0)]);
        let outputs: Vec<String> = self.graph.outputs.keys().cloned().collect();
        self.graph = self.graph.forgetting().restricted_to(&outputs).with_symbols(&none);
        self.states.clear();
        self.symbols.retain(|s| s.name != PAST);
        for dim in self.inputs.iter_mut().flat_map(|input| &mut input.shape) {
            *dim = dim.bind(&none);
        }
        for entry in &mut self.entries {
            entry.bind.remove(PAST);
        }
        self
    }

    /// Whether calls of an entry neither follow others nor are followed, and so have no states. Those that embed are
    /// such; and those that are called with tensors where states hold only a window, as they take texts of any length.
    pub fn stands_alone(&self, entry: &Entry) -> bool {
        match entry.role {
            EntryRole::Embed => true,
            EntryRole::Tensors => self.states.iter().any(|s| s.window().is_some()),
            EntryRole::Encode | EntryRole::Prefill | EntryRole::Decode => false,
        }
    }

    /// The symbols that have one value in all calls of `entry`.
    pub fn bound_by(&self, entry: &Entry) -> Bindings {
        let mut bound = entry.bind.clone();
        if entry.role == EntryRole::Tensors && self.stands_alone(entry) {
            bound.insert(PAST.to_string(), 0);
        }
        bound
    }

    /// The part of the graph that `entry` needs, with its symbols bound; `taps` adds the intermediate values. An
    /// entry that encodes computes all that is kept; those that generate read it. One that stands alone has no states.
    pub fn entry_graph(&self, entry: &Entry, taps: bool) -> Graph {
        let mut outputs = entry.outputs.clone();
        if taps {
            outputs.extend(self.taps.iter().cloned());
        }
        let graph = match entry.role {
            EntryRole::Encode => self.graph.restricted(&outputs, &|op| matches!(op, Op::StateKeep(_))),
            EntryRole::Prefill | EntryRole::Decode => self.graph.recalling().restricted_to(&outputs),
            EntryRole::Tensors | EntryRole::Embed if self.stands_alone(entry) => {
                self.graph.forgetting().restricted_to(&outputs)
            }
            EntryRole::Tensors | EntryRole::Embed => self.graph.restricted_to(&outputs),
        };
        graph.with_symbols(&self.bound_by(entry))
    }
}
