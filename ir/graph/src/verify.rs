//! Checks that a model is well-formed, between compiler stages and on models from files.
//!
//! After [`verify`] has passed, indices are in range, operands precede users, recorded types agree with
//! [`crate::infer()`], names resolve, and no shape is a polynomial so large that computing with it is slow. It never
//! panics on any model.

use std::collections::{BTreeMap, BTreeSet};

use crate::dim::{Bindings, Dim, Factor, show_shape};
use crate::dtype::DType;
use crate::graph::{Entry, Graph, Input, InputDefault, Model, Node, NodeId, PAST, State, StateKind, Weight};
use crate::infer::infer_declared;
use crate::op::Op;
use crate::ops::{Declarations, Operand};

/// The largest number of axes of a value.
const MAX_RANK: usize = 8;
/// The largest number of terms of a product of all dimensions, so that element counts stay cheap.
const MAX_TERMS: usize = 4096;
/// The largest number of factors of a term of a dimension.
const MAX_DEGREE: usize = 8;
/// The largest coefficient of a dimension, so that sums and products of a few stay within i64.
const MAX_COEFFICIENT: u64 = 1 << 40;
/// The largest number of errors that are reported.
const MAX_ERRORS: usize = 50;

/// Checks a model: its declarations, its body and its entries.
///
/// # Errors
/// All faults (the first fifty), each with the node path or the name that it concerns.
pub fn verify(model: &Model) -> Result<(), Vec<String>> {
    let mut errors = Vec::new();
    check_symbols(model, &mut errors);
    let symbols: BTreeSet<&str> = model.symbols.iter().map(|s| s.name.as_str()).collect();
    for input in &model.inputs {
        within(format!("input `{}`", input.name), &mut errors, |e| check_input(input, &symbols, e));
    }
    for state in &model.states {
        within(format!("state `{}`", state.name), &mut errors, |e| check_state(state, &symbols, e));
    }
    for weight in &model.weights {
        within(format!("weight `{}`", weight.name), &mut errors, |e| check_weight(weight, e));
    }
    unique("input", model.inputs.iter().map(|i| &i.name), &mut errors);
    unique("state", model.states.iter().map(|s| &s.name), &mut errors);
    unique("weight", model.weights.iter().map(|w| &w.name), &mut errors);
    unique("entry", model.entries.iter().map(|e| &e.name), &mut errors);
    // Inference reads declared shapes, so it waits until those are known to be sane.
    if errors.is_empty() {
        check_graph(model, &model.graph, None, &mut errors);
    }
    check_kept(model, &mut errors);
    for entry in &model.entries {
        within(format!("entry `{}`", entry.name), &mut errors, |e| check_entry(model, entry, e));
    }
    for tap in model.taps.iter().filter(|t| !model.graph.outputs.contains_key(*t)) {
        errors.push(format!("tap `{tap}` is not an output of the graph"));
    }
    finish(errors)
}

/// Checks a graph of a model that has passed [`verify`]: an entry graph in which the symbols of `bind` have been
/// replaced by their values, before or after rewriting.
///
/// # Errors
/// As [`verify`].
pub fn verify_graph(model: &Model, graph: &Graph, bind: &Bindings) -> Result<(), Vec<String>> {
    let mut errors = Vec::new();
    check_graph(model, graph, Some(bind), &mut errors);
    finish(errors)
}

fn finish(mut errors: Vec<String>) -> Result<(), Vec<String>> {
    if errors.is_empty() {
        return Ok(());
    }
    errors.truncate(MAX_ERRORS);
    Err(errors)
}

/// Runs a check and prepends the place to its messages.
fn within(place: String, errors: &mut Vec<String>, check: impl FnOnce(&mut Vec<String>)) {
    let mut found = Vec::new();
    check(&mut found);
    errors.extend(found.into_iter().map(|e| format!("{place}: {e}")));
}

fn unique<'a>(what: &str, names: impl Iterator<Item = &'a String>, errors: &mut Vec<String>) {
    let mut seen = BTreeSet::new();
    errors.extend(names.filter(|n| !seen.insert(*n)).map(|n| format!("{what} `{n}` is declared twice")));
}

fn check_symbols(model: &Model, errors: &mut Vec<String>) {
    unique("symbol", model.symbols.iter().map(|s| &s.name), errors);
    for s in &model.symbols {
        if s.min < 0 || s.min > s.max || s.max > i64::from(u32::MAX) {
            errors.push(format!("symbol `{}`: {} to {} is not a range of 32-bit sizes", s.name, s.min, s.max));
        }
    }
}

