//! The reference evaluator, which defines the meaning of every graph.
//!
//! The rows in [`crate::ops`] define the operations.
//!
//! Types are checked again with the sizes of the call ([`crate::infer()`] on constant shapes), so that a graph that was
//! never verified gives errors instead of panics.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::array::MAX_ELEMENTS;
use crate::dim::{Bindings, Dim, show_shape};
use crate::error::EvalError;
use crate::graph::{EntryRole, Graph, Model, Node, PAST, State};
use crate::infer::infer_declared;
use crate::ops::{self, Declarations, Environment, Evaluated, Operand, Values};
use crate::symbols::apply_defaults;

use crate::array::{Array, Data};

/// A source of weights.
pub trait WeightSource {
    /// The f32 values of the weight with this index in [`Model::weights`], decoded from its stored form.
    ///
    /// # Errors
    /// If it cannot be read.
    fn weight(&self, index: u32) -> Result<Arc<Array>, String>;
}

/// Weights in memory, in the order of [`Model::weights`].
impl WeightSource for [Arc<Array>] {
    fn weight(&self, index: u32) -> Result<Arc<Array>, String> {
        self.get(index as usize).cloned().ok_or_else(|| format!("weight {index} is missing"))
    }
}

impl WeightSource for Vec<Arc<Array>> {
    fn weight(&self, index: u32) -> Result<Arc<Array>, String> {
        self.as_slice().weight(index)
    }
}

/// The content of the states of a model between calls.
#[derive(Clone, Debug, Default)]
pub struct States {
    /// By state index.
    held: BTreeMap<u32, Arc<Array>>,
    /// States that are stored as f16: values are rounded when they are stored.
    half: BTreeSet<u32>,
    /// The symbols of the encoding call, except those that differ from call to call.
    encoded: Bindings,
}

impl States {
    /// Empty states. Those with an index in `half` are stored as f16.
    pub fn with_half(half: impl IntoIterator<Item = u32>) -> Self {
        Self { half: half.into_iter().collect(), ..Self::default() }
    }

    /// Empties all states: the next call starts at past length 0.
    pub fn reset(&mut self) {
        self.held.clear();
        self.encoded.clear();
    }

    /// Appends `x` after the first `past` elements of the axis. Elements after these are dropped, so that a caller can
    /// go back to an earlier position.
    fn append(&mut self, index: u32, state: &State, past: usize, x: &Array) -> Result<Arc<Array>, String> {
        let axis = state.axis().ok_or_else(|| format!("state `{}` has no axis to append along", state.name))? as usize;
        let held = self.held.get(&index);
        let length = held.and_then(|t| t.shape.get(axis).copied()).unwrap_or(0);
        if past > length {
            return Err(format!("state `{}` holds {length} tokens, but the call has {past} past tokens", state.name));
        }
        let x = self.stored(index, x);
        let grown = match held.filter(|_| past > 0) {
            None => x,
            Some(held) => {
                let fits = held.shape.len() == x.shape.len()
                    && held.shape.iter().zip(&x.shape).enumerate().all(|(i, (a, b))| i == axis || a == b);
                if !fits {
                    let message =
                        format!("state `{}` holds {:?}; {:?} cannot be appended", state.name, held.shape, x.shape);
                    return Err(message);
                }
                let kept = ops::slice(held, axis, 0, past);
                ops::concat(&[&kept, &x], axis)
            }
        };
        let grown = Arc::new(grown);
        self.held.insert(index, grown.clone());
        let seen_by_nobody = state.window().map_or(0, |window| (past + 1).saturating_sub(window as usize));
        Ok(if seen_by_nobody > 0 { Arc::new(overwritten(&grown, axis, seen_by_nobody)) } else { grown })
    }

    /// Replaces the content by `x`.
    fn keep(&mut self, index: u32, x: &Array) -> Arc<Array> {
        let x = Arc::new(self.stored(index, x));
        self.held.insert(index, x.clone());
        x
    }

