//! Builds the graph: infers the types of nodes, shares leaves, and enforces limits.

use std::collections::{BTreeMap, HashMap};

use crate::dim::{Bindings, Dim, Shape, show_shape};
use crate::dtype::{DType, Precision};
use crate::graph::{Graph, Node, NodeId, PAST, Region, State, StateKind, Weight};
use crate::infer::{infer, infer_declared};
use crate::literal::Literal;
use crate::op::Op;
use crate::ops::Declarations;
use crate::scalar::Binary;

/// The largest number of nodes, so that a mistake in a count does not exhaust memory.
const MAX_NODES: usize = 200_000;
/// The largest constant dimension: indices on devices are 32-bit.
const MAX_DIM: i64 = i32::MAX as i64;
/// The largest number of elements of a tensor.
const MAX_ELEMENTS: i64 = 1 << 40;

/// The unfinished graph, and the labels of the next nodes.
#[derive(Default)]
pub(super) struct Builder {
    pub(super) graph: Graph,
    pub(super) weights: Vec<Weight>,
    pub(super) states: Vec<State>,
    /// The smallest values of the symbols.
    pub(super) minima: Bindings,
    /// The path of the statement, then the name of each open block call.
    pub(super) path: Vec<String>,
    pub(super) role: Option<String>,
    pub(super) precision: Option<Precision>,
    by_source: BTreeMap<String, NodeId>,
    by_input: BTreeMap<u32, NodeId>,
    by_leaf: HashMap<(u32, Op), NodeId>,
}

impl Builder {
    /// Opens a region; the nodes that follow belong to it.
    pub(super) fn open_region(&mut self, name: &str, index: Option<u32>) {
        self.graph.regions.push(Region { name: name.to_string(), index });
    }

    /// The path of new nodes.
    pub(super) fn current_path(&self) -> String {
        self.path.join("/")
    }

    fn add(&mut self, op: Op, inputs: Vec<NodeId>, shape: Shape, dtype: DType) -> Result<NodeId, String> {
        check_shape(&shape, &self.minima)?;
        if self.graph.nodes.len() >= MAX_NODES {
            return Err(format!("the model has more than {MAX_NODES} nodes"));
        }
        let id = NodeId(self.graph.nodes.len() as u32);
        let region = self.graph.regions.len().saturating_sub(1) as u32;
        let (path, role, precision) = (self.current_path(), self.role.clone(), self.precision);
        self.graph.nodes.push(Node { op, inputs, shape, dtype, path, role, precision, region });
        Ok(id)
    }

    /// Adds a node with operands; its type is inferred.
    pub(super) fn push(&mut self, op: Op, inputs: &[NodeId]) -> Result<NodeId, String> {
        let typed: Vec<(&[Dim], DType)> = inputs
            .iter()
            .map(|id| {
                let node = self.graph.node(*id);
                (node.shape.as_slice(), node.dtype)
            })
            .collect();
        let (shape, dtype) = infer(&op, &typed)?;
        self.add(op, inputs.to_vec(), shape, dtype)
    }

    /// A node without operands, shared within its region.
    pub(super) fn leaf(&mut self, op: Op) -> Result<NodeId, String> {
        let region = self.graph.regions.len().saturating_sub(1) as u32;
        let key = (region, op);
        if let Some(id) = self.by_leaf.get(&key) {
            return Ok(*id);
        }
        let (shape, dtype) = infer(&key.1, &[])?;
        let id = self.add(key.1.clone(), Vec::new(), shape, dtype)?;
        self.by_leaf.insert(key, id);
        Ok(id)
    }

    /// A constant.
    pub(super) fn constant(&mut self, literal: Literal) -> Result<NodeId, String> {
        self.leaf(Op::Const(literal))
    }

    /// The node of an input.
    pub(super) fn input(&mut self, index: u32, shape: &[Dim], dtype: DType) -> Result<NodeId, String> {
        if let Some(id) = self.by_input.get(&index) {
            return Ok(*id);
        }
        let id = self.add(Op::Input(index), Vec::new(), shape.to_vec(), dtype)?;
        self.by_input.insert(index, id);
        Ok(id)
    }

    /// The node of a weight. A tensor with several names is one weight.
    pub(super) fn weight(
        &mut self,
        name: String,
        source: &str,
        shape: &[u64],
        component: u32,
    ) -> Result<NodeId, String> {
        if let Some(id) = self.by_source.get(source) {
            let known = &self.graph.node(*id).shape;
            let wanted: Shape = shape.iter().map(|d| Dim::constant(*d as i64)).collect();
            if *known != wanted {
                return Err(format!(
                    "the tensor `{source}` is used as {} and as {}",
                    show_shape(known),
                    show_shape(&wanted)
                ));
            }
            return Ok(*id);
        }
        let index = self.weights.len() as u32;
        let dims = shape.iter().map(|d| Dim::constant(i64::try_from(*d).unwrap_or(i64::MAX))).collect();
        let id = self.add(Op::Weight(index), Vec::new(), dims, DType::F32)?;
        self.weights.push(Weight { name, source: source.to_string(), shape: shape.to_vec(), component });
        self.by_source.insert(source.to_string(), id);
        Ok(id)
    }