/// Checks that a dimension is small enough to compute with, and uses declared symbols only.
fn check_dim(dim: &Dim, symbols: &BTreeSet<&str>) -> Result<(), String> {
    for (factors, coefficient) in dim.terms() {
        if factors.len() > MAX_DEGREE || coefficient.unsigned_abs() > MAX_COEFFICIENT {
            return Err("a dimension is too large".into());
        }
        for factor in factors {
            match factor {
                Factor::Symbol(name) if !symbols.contains(name.as_str()) => {
                    return Err(format!("symbol `{name}` is not declared"));
                }
                Factor::CeilDiv(_, by) if by.unsigned_abs() > MAX_COEFFICIENT => {
                    return Err("a dimension is too large".into());
                }
                Factor::CeilDiv(inner, _) => check_dim(inner, symbols)?,
                Factor::Symbol(_) => {}
            }
        }
    }
    Ok(())
}

fn check_shape(shape: &[Dim], symbols: &BTreeSet<&str>) -> Result<(), String> {
    if shape.len() > MAX_RANK {
        return Err(format!("{} axes, but at most {MAX_RANK} are supported", shape.len()));
    }
    let terms = shape.iter().try_fold(1usize, |n, d| n.checked_mul(d.terms().count().max(1)));
    if terms.is_none_or(|n| n > MAX_TERMS) {
        return Err("a shape has too many terms".into());
    }
    shape.iter().try_for_each(|d| check_dim(d, symbols))
}

fn check_input(input: &Input, symbols: &BTreeSet<&str>, errors: &mut Vec<String>) {
    errors.extend(check_shape(&input.shape, symbols).err());
    if input.dtype == DType::Bool {
        errors.push("expected type f32 or i32, found bool".into());
    }
    if input.shape.iter().any(|d| d.as_const().is_some_and(|v| v < 1)) {
        errors.push(format!("dimensions must be positive, found {}", show_shape(&input.shape)));
    }
    let counts = matches!(input.default, Some(InputDefault::Positions));
    if counts && input.dtype != DType::I32 {
        errors.push(format!("positions are of type i32, found {}", input.dtype));
    }
    if input.shape.is_empty() && (counts || input.advance.is_some()) {
        errors.push("positions and continuations need at least one axis, found a scalar".into());
    }
}

fn check_state(state: &State, symbols: &BTreeSet<&str>, errors: &mut Vec<String>) {
    errors.extend(check_shape(&state.shape, symbols).err());
    let has = |symbol: &str| state.shape.iter().any(|d| d.symbols().iter().any(|s| s == symbol));
    let axis = match state.kind {
        StateKind::Appended { window: Some(0), .. } => {
            errors.push("a window must have at least 1 token".into());
            return;
        }
        StateKind::Appended { axis, .. } => axis,
        StateKind::Kept if has(PAST) => {
            errors.push(format!("a kept state cannot grow, but its shape {} does", show_shape(&state.shape)));
            return;
        }
        StateKind::Overwritten if !state.has_one_size() => {
            let shape = show_shape(&state.shape);
            errors.push(format!(
                "an overwritten state must have the same size in all calls, but its shape {shape} \
                    varies"
            ));
            return;
        }
        StateKind::Kept | StateKind::Overwritten => return,
    };
    match state.shape.get(axis as usize) {
        None => errors.push(format!("axis {axis} does not exist in shape {}", show_shape(&state.shape))),
        Some(dim) if *dim != Dim::symbol(PAST) => errors.push(format!("axis {axis} must be `{PAST}`, found {dim}")),
        Some(_) => {}
    }
}

fn check_weight(weight: &Weight, errors: &mut Vec<String>) {
    if weight.shape.len() > MAX_RANK {
        errors.push(format!("{} axes, but at most {MAX_RANK} are supported", weight.shape.len()));
    }
    let bytes = weight.shape.iter().try_fold(4u64, |n, d| n.checked_mul(*d));
    if weight.shape.contains(&0) || bytes.is_none_or(|n| n > MAX_COEFFICIENT) {
        errors.push(format!("shape {:?} is empty or too large", weight.shape));
    }
}

fn check_entry(model: &Model, entry: &Entry, errors: &mut Vec<String>) {
    if entry.outputs.is_empty() {
        errors.push("no outputs".into());
    }
    for name in entry.outputs.iter().filter(|n| !model.graph.outputs.contains_key(*n)) {
        errors.push(format!("output `{name}` does not exist in the graph"));
    }
    for (name, value) in &model.bound_by(entry) {
        match model.symbols.iter().find(|s| s.name == *name) {
            None => errors.push(format!("symbol `{name}` is not declared")),
            Some(s) if *value < s.min || *value > s.max => {
                errors.push(format!("symbol `{name}` is {value}, outside of {} to {}", s.min, s.max));
            }
            Some(_) => {}
        }
    }
}