    /// The content, if it has the expected shape.
    fn recall(&self, index: u32, state: &State, shape: &[usize]) -> Result<Arc<Array>, String> {
        match self.held.get(&index) {
            Some(held) if held.shape == shape => Ok(held.clone()),
            Some(held) => Err(format!("state `{}` holds {:?}, expected {shape:?}", state.name, held.shape)),
            None => Err(format!("state `{}` is empty: run the encoder entry first", state.name)),
        }
    }

    /// The values as the state stores them.
    fn stored(&self, index: u32, x: &Array) -> Array {
        let mut x = x.clone();
        if let Data::F32(values) = &mut x.data
            && self.half.contains(&index)
        {
            values.iter_mut().for_each(|v| *v = half::f16::from_f32(*v).to_f32());
        }
        x
    }
}

/// The value of tokens that memory may have lost: a number that any result shows if a mask lets it through.
const LOST: f32 = 1000.0;

/// A copy of `x` with the first `count` elements of an axis lost.
fn overwritten(x: &Array, axis: usize, count: usize) -> Array {
    let mut x = x.clone();
    let row: usize = x.shape[axis + 1..].iter().product();
    let stretch = (row * x.shape[axis]).max(1);
    if let Data::F32(values) = &mut x.data {
        values.chunks_mut(stretch).for_each(|stretch| stretch[..count * row].fill(LOST));
    }
    x
}

/// A model with its weights and states.
pub struct Evaluator<'m> {
    model: &'m Model,
    weights: &'m dyn WeightSource,
    states: States,
}

impl<'m> Evaluator<'m> {
    /// An evaluator with empty states.
    pub fn new(model: &'m Model, weights: &'m dyn WeightSource) -> Self {
        Self { model, weights, states: States::default() }
    }

    /// Empties the states.
    pub fn reset(&mut self) {
        self.states.reset();
    }

    /// Computes all outputs of a graph of the model; see [`evaluate`].
    ///
    /// # Errors
    /// As [`evaluate`].
    pub fn run(
        &mut self,
        graph: &Graph,
        inputs: &BTreeMap<String, Array>,
        bindings: &Bindings,
    ) -> Result<BTreeMap<String, Array>, EvalError> {
        evaluate(self.model, graph, self.weights, &mut self.states, inputs, bindings)
    }

    /// Runs an entry by name with `past` tokens in the states: binds symbols, fills in absent inputs, and evaluates.
    /// `taps` adds intermediate values.
    ///
    /// # Errors
    /// If there is no such entry, and as [`apply_defaults`] and [`evaluate`].
    pub fn run_entry(
        &mut self,
        name: &str,
        inputs: &BTreeMap<String, Array>,
        past: usize,
        taps: bool,
    ) -> Result<BTreeMap<String, Array>, EvalError> {
        run_entry(self.model, name, self.weights, &mut self.states, inputs, past, taps)
    }
}

/// Runs an entry of a model by name, with `past` tokens in the states: binds symbols, fills in absent inputs, and
/// evaluates. `taps` adds intermediate values.
///
/// # Errors
/// If there is no such entry, and as [`apply_defaults`] and [`evaluate`].
pub fn run_entry(
    model: &Model,
    name: &str,
    weights: &dyn WeightSource,
    states: &mut States,
    inputs: &BTreeMap<String, Array>,
    past: usize,
    taps: bool,
) -> Result<BTreeMap<String, Array>, EvalError> {
    let Some(entry) = model.entries.iter().find(|e| e.name == name) else {
        let known: Vec<&str> = model.entries.iter().map(|e| e.name.as_str()).collect();
        return Err(EvalError::new(name, format!("is not an entry; expected one of {}", known.join(", "))));
    };
    let mut bindings = model.bound_by(entry);
    let past = i64::try_from(past).unwrap_or(i64::MAX);
    let fixed = *bindings.entry(PAST.to_string()).or_insert(past);
    if fixed != past {
        return Err(EvalError::new(name, format!("expected {fixed} past tokens, found {past}")));
    }
    if matches!(entry.role, EntryRole::Prefill | EntryRole::Decode) {
        bindings.extend(states.encoded.clone());
    }
    let mut inputs = inputs.clone();
    apply_defaults(model, &mut inputs, &mut bindings)?;
    if entry.role == EntryRole::Encode {
        states.encoded = bindings.clone();
        states.encoded.retain(|name, _| !["B", "T", PAST].contains(&name.as_str()));
    }
    evaluate(model, &model.entry_graph(entry, taps), weights, states, &inputs, &bindings)
}

