//! A text notation for small graphs.
//!
//! ```text
//! value  x [B T 8]              an input (f32 unless i32 or bool follows)
//! weight w [16 8]               a stored weight; `weight w [16 8] q4` is quantized
//! region layer                  what follows belongs to a new region
//! let    h = (mul x x)          a name for a value
//! out    y = (add h (mean h))   an output
//! ```

use std::collections::BTreeMap;
use std::fmt::Write as _;

use gristmill_graph::{
    Binary, DType, Dim, Graph, Input, Literal, Model, Node, NodeId, NormKind, Op, Precision, Reduction, Region, Shape,
    State, StateKind, Symbol, Unary, Weight, infer,
};

use super::super::show;

/// Parses a model that is only a graph. Panics on errors: cases are part of the tests.
pub(super) fn read(text: &str) -> Model {
    let symbols = ["B", "T", "S", "P"].map(|name| Symbol { name: name.into(), min: 0, max: 64 });
    let model = Model { symbols: symbols.into(), ..Model::default() };
    let mut reader = Reader { model, names: BTreeMap::new() };
    reader.model.graph.regions.push(Region { name: "main".into(), index: None });
    for line in text.lines().map(str::trim).filter(|l| !l.is_empty() && !l.starts_with('#')) {
        let (word, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
        match word {
            "value" | "weight" => reader.leaf(word, rest.trim()),
            "region" => reader.model.graph.regions.push(Region { name: rest.trim().into(), index: None }),
            "let" | "out" => {
                let (name, formula) = rest.split_once('=').unwrap_or_else(|| panic!("no `=` in `{line}`"));
                let name = name.trim();
                let mut words = tokens(formula);
                words.reverse();
                let id = reader.expression(&mut words, name);
                assert!(words.is_empty(), "left over in `{line}`: {words:?}");
                reader.names.insert(name.to_string(), id);
                if word == "out" {
                    reader.model.graph.outputs.insert(name.to_string(), id);
                }
            }
            _ => panic!("cannot read `{line}`"),
        }
    }
    reader.model
}

fn tokens(text: &str) -> Vec<String> {
    let mut out = Vec::new();
    let mut rest = text.trim();
    while !rest.is_empty() {
        let end = match rest.as_bytes()[0] {
            b'(' | b')' => 1,
            b'[' => rest.find(']').expect("a `]` is missing") + 1,
            _ => rest.find(|c: char| c.is_whitespace() || "()[".contains(c)).unwrap_or(rest.len()),
        };
        out.push(rest[..end].to_string());
        rest = rest[end..].trim_start();
    }
    out
}

fn dim(text: &str) -> Dim {
    let term = |t: &str| t.parse::<i64>().map_or_else(|_| Dim::symbol(t), Dim::constant);
    text.split('+').fold(Dim::default(), |sum, t| &sum + &term(t))
}

fn shape(text: &str) -> Shape {
    text.trim_matches(['[', ']']).split_whitespace().map(dim).collect()
}

fn number(word: &str) -> Option<Literal> {
    match word {
        "true" => Some(Literal::Bool(true)),
        "false" => Some(Literal::Bool(false)),
        _ if word.ends_with('i') => word.trim_end_matches('i').parse().ok().map(Literal::I32),
        _ => word.parse().ok().map(Literal::f32),
    }
}

struct Reader {
    model: Model,
    names: BTreeMap<String, NodeId>,
}

impl Reader {
    fn leaf(&mut self, kind: &str, rest: &str) {
        let words = tokens(rest);
        let dtype = match words.get(2).map(String::as_str) {
            Some("i32") => DType::I32,
            Some("bool") => DType::Bool,
            _ => DType::F32,
        };
        let precision = words.get(2).and_then(|w| w.parse::<Precision>().ok());
        let (name, shape) = (words[0].clone(), shape(&words[1]));
        let op = if kind == "weight" {
            let sizes = shape.iter().map(|d| d.as_const().expect("a constant").unsigned_abs()).collect();
            self.model.weights.push(Weight { name: name.clone(), source: name.clone(), shape: sizes, component: 0 });
            Op::Weight(self.model.weights.len() as u32 - 1)
        } else {
            let input = Input { name: name.clone(), dtype, shape: shape.clone(), default: None, advance: None };
            self.model.inputs.push(input);
            Op::Input(self.model.inputs.len() as u32 - 1)
        };
        let mut id = self.push(op, &[], (shape, dtype), &name);
        self.model.graph.nodes[id.index()].precision = precision;
        if matches!(precision, Some(Precision::Quant(_))) {
            id = self.op(Op::Dequantize, &[id], &name);
        }
        self.names.insert(name, id);
    }

    fn push(&mut self, op: Op, inputs: &[NodeId], (shape, dtype): (Shape, DType), path: &str) -> NodeId {
        let region = self.model.graph.regions.len() as u32 - 1;
        let inputs = inputs.to_vec();
        let node = Node { op, inputs, shape, dtype, path: path.into(), role: None, precision: None, region };
        self.model.graph.nodes.push(node);
        NodeId(self.model.graph.nodes.len() as u32 - 1)
    }

    fn op(&mut self, op: Op, inputs: &[NodeId], path: &str) -> NodeId {
        let operands: Vec<_> = inputs
            .iter()
            .map(|&i| {
                let node = self.model.graph.node(i);
                (node.shape.as_slice(), node.dtype)
            })
            .collect();
        let ty = infer(&op, &operands).unwrap_or_else(|message| panic!("{path}: {message}"));
        self.push(op, inputs, ty, path)
    }

    /// Parses one expression from the end of `words`, which are in reverse order.
    fn expression(&mut self, words: &mut Vec<String>, path: &str) -> NodeId {
        let word = words.pop().expect("an expression");
        if word != "(" {
            if let Some(&id) = self.names.get(&word) {
                return id;
            }
            let value = number(&word).unwrap_or_else(|| panic!("unknown name `{word}`"));
            return self.op(Op::Const(value), &[], path);
        }
        let head = words.pop().expect("an operation");
        let mut attributes = Vec::new();
        let wanted = match head.as_str() {
            "reshape" | "broadcast" | "transpose" | "iota" | "size" | "concat" => 1,
            "append" => 2,
            "slice" => 3,
            _ => 0,
        };
        for _ in 0..wanted {
            attributes.push(words.pop().expect("an attribute"));
        }
        let mut args = Vec::new();
        let name = format!("{path}/{head}");
        while words.last().is_some_and(|w| w != ")") {
            args.push(self.expression(words, &name));
        }
        words.pop().expect("a `)`");
        if head == "append" {
            let full = shape(&attributes[1]);
            let axis = full.iter().position(|d| *d == dim("P+T")).expect("an axis that grows");
            let mut past = full.clone();
            past[axis] = dim("P");
            self.model.states.push(State {
                name: attributes[0].clone(),
                shape: past,
                kind: StateKind::Appended { axis: axis as u32, window: None },
            });
            return self.push(Op::StateAppend(self.model.states.len() as u32 - 1), &args, (full, DType::F32), path);
        }
        let last = args.first().map_or(0, |&a| self.model.graph.node(a).shape.len() as u32);
        let op = operation(&head, &attributes, args.len(), last);
        self.op(op, &args, path)
    }
}

fn operation(head: &str, attributes: &[String], arity: usize, rank: u32) -> Op {
    let axis = rank.saturating_sub(1);
    let numbers = || attributes[0].trim_matches(['[', ']']).split_whitespace().map(|n| n.parse().unwrap()).collect();
    match (head, arity) {
        ("mean", 1) => Op::Reduce { op: Reduction::Mean, axis },
        ("sum", 1) => Op::Reduce { op: Reduction::Sum, axis },
        ("max", 1) => Op::Reduce { op: Reduction::Max, axis },
        ("reshape", _) => Op::Reshape(shape(&attributes[0])),
        ("broadcast", _) => Op::Broadcast(shape(&attributes[0])),
        ("transpose", _) => Op::Transpose(numbers()),
        ("slice", _) => Op::Slice {
            axis: attributes[0].parse().expect("an axis"),
            start: dim(&attributes[1]),
            len: dim(&attributes[2]),
        },
        ("concat", _) => Op::Concat { axis: attributes[0].parse().expect("an axis") },
        ("iota", _) => Op::Iota(dim(&attributes[0])),
        ("size", _) => Op::Size(dim(&attributes[0])),
        ("gather", _) => Op::Gather,
        ("matmul", _) => Op::MatMul { transpose_b: false },
        ("matmul_t", _) => Op::MatMul { transpose_b: true },
        ("softmax", _) => Op::Softmax,
        ("select", _) => Op::Select,
        ("cast_f32", _) => Op::Cast(DType::F32),
        ("cast_i32", _) => Op::Cast(DType::I32),
        ("cast_bool", _) => Op::Cast(DType::Bool),
        (_, 1) => Op::Unary(Unary::named(head).unwrap_or_else(|| panic!("unknown operation `{head}`"))),
        _ => Op::Binary(Binary::named(head).unwrap_or_else(|| panic!("unknown operation `{head}`"))),
    }
}

/// Prints the outputs of a graph. Values that are used more than once, and fused operations, get a `let`.
pub(super) fn write(graph: &Graph) -> String {
    let mut uses: Vec<usize> = graph.users().iter().map(Vec::len).collect();
    for id in graph.outputs.values() {
        uses[id.index()] += 1;
    }
    let mut names: BTreeMap<NodeId, String> = BTreeMap::new();
    let mut out = String::new();
    let mut lets = 0;
    for id in graph.ids() {
        let node = graph.node(id);
        let is_const = matches!(node.op, Op::Const(_));
        let is_leaf = matches!(node.op, Op::Input(_) | Op::Weight(_) | Op::Dequantize);
        let text = if is_leaf { node.path.clone() } else { expression(graph, &names, id) };
        let stands_alone = matches!(node.op, Op::StateAppend(_)) || node.op.is_fused();
        let is_output = graph.outputs.values().any(|o| *o == id);
        if !is_leaf && !is_const && (uses[id.index()] > 1 || (stands_alone && !is_output)) {
            lets += 1;
            writeln!(out, "let %{lets} = {text}").unwrap();
            names.insert(id, format!("%{lets}"));
        } else {
            names.insert(id, text);
        }
    }
    for (name, id) in &graph.outputs {
        writeln!(out, "out {name} = {}", names[id]).unwrap();
    }
    out
}

fn expression(graph: &Graph, names: &BTreeMap<NodeId, String>, id: NodeId) -> String {
    let node = graph.node(id);
    let list = |dims: &[Dim]| {
        let dims: Vec<_> = dims.iter().map(|d| d.to_string().replace(' ', "")).collect();
        format!("[{}]", dims.join(" "))
    };
    let head = match &node.op {
        Op::Const(value) => return show::literal(*value),
        Op::Reshape(s) => format!("reshape {}", list(s)),
        Op::Broadcast(s) => format!("broadcast {}", list(s)),
        Op::Transpose(p) => format!("transpose {p:?}").replace(',', ""),
        Op::Slice { axis, start, len } => format!("slice {axis} {start} {len}"),
        Op::Iota(d) => format!("iota {d}"),
        Op::Size(d) => format!("size {d}"),
        Op::Concat { axis } => format!("concat {axis}"),
        Op::MatMul { transpose_b: true } => "matmul_t".into(),
        Op::StateAppend(i) => format!("append {i} {}", list(&node.shape)),
        Op::Norm { kind, eps } => {
            let kind = if *kind == NormKind::Rms { "rms_norm" } else { "layer_norm" };
            format!("{kind}:{}", show::literal(Literal::F32(*eps)))
        }
        op => show::op(op),
    };
    let args = node.inputs.iter().map(|i| format!(" {}", names[i]));
    format!("({head}{})", args.collect::<String>())
}