/// Checks that kept states which entries read have an entry that keeps them.
fn check_kept(model: &Model, errors: &mut Vec<String>) {
    use crate::graph::EntryRole::{Decode, Encode, Prefill};
    let has = |role| model.entries.iter().any(|e| e.role == role);
    let kept = model.graph.nodes.iter().find(|n| matches!(n.op, Op::StateKeep(_)));
    match kept {
        Some(node) if (has(Prefill) || has(Decode)) && !has(Encode) => errors.push(format!(
            "{}: entries that generate read kept states, but no entry has the role Encode to compute them",
            node.path
        )),
        None if has(Encode) => {
            errors.push("an entry has the role Encode, but no state is kept: add `keep(state, x)` to the body".into());
        }
        _ => {}
    }
}

/// Checks that a call which reads the previous content of a state also updates it, and that no node reads the update.
fn check_updates(graph: &Graph, errors: &mut Vec<String>) {
    let updated: BTreeSet<u32> =
        graph.nodes.iter().filter_map(|n| if let Op::StateUpdate(s) = n.op { Some(s) } else { None }).collect();
    let is_update = |id: &NodeId| graph.nodes.get(id.index()).is_some_and(|n| matches!(n.op, Op::StateUpdate(_)));
    for node in &graph.nodes {
        if let Some(state) = node.op.previous_state().filter(|s| !updated.contains(s)) {
            errors.push(format!("{}: state {state} is read, but never updated", node.path));
        }
        if node.inputs.iter().any(is_update) {
            errors.push(format!("{}: reads an update; it must read the new value of the state instead", node.path));
        }
    }
    for (name, _) in graph.outputs.iter().filter(|(_, id)| is_update(id)) {
        errors.push(format!("output `{name}`: is an update; it must be the new value of the state instead"));
    }
}

fn check_graph(model: &Model, graph: &Graph, bind: Option<&Bindings>, errors: &mut Vec<String>) {
    let declared = Declarations { bind, ..Declarations::of(model) };
    let symbols: BTreeSet<&str> = model.symbols.iter().map(|s| s.name.as_str()).collect();
    let mut written: BTreeMap<u32, &str> = BTreeMap::new();
    for (i, node) in graph.nodes.iter().enumerate() {
        if errors.len() > MAX_ERRORS {
            return;
        }
        if let Err(message) = check_node(graph, i, declared, &symbols) {
            errors.push(format!("{}: {message}", node.path));
        }
        if let Some(state) = node.op.written_state()
            && let Some(first) = written.insert(state, &node.path)
        {
            errors.push(format!("{}: state {state} is already written by {first}", node.path));
        }
    }
    check_updates(graph, errors);
    for (name, id) in &graph.outputs {
        match graph.nodes.get(id.index()) {
            None => errors.push(format!("output `{name}`: node {} does not exist", id.0)),
            Some(node) if node.dtype == DType::Bool => {
                errors.push(format!("output `{name}`: expected type f32 or i32, found bool"));
            }
            Some(_) => {}
        }
    }
}

fn check_node(graph: &Graph, index: usize, declared: Declarations<'_>, symbols: &BTreeSet<&str>) -> Result<(), String> {
    let node = &graph.nodes[index];
    check_shape(&node.shape, symbols)?;
    check_shape(&node.op.dims(), symbols)?;
    if node.region as usize >= graph.regions.len().max(1) {
        return Err(format!("region {} does not exist; the graph has {}", node.region, graph.regions.len()));
    }
    let mut operands: Vec<Operand<'_>> = Vec::with_capacity(node.inputs.len());
    for id in &node.inputs {
        if id.index() >= index {
            return Err(format!("operand {} does not precede its user {index}", id.0));
        }
        // An operand whose own shape is unsound has been reported; it must not reach inference.
        let Node { shape, dtype, .. } = &graph.nodes[id.index()];
        check_shape(shape, symbols).map_err(|e| format!("operand {}: {e}", id.0))?;
        operands.push((shape, *dtype));
    }
    let (shape, dtype) = infer_declared(declared, &node.op, &operands)?;
    if shape != node.shape || dtype != node.dtype {
        let (found, recorded) = (show_shape(&shape), show_shape(&node.shape));
        return Err(format!("{} has type {dtype} {found}, but {} {recorded} is recorded", node.op.name(), node.dtype));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