/// Computes all outputs of a graph: the body of the model, or what the compiler made of one of its entries.
///
/// `bindings` must have every symbol that occurs, and states must hold at least `P` tokens. Values are dropped after
/// their last use.
///
/// # Errors
/// If an input is missing or has the wrong type or shape, a weight cannot be read, a value would be too large, or
/// the graph is not well formed.
pub fn evaluate(
    model: &Model,
    graph: &Graph,
    weights: &dyn WeightSource,
    states: &mut States,
    inputs: &BTreeMap<String, Array>,
    bindings: &Bindings,
) -> Result<BTreeMap<String, Array>, EvalError> {
    let before = states.held.clone();
    let mut call = Call { model, weights, states, before, inputs, bindings };
    let last_use = last_uses(graph);
    let mut values: Vec<Option<Arc<Array>>> = Vec::with_capacity(graph.nodes.len());
    for (i, node) in graph.nodes.iter().enumerate() {
        let at = |message: String| EvalError::new(&node.path, message);
        let mut operands = Vec::with_capacity(node.inputs.len());
        for id in &node.inputs {
            let value = values.get(id.index()).cloned().flatten();
            operands.push(value.ok_or_else(|| at(format!("operand {} has no value yet", id.0)))?);
        }
        for id in node.inputs.iter().filter(|id| last_use[id.index()] == i) {
            values[id.index()] = None;
        }
        values.push(Some(call.node(node, operands).map_err(at)?));
    }
    let mut results = BTreeMap::new();
    for (name, id) in &graph.outputs {
        let value = values.get(id.index()).cloned().flatten();
        let value = value.ok_or_else(|| EvalError::new(name, format!("node {} does not exist", id.0)))?;
        results.insert(name.clone(), Arc::unwrap_or_clone(value));
    }
    Ok(results)
}

/// For every node, the index of its last user; outputs and unused nodes are kept to the end.
fn last_uses(graph: &Graph) -> Vec<usize> {
    let mut last = vec![usize::MAX; graph.nodes.len()];
    for (i, node) in graph.nodes.iter().enumerate() {
        for slot in node.inputs.iter().filter_map(|id| (id.index() < i).then_some(id.index())) {
            last[slot] = i;
        }
    }
    for id in graph.outputs.values() {
        if let Some(slot) = last.get_mut(id.index()) {
            *slot = usize::MAX;
        }
    }
    last
}

/// The environment of an evaluation: everything besides operands.
struct Call<'c> {
    model: &'c Model,
    weights: &'c dyn WeightSource,
    states: &'c mut States,
    /// The content of states before the call.
    before: BTreeMap<u32, Arc<Array>>,
    inputs: &'c BTreeMap<String, Array>,
    bindings: &'c Bindings,
}