    /// A node for a use of a state: `op` with its index. The first use declares the state.
    fn on_state(&mut self, op: fn(u32) -> Op, state: State, x: &[NodeId]) -> Result<NodeId, String> {
        let known = self.states.iter().position(|s| s.name == state.name);
        let operands: Vec<(&[Dim], DType)> =
            x.iter().map(|id| (self.graph.node(*id).shape.as_slice(), self.graph.node(*id).dtype)).collect();
        let one = std::slice::from_ref(known.map_or(&state, |at| &self.states[at]));
        let declared = Declarations { inputs: &[], weights: &[], states: one, bind: None };
        let (shape, _) = infer_declared(declared, &op(0), &operands)?;
        let at = known.unwrap_or(self.states.len());
        let id = self.add(op(at as u32), x.to_vec(), shape, DType::F32)?;
        if known.is_none() {
            self.states.push(state);
        }
        Ok(id)
    }

    /// A node that writes `x` to a new state, by `op` with its index, and returns the entire state.
    pub(super) fn store(&mut self, op: fn(u32) -> Op, state: State, x: NodeId) -> Result<NodeId, String> {
        if let Some(known) = self.states.iter().find(|s| s.name == state.name) {
            return Err(match known.kind == state.kind {
                true => format!("the state `{}` is written twice; write it once per call", state.name),
                false => format!("the state `{}` is used in two different ways", state.name),
            });
        }
        self.on_state(op, state, &[x])
    }

    /// The content of a state before the call: zeros in the first one.
    pub(super) fn previous(&mut self, state: State) -> Result<NodeId, String> {
        let held = self.on_state(Op::StatePrevious, state, &[])?;
        let past = self.leaf(Op::Size(Dim::symbol(PAST)))?;
        let (none, zero) = (self.constant(Literal::I32(0))?, self.constant(Literal::f32(0.0))?);
        let follows = self.push(Op::Binary(Binary::Gt), &[past, none])?;
        self.push(Op::Select, &[follows, held, zero])
    }

    /// Stores `x` in a state for the next call.
    pub(super) fn update(&mut self, state: State, x: NodeId) -> Result<(), String> {
        let name = &state.name;
        let Some(at) = self.states.iter().position(|s| s.name == *name) else {
            return Err(format!(
                "the state `{name}` is updated before it is read: put `previous({name})` before `update`"
            ));
        };
        if self.graph.nodes.iter().any(|n| n.op == Op::StateUpdate(at as u32)) {
            return Err(format!("the state `{name}` is updated twice; update it once per call"));
        }
        self.on_state(Op::StateUpdate, state, &[x]).map(drop)
    }

    /// States that are read but never updated.
    pub(super) fn lasting(&self) -> impl Iterator<Item = &State> {
        let updated = |at: usize| self.graph.nodes.iter().any(|n| n.op == Op::StateUpdate(at as u32));
        let fixed = self.states.iter().enumerate().filter(|(_, s)| s.kind == StateKind::Overwritten);
        fixed.filter(move |(at, _)| !updated(*at)).map(|(_, s)| s)
    }

    /// Removes nodes that no output needs, and numbers weights and states by first use in the rest.
    pub(super) fn finish(self) -> (Graph, Vec<Weight>, Vec<State>) {
        let names: Vec<String> = self.graph.outputs.keys().cloned().collect();
        let mut graph = self.graph.restricted_to(&names);
        let (mut weights, mut states) = (Vec::new(), Vec::new());
        let mut renumbered: BTreeMap<u32, u32> = BTreeMap::new();
        for node in &mut graph.nodes {
            match &mut node.op {
                Op::Weight(i) => {
                    weights.push(self.weights[*i as usize].clone());
                    *i = weights.len() as u32 - 1;
                }
                Op::StateAppend(i) | Op::StateKeep(i) | Op::StatePrevious(i) | Op::StateUpdate(i) => {
                    *i = *renumbered.entry(*i).or_insert_with(|| {
                        states.push(self.states[*i as usize].clone());
                        states.len() as u32 - 1
                    });
                }
                _ => {}
            }
        }
        drop_empty_regions(&mut graph);
        (graph, weights, states)
    }
}

fn drop_empty_regions(graph: &mut Graph) {
    let mut used = vec![false; graph.regions.len()];
    for node in &graph.nodes {
        used[node.region as usize] = true;
    }
    let mut renumber = vec![0u32; graph.regions.len()];
    let mut kept = Vec::new();
    for (i, region) in graph.regions.iter().enumerate() {
        renumber[i] = kept.len() as u32;
        if used[i] {
            kept.push(region.clone());
        }
    }
    graph.regions = kept;
    for node in &mut graph.nodes {
        node.region = renumber[node.region as usize];
    }
}

/// Whether every dimension is positive and small enough, as far as can be said without values of symbols.
pub(super) fn check_shape(shape: &[Dim], minima: &Bindings) -> Result<(), String> {
    let mut elements = 1i64;
    for dim in shape {
        let grows = dim.terms().all(|(symbols, c)| symbols.is_empty() || c > 0);
        let least = if grows { dim.eval(minima) } else { Some(1) };
        // A symbol may be 0 at least (nothing in the past); a dimension that is a number may not.
        let floor = if dim.as_const().is_some() { 1 } else { 0 };
        match least {
            Some(v) if v > MAX_DIM => {
                return Err(format!("the dimension {dim} of {} is larger than {MAX_DIM}", show_shape(shape)));
            }
            Some(v) if v >= floor => elements = elements.saturating_mul(v.max(1)),
            Some(v) if dim.as_const().is_some() => {
                return Err(format!("the dimension {v} of {} is not positive", show_shape(shape)));
            }
            _ => return Err(format!("the dimension {dim} of {} may become negative", show_shape(shape))),
        }
    }
    if elements > MAX_ELEMENTS {
        return Err(format!("{} has more than {MAX_ELEMENTS} elements", show_shape(shape)));
    }
    Ok(())
}
