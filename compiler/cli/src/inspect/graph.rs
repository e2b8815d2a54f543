//! `inspect --graph`: the graph of the model before rewriting.

use std::fmt::Write;

use gristmill_bundle::Bundle;
use gristmill_graph::{Graph, Literal, Model, NodeId, Op, Region, show_shape};

use super::view::View;
use crate::failure::{Failure, Outcome};

/// The file in the bundle: a [`Model`] as JSON.
const FILE: &str = gristmill_bundle::GRAPH;

/// As text, with equal layers printed once; as JSON, the file itself.
pub(super) fn view(bundle: &Bundle) -> Outcome<View> {
    let json = serde_json::from_str(&bundle.read_text(FILE)?).map_err(|e| wrong(&e.to_string()))?;
    Ok(View { text: print(&model(bundle)?), json })
}

/// The model in the bundle.
pub(super) fn model(bundle: &Bundle) -> Outcome<Model> {
    let model: Model = serde_json::from_str(&bundle.read_text(FILE)?).map_err(|e| wrong(&e.to_string()))?;
    check(&model).map_err(|what| wrong(&what))?;
    Ok(model)
}

pub(super) fn wrong(what: &str) -> Failure {
    Failure::wrong(format!("{FILE}: {what}; compile the model again"))
}

/// Checks the indices that printing relies on.
fn check(model: &Model) -> Result<(), String> {
    for (i, node) in model.graph.nodes.iter().enumerate() {
        let inside = |n: u32, count: usize| (n as usize) < count;
        let known = node.op.state().is_none_or(|n| inside(n, model.states.len()))
            && !matches!(node.op, Op::Input(n) if !inside(n, model.inputs.len()))
            && !matches!(node.op, Op::Weight(n) if !inside(n, model.weights.len()));
        if !known || node.inputs.iter().any(|n| n.index() >= i) || node.region as usize >= model.graph.regions.len() {
            return Err(format!("node {i} refers to something that does not exist"));
        }
    }
    Ok(())
}

fn print(model: &Model) -> String {
    let graph = &model.graph;
    let mut out = format!("architecture {}, {} nodes\n", model.architecture, graph.nodes.len());
    let mut last: Option<(&Region, Vec<String>)> = None;
    for (index, region) in graph.regions.iter().enumerate() {
        let ids: Vec<NodeId> = graph.ids().filter(|id| graph.node(*id).region as usize == index).collect();
        let form: Vec<String> = ids.iter().map(|id| form(graph, *id, &ids)).collect();
        match &last {
            Some((first, same)) if *same == form => {
                let _ = writeln!(out, "\n{}: same operations as {}", title(region), title(first));
                continue;
            }
            _ => {}
        }
        let _ = writeln!(out, "\n{}", title(region));
        for id in &ids {
            let _ = writeln!(out, "  {}", line(model, *id));
        }
        last = Some((region, form));
    }
    out.push_str("\noutputs\n");
    for (name, id) in &graph.outputs {
        let tap = if model.taps.contains(name) { " (tap)" } else { "" };
        let _ = writeln!(out, "  {name} = %{}{tap}", id.0);
    }
    out
}

pub(super) fn title(region: &Region) -> String {
    match region.index {
        Some(i) => format!("{} {i}", region.name),
        None => region.name.clone(),
    }
}

/// A node without the details that differ between equal layers: the weight, the state, the origin of operands from
/// outside.
fn form(graph: &Graph, id: NodeId, region: &[NodeId]) -> String {
    let node = graph.node(id);
    let numbered = node.op.state().is_some() || matches!(node.op, Op::Weight(_));
    let op = if numbered { node.op.name() } else { format!("{:?}", node.op) };
    let operand = |n: &NodeId| region.iter().position(|r| r == n).map_or("outer".to_string(), |p| p.to_string());
    let operands: Vec<String> = node.inputs.iter().map(operand).collect();
    format!("{op}({}) {} {}", operands.join(","), node.dtype, show_shape(&node.shape))
}

/// The name, with parameters that are not visible in the shapes.
pub(super) fn operation(model: &Model, op: &Op) -> String {
    let name = op.name();
    match op {
        Op::Input(i) => format!("input {}", model.inputs[*i as usize].name),
        Op::Weight(i) => format!("weight {}", model.weights[*i as usize].name),
        Op::StateAppend(i) => format!("append to {}", model.states[*i as usize].name),
        Op::StateKeep(i) => format!("keep in {}", model.states[*i as usize].name),
        Op::StateRead(i) => format!("recall {}", model.states[*i as usize].name),
        Op::StatePrevious(i) => format!("previous {}", model.states[*i as usize].name),
        Op::StateUpdate(i) => format!("update {}", model.states[*i as usize].name),
        Op::Const(Literal::F32(v)) => format!("{name} {v:?}"),
        Op::Const(Literal::I32(v)) => format!("{name} {v}"),
        Op::Const(Literal::Bool(v)) => format!("{name} {v}"),
        Op::Table(v) => format!("{name} {v:?}"),
        Op::Size(d) => format!("{name} {d}"),
        Op::Transpose(perm) => format!("{name} {perm:?}"),
        Op::Slice { axis, start, .. } => format!("{name} axis {axis} from {start}"),
        Op::Pad { axis, before, after, .. } => format!("{name} axis {axis} by {before} and {after}"),
        Op::Reduce { axis, .. } | Op::Concat { axis } => format!("{name} axis {axis}"),
        Op::MatMul { transpose_b } => {
            if *transpose_b {
                format!("{name} transposed")
            } else {
                name
            }
        }
        // The shapes tell the rest.
        Op::Iota(_) | Op::Dequantize | Op::QuantizeActivations => name,
        Op::Unary(_) | Op::Binary(_) | Op::Select | Op::Cast(_) | Op::ArgMax | Op::TopK { .. } => name,
        Op::Reshape(_) | Op::Broadcast(_) | Op::Windows { .. } | Op::Gather | Op::TakeLast => name,
        Op::Softmax | Op::Norm { .. } | Op::Linear { .. } | Op::Attention { .. } => name,
    }
}

fn line(model: &Model, id: NodeId) -> String {
    let node = model.graph.node(id);
    let what = operation(model, &node.op);
    let operands: Vec<String> = node.inputs.iter().map(|n| format!("%{}", n.0)).collect();
    let mut text = format!("%{} = {what}", id.0);
    if !operands.is_empty() {
        let _ = write!(text, " ({})", operands.join(", "));
    }
    let _ = write!(text, " : {} {}", node.dtype, show_shape(&node.shape));
    if let Some(role) = &node.role {
        let _ = write!(text, "  role {role}");
    }
    if !node.path.is_empty() {
        let _ = write!(text, "  # {}", node.path);
    }
    text
}