impl Call<'_> {
    fn node(&mut self, node: &Node, operands: Vec<Arc<Array>>) -> Result<Arc<Array>, String> {
        let dims: Vec<Vec<Dim>> = operands.iter().map(|t| t.shape.iter().map(|n| Dim::from(*n)).collect()).collect();
        let typed: Vec<Operand<'_>> = dims.iter().zip(&operands).map(|(d, t)| (d.as_slice(), t.dtype())).collect();
        let op = node.op.with_symbols(self.bindings);
        let declared = Declarations::of(self.model).bound(self.bindings);
        let (shape, dtype) = infer_declared(declared, &op, &typed)?;
        let recorded: Vec<Dim> = node.shape.iter().map(|d| d.bind(self.bindings)).collect();
        if shape != recorded || dtype != node.dtype {
            let (shape, recorded) = (show_shape(&shape), show_shape(&recorded));
            return Err(format!("{} has type {dtype} {shape}, but {} {recorded} is recorded", op.name(), node.dtype));
        }
        let shape = concrete(&shape)?;
        op.row(|row| row.eval(self, Values(operands), shape))
    }
}

impl Environment for Call<'_> {
    fn input(&self, index: u32, shape: &[usize]) -> Evaluated {
        let declared = &self.model.inputs[index as usize];
        let given = self.inputs.get(&declared.name);
        let given = given.ok_or_else(|| format!("input `{}` is missing", declared.name))?;
        if given.shape != shape || given.dtype() != declared.dtype {
            return Err(format!(
                "input `{}`: expected {} {shape:?}, found {} {:?}",
                declared.name,
                declared.dtype,
                given.dtype(),
                given.shape
            ));
        }
        given.check()?;
        Ok(Arc::new(given.clone()))
    }

    fn weight(&self, index: u32, shape: &[usize]) -> Evaluated {
        let name = &self.model.weights[index as usize].name;
        let weight = self.weights.weight(index).map_err(|e| format!("weight `{name}`: {e}"))?;
        if weight.shape != shape || !matches!(weight.data, Data::F32(_)) {
            return Err(format!(
                "weight `{name}`: expected f32 {shape:?}, found {} {:?}",
                weight.dtype(),
                weight.shape
            ));
        }
        weight.check()?;
        Ok(weight)
    }

    fn append(&mut self, index: u32, x: &Array) -> Evaluated {
        let state = &self.model.states[index as usize];
        let along = state.axis().and_then(|axis| state.shape.get(axis as usize));
        let past = along.and_then(|d| d.eval(self.bindings)).and_then(|p| usize::try_from(p).ok());
        let past = past.ok_or_else(|| format!("the length of state `{}` is not known", state.name))?;
        self.states.append(index, state, past, x)
    }

    fn keep(&mut self, index: u32, x: &Array) -> Evaluated {
        Ok(self.states.keep(index, x))
    }

    fn recall(&self, index: u32, shape: &[usize]) -> Evaluated {
        self.states.recall(index, &self.model.states[index as usize], shape)
    }

    fn previous(&self, index: u32, shape: &[usize]) -> Evaluated {
        match self.before.get(&index) {
            Some(held) if held.shape == shape => Ok(held.clone()),
            Some(held) => {
                let name = &self.model.states[index as usize].name;
                Err(format!("state `{name}` holds {:?}, expected {shape:?}", held.shape))
            }
            None => Ok(Arc::new(Array::f32(shape, vec![0.0; shape.iter().product()]))),
        }
    }

    fn update(&mut self, index: u32, x: &Array) -> Evaluated {
        Ok(self.states.keep(index, x))
    }
}

/// The sizes of a shape without symbols; an error if their product exceeds [`MAX_ELEMENTS`].
fn concrete(shape: &[Dim]) -> Result<Vec<usize>, String> {
    let size = |d: &Dim| match d.as_const() {
        Some(v) => usize::try_from(v).map_err(|_| format!("a dimension is negative in {}", show_shape(shape))),
        None => Err(format!("the symbols of {} are not known", show_shape(shape))),
    };
    let sizes: Vec<usize> = shape.iter().map(size).collect::<Result<_, _>>()?;
    let count = sizes.iter().try_fold(1usize, |n, d| n.checked_mul(*d));
    match count {
        Some(n) if n <= MAX_ELEMENTS => Ok(sizes),
        _ => Err(format!("a value of shape {sizes:?} is too large")),
    }
}

#[cfg(test)]
mod tests;
