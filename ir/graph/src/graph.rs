//! Graphs and models: nodes in topological order, with the declarations that they refer to.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::dim::{Bindings, Dim, Shape};
use crate::dtype::{DType, Precision};
use crate::literal::Literal;
use crate::op::Op;
use crate::task::Task;

/// The symbol for the past length: the number of tokens in the states before a call.
pub const PAST: &str = "P";

/// The symbol for the number of rows of a batch, which is the same in all calls of a session.
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
    /// The operation.
    pub op: Op,
    /// The operands, all of which precede this node.
    pub inputs: Vec<NodeId>,
    /// Shape of the result.
    pub shape: Shape,
    /// Element type of the result.
    pub dtype: DType,
    /// Its origin: `layers.3.q` for the statement `q` in layer 3, `layers.3.q/linear` for a block that it calls.
    pub path: String,
    /// Its role (`attention.query`, `ffn.gate`, `norm`, `embedding`, `lm_head`, ...), by which precision policies
    /// select.
    pub role: Option<String>,
    /// The precision that the author demands for the weights it uses. It overrides every policy.
    pub precision: Option<Precision>,
    /// The region that it belongs to: an index in [`Graph::regions`].
    pub region: u32,
}

/// A part of the graph that is rewritten on its own: one layer, or the nodes between layers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Region {
    /// The name of the repetition, or of the part (`start`, `end`).
    pub name: String,
    /// The round of the repetition.
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

    /// The users of every node in order, with one entry per use.
    pub fn users(&self) -> Vec<Vec<NodeId>> {
        let mut users = vec![Vec::new(); self.nodes.len()];
        for id in self.ids() {
            for input in &self.node(id).inputs {
                users[input.index()].push(id);
            }
        }
        users
    }

    /// A copy with only the nodes that `outputs` need. Unknown names are ignored.
    pub fn restricted_to(&self, outputs: &[String]) -> Graph {
        self.restricted(outputs, &|_| false)
    }

    /// A copy with only the nodes that `outputs` and all writes to states need.
    pub fn giving(&self, outputs: &[String]) -> Graph {
        self.restricted(outputs, &|op| op.written_state().is_some())
    }

    /// A copy with only the nodes that `outputs` and all nodes whose operation is a `root` need. A node that reads the
    /// previous content of a state ([`Op::StatePrevious`]) needs its update.
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

    /// A copy that reads kept states ([`Op::StateRead`]) instead of computing them.
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

    /// A copy without states, for calls that are independent of one another: what would be appended to a state or kept
    /// in it is used directly, and the previous content of a state is zero. Shapes are correct for the past length 0.
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

    /// A copy with the symbols of `bindings` replaced by their values.
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

/// A symbol: a size that is known when an entry runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Symbol {
    /// `B`, `T`, `P`, ...
    pub name: String,
    /// Smallest value.
    pub min: i64,
    /// Largest value.
    pub max: i64,
}

/// The value of an input that the caller does not give.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum InputDefault {
    /// Every element has this value.
    Value(i32),
    /// Element `[.., t]` is `P + t`: consecutive positions.
    Positions,
}

/// How an input changes from one decoding step to the next.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Advance {
    /// It becomes the chosen token.
    Token,
    /// It becomes its last element plus one.
    Increment,
    /// It grows by one element with this value on its last axis.
    Append(i32),
}

/// An input of the model, named like the argument of `forward` in transformers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Input {
    /// `input_ids`, `attention_mask`, ...
    pub name: String,
    /// Element type (f32 or i32).
    pub dtype: DType,
    /// Shape over symbols.
    pub shape: Shape,
    /// The value if it is absent. Without a default, the input is required.
    pub default: Option<InputDefault>,
    /// How it changes while decoding.
    pub advance: Option<Advance>,
}

/// A buffer that outlives a call: a key or value cache, the window of a convolution, or an encoder cache.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// `layers.3.key`.
    pub name: String,
    /// Shape. An axis that grows has the size `P`, the past length; its capacity is chosen when a session opens.
    pub shape: Shape,
    /// How calls use it.
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

    /// The number of newest tokens that readers use; `None` if they use all, or if nothing is appended.
    pub fn window(&self) -> Option<u32> {
        match self.kind {
            StateKind::Appended { window, .. } => window,
            StateKind::Overwritten | StateKind::Kept => None,
        }
    }

    /// Whether its shape is constant in a session.
    pub(crate) fn has_one_size(&self) -> bool {
        self.shape.iter().all(|d| d.symbols().iter().all(|s| s == ROWS))
    }
}

