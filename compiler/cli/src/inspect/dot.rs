//! `inspect --graph --dot`: an entry as a graph for Graphviz, with a cluster per layer and a colour per kernel.
//!
//! The steps of a program tell which kernel stores a node. Any other node is computed inside the kernels that read it:
//! it has the colour of that kernel, or is white if there are several.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use gristmill_bundle::{Manifest, Programs};
use gristmill_compiler::entries::entry_plans;
use gristmill_graph::{DType, Graph, Model, NodeId, Op, show_shape, verify};

use super::graph::{operation, title, wrong};
use crate::failure::{Failure, Outcome};

/// What to draw.
pub(super) struct Wanted<'a> {
    /// The entry; the first one if absent.
    pub(super) entry: Option<&'a str>,
    /// The index of the layer; all layers if absent.
    pub(super) layer: Option<u32>,
}

/// The graph in the DOT language.
pub(super) fn dot(manifest: &Manifest, model: &Model, programs: &Programs, wanted: &Wanted<'_>) -> Outcome<String> {
    verify(model).map_err(|faults| wrong(&faults.join("; ")))?;
    let names = || manifest.entries.iter().map(|e| e.name.as_str()).collect::<Vec<_>>().join(", ");
    let name = match wanted.entry {
        Some(name) => name,
        None => manifest.entries.first().map(|e| e.name.as_str()).unwrap_or_default(),
    };
    let plans = entry_plans(model);
    let found = plans.iter().find(|p| p.name == name).zip(programs.programs.get(name));
    let (plan, program) =
        found.ok_or_else(|| Failure::wrong(format!("no entry `{name}` in this bundle; it has {}", names())))?;
    let graph = model.entry_graph(&model.entries[plan.entry], plan.taps);
    if let Some(layer) = wanted.layer
        && !graph.regions.iter().any(|r| r.index == Some(layer))
    {
        let most = graph.regions.iter().filter_map(|r| r.index).max();
        let known = most.map_or("the model has no layers".to_string(), |most| format!("the last one is {most}"));
        return Err(Failure::wrong(format!("no layer {layer}: {known}")));
    }
    let mut stored: BTreeMap<&str, String> = BTreeMap::new();
    for step in &program.steps {
        let kernels = step.dispatches.iter().filter_map(|d| programs.kernels.get(d.kernel as usize));
        let text = kernels.map(|k| k.name.as_str()).collect::<Vec<_>>().join(" + ");
        stored.extend(step.nodes.split(' ').map(|path| (path, text.clone())));
    }
    let users = graph.users();
    let kernels = kernels(&graph, &users, &stored);
    Ok(Image { model, graph: &graph, users, kernels, layer: wanted.layer }.draw(name))
}

/// For each node, the kernel that computes it, if it is a single one.
fn kernels(graph: &Graph, users: &[Vec<NodeId>], stored: &BTreeMap<&str, String>) -> Vec<Option<String>> {
    let mut all: Vec<Option<String>> = vec![None; graph.nodes.len()];
    for id in graph.ids().collect::<Vec<_>>().into_iter().rev() {
        let node = graph.node(id);
        if node.op.is_given() {
            continue;
        }
        let readers: BTreeSet<&Option<String>> = users[id.index()].iter().map(|u| &all[u.index()]).collect();
        let reader = if readers.len() == 1 { readers.first().copied().cloned().flatten() } else { None };
        all[id.index()] = stored.get(node.path.as_str()).cloned().or(reader);
    }
    all
}

struct Image<'a> {
    model: &'a Model,
    graph: &'a Graph,
    users: Vec<Vec<NodeId>>,
    kernels: Vec<Option<String>>,
    layer: Option<u32>,
}