/// How calls use a state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum StateKind {
    /// It grows along an axis with every token: [`Op::StateAppend`].
    Appended {
        /// The axis.
        axis: u32,
        /// The number of newest tokens that a query attends to, itself included; `None`: all. With a window, memory may
        /// hold fewer tokens than are past: what [`Op::StateAppend`] returns before position `P - window + 1` is
        /// arbitrary, but finite.
        window: Option<u32>,
    },
    /// It has a fixed size, and every call replaces its content: [`Op::StateUpdate`].
    Overwritten,
    /// The encoding call fills it for the calls that follow: [`Op::StateKeep`].
    Kept,
}

/// A weight, and the tensor that holds it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Weight {
    /// The path in the architecture: `layers.3.q_proj`.
    pub name: String,
    /// The name of the tensor in the model directory.
    pub source: String,
    /// Shape, all constant.
    pub shape: Vec<u64>,
    /// The component that it belongs to: an index in [`Model::components`].
    pub component: u32,
}

/// The modality of a model.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Modality {
    /// Text.
    #[default]
    Text,
    /// Encodes images.
    Vision,
    /// Encodes audio.
    Audio,
    /// Several of these.
    Multimodal,
}

impl Modality {
    /// The name: `text`, `vision`, `audio` or `multimodal`.
    pub fn name(self) -> &'static str {
        match self {
            Modality::Text => "text",
            Modality::Vision => "vision",
            Modality::Audio => "audio",
            Modality::Multimodal => "multimodal",
        }
    }
}

/// When an entry is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum EntryRole {
    /// By programs, with tensors.
    Tensors,
    /// Once per input: it computes the kept states that `Prefill` and `Decode` read, such as an encoder cache.
    Encode,
    /// For each chunk of the prompt.
    Prefill,
    /// For each generated token.
    Decode,
    /// For sentence embeddings.
    Embed,
}

/// A way to call the model: some outputs of the graph, under some values of symbols.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// `forward`, `prefill`, `decode`, `embed`, ...
    pub name: String,
    /// When it is called.
    pub role: EntryRole,
    /// Symbols that have a fixed value in this entry (`T` is 1 while decoding).
    pub bind: Bindings,
    /// Names of graph outputs.
    pub outputs: Vec<String>,
    /// The task, if its inputs and outputs have a meaning beyond tensors.
    pub task: Option<Task>,
}

/// An architecture bound to a config: the input of the compiler.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Model {
    /// Name of the architecture (its file stem).
    pub architecture: String,
    /// Symbols, with their ranges.
    pub symbols: Vec<Symbol>,
    /// Inputs.
    pub inputs: Vec<Input>,
    /// States.
    pub states: Vec<State>,
    /// Weights in order of first use.
    pub weights: Vec<Weight>,
    /// Names of components (`vision_tower`, `language_model`); each has at least one weight.
    pub components: Vec<String>,
    /// The modality, which selects the default policy.
    pub modality: Modality,
    /// The default precision policy: the name of one that ships, or a precision.
    pub precision: String,
    /// The body, from which all entries are taken. Its outputs include taps.
    pub graph: Graph,
    /// Names of outputs that are taps (`hidden_states.0`, ...).
    pub taps: Vec<String>,
    /// Entries.
    pub entries: Vec<Entry>,
}

impl Model {
    /// The components whose weights a part of the graph needs: indices in [`Model::components`], in order.
    pub fn components_of(&self, graph: &Graph) -> Vec<u32> {
        let used = graph.nodes.iter().filter_map(|node| match node.op {
            Op::Weight(w) => self.weights.get(w as usize).map(|weight| weight.component),
            _ => None,
        });
        used.collect::<BTreeSet<_>>().into_iter().collect()
    }

    /// The same model without states, if all its calls are independent of one another.
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

    /// Whether calls of an entry are independent of one another, and so need no states. This holds for entries that
    /// embed, and for entries called with tensors if states hold only a window, because they take texts of any length.
    pub fn stands_alone(&self, entry: &Entry) -> bool {
        match entry.role {
            EntryRole::Embed => true,
            EntryRole::Tensors => self.states.iter().any(|s| s.window().is_some()),
            EntryRole::Encode | EntryRole::Prefill | EntryRole::Decode => false,
        }
    }

    /// The symbols that have the same value in all calls of `entry`.
    pub fn bound_by(&self, entry: &Entry) -> Bindings {
        let mut bound = entry.bind.clone();
        if entry.role == EntryRole::Tensors && self.stands_alone(entry) {
            bound.insert(PAST.to_string(), 0);
        }
        bound
    }

    /// The part of the graph that `entry` needs, with its symbols bound; `taps` adds intermediate values. An entry that
    /// encodes computes all kept states, and entries that generate read them. An independent entry has no states.
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