impl Image<'_> {
    fn draw(&self, entry: &str) -> String {
        let mut colours: BTreeMap<&str, String> = BTreeMap::new();
        for kernel in self.kernels.iter().flatten() {
            let position = colours.len();
            colours.entry(kernel).or_insert_with(|| colour(position));
        }
        let name = quoted(&[format!("{} {entry}", self.model.architecture)]);
        let mut out = format!("digraph {name} {{\n");
        out += "  graph [compound=true, fontname=\"Helvetica\", nodesep=0.2, ranksep=0.35]\n";
        out += "  node [shape=box, style=\"rounded,filled\", fillcolor=white, fontname=\"Helvetica\", fontsize=11]\n";
        out += "  edge [color=gray40, fontname=\"Helvetica\", fontsize=8, fontcolor=gray30]\n";
        let shown: BTreeSet<NodeId> = self.graph.ids().filter(|id| self.is_shown(*id)).collect();
        for (index, region) in self.graph.regions.iter().enumerate() {
            let inside: Vec<NodeId> =
                shown.iter().copied().filter(|id| self.graph.node(*id).region as usize == index).collect();
            if inside.is_empty() {
                continue;
            }
            let _ = writeln!(out, "  subgraph cluster_{index} {{");
            let name = quoted(&[title(region)]);
            let _ = writeln!(
                out,
                "    label={name}; labeljust=l; style=\"rounded,filled\"; color=gray70; fillcolor={}",
                ground(index)
            );
            for id in inside {
                let _ = writeln!(out, "    n{} [{}]", id.0, self.attributes(id, &colours));
            }
            out += "  }\n";
        }
        // Operands of the shown nodes that are not shown themselves.
        let operands = shown.iter().flat_map(|id| self.operands(*id)).copied();
        let outside: BTreeSet<NodeId> = operands.filter(|id| !shown.contains(id)).collect();
        for id in &outside {
            let _ = writeln!(out, "  n{} [{}, style=\"rounded,dashed\"]", id.0, self.label(*id));
        }
        for id in shown {
            for operand in self.operands(id) {
                let _ = writeln!(out, "  n{} -> n{} [label={}]", operand.0, id.0, self.shape(*operand));
            }
        }
        for (name, id) in &self.graph.outputs {
            if self.is_shown(*id) {
                let text = quoted(&[name.as_str()]);
                let _ = writeln!(out, "  {text} [shape=oval]\n  n{} -> {text}", id.0);
            }
        }
        out += "}\n";
        out
    }

    /// A weight that is not f32 is drawn once, at its dequantization.
    fn is_shown(&self, id: NodeId) -> bool {
        let node = self.graph.node(id);
        let layer = self.graph.regions.get(node.region as usize).and_then(|r| r.index);
        let stored = matches!(node.op, Op::Weight(_))
            && self.users[id.index()].iter().all(|user| self.graph.node(*user).op == Op::Dequantize);
        !stored && self.layer.is_none_or(|wanted| layer == Some(wanted))
    }

    fn operands(&self, id: NodeId) -> &[NodeId] {
        let node = self.graph.node(id);
        if node.op == Op::Dequantize { &[] } else { &node.inputs }
    }

    /// The shape of a value, and its type unless that is f32; empty for a scalar.
    fn shape(&self, id: NodeId) -> String {
        let node = self.graph.node(id);
        let shape = if node.shape.is_empty() { String::new() } else { show_shape(&node.shape) };
        let dtype = if node.dtype == DType::F32 { String::new() } else { node.dtype.to_string() };
        quoted(&[format!("{dtype} {shape}").trim()])
    }

    fn label(&self, id: NodeId) -> String {
        let node = self.graph.node(id);
        if node.op == Op::Dequantize {
            return self.label(node.inputs[0]);
        }
        let mut lines = vec![operation(self.model, &node.op)];
        if !node.op.is_given() {
            lines.push(node.path.clone());
        }
        format!("label={}", quoted(&lines))
    }

    fn attributes(&self, id: NodeId, colours: &BTreeMap<&str, String>) -> String {
        let mut text = self.label(id);
        match &self.kernels[id.index()] {
            Some(kernel) => {
                let colour = colours.get(kernel.as_str()).map(String::as_str).unwrap_or("white");
                let _ = write!(text, ", fillcolor={colour}, tooltip={}", quoted(&[kernel.as_str()]));
            }
            None if self.graph.node(id).op.is_given() => text += ", shape=cylinder, style=filled, fillcolor=gray90",
            None => {}
        }
        text
    }
}

/// The colour of a kernel; adjacent kernels of the program differ most.
fn colour(position: usize) -> String {
    let hue = (position as f64 * 0.618_034).fract();
    format!("\"{hue:.3} 0.350 0.980\"")
}

/// The background of a region; adjacent regions differ.
fn ground(region: usize) -> &'static str {
    ["\"#f7f7f2\"", "\"#f0f4f8\""][region % 2]
}

/// A quoted label of several lines. Names are not trusted.
fn quoted<S: AsRef<str>>(lines: &[S]) -> String {
    let escaped = lines.iter().map(|line| {
        let plain = line.as_ref().chars().map(|c| if c.is_control() { ' ' } else { c });
        plain.collect::<String>().replace('\\', "\\\\").replace('"', "\\\"")
    });
    format!("\"{}\"", escaped.collect::<Vec<_>>().join("\\n"))
}
