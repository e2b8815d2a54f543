//! Writes kernels of linear layers for tests/bench (see its README), or measures them natively:
//!
//! ```text
//! cargo run --release -p gristmill-tests --example kernel_bench -- FOLDER
//! cargo run --release -p gristmill-tests --example kernel_bench -- FOLDER --native
//! ```
//!
//! With `--native`, wasmtime runs the same kernels on one thread; browsers may be slower or faster.

use std::path::Path;

use gristmill_compiler::activations::quantize_activations;
use gristmill_compiler::codegen::context::{Place, Setting};
use gristmill_compiler::options::KvPrecision;
use gristmill_compiler::plan;
use gristmill_compiler::profile::{Profile, shipped};
use gristmill_compiler::select::{Call, KernelSet, lower};
use gristmill_graph::quant::stored_bytes;
use gristmill_graph::{
    Bindings, DType, Dim, Graph, Input, Model, Node, NodeId, Op, Precision, Region, Scalar, Shape, Symbol, Weight,
    infer, numel,
};
use gristmill_kernel::Kernel;
use gristmill_tests::module::{Loaded, Symbols, legal, print};
use serde_json::json;

/// Rows and columns of a square weight, its precision, and rows of activations.
const CASES: [(u64, &str, u32); 11] = [
    (2048, "q2", 1),
    (2048, "q3", 1),
    (2048, "q4", 1),
    (2048, "q8", 1),
    (2048, "f16", 1),
    (2048, "f32", 1),
    (4096, "q4", 1),
    (4096, "q2", 1),
    (2048, "q4", ROWS),
    (2048, "q8", ROWS),
    (2048, "f32", ROWS),
];

/// Rows of a chunk of a prompt.
const ROWS: u32 = 128;

/// A word that is a small number as a float, as two f16, and as four bytes.
const HARMLESS: u32 = 0x3c00_3c00;

/// A call of a kernel and its operands.
struct Measured {
    label: String,
    kernel: usize,
    grid: u64,
    /// Sizes of the buffers in bytes, in binding order.
    buffers: Vec<u64>,
    weight_bytes: u64,
    ops: u64,
}

fn push(graph: &mut Graph, op: Op, inputs: &[NodeId], shape: Shape, dtype: DType) -> NodeId {
    let id = NodeId(graph.nodes.len() as u32);
    let path = format!("n{}", id.0);
    graph.nodes.push(Node { op, inputs: inputs.to_vec(), shape, dtype, path, role: None, precision: None, region: 0 });
    id
}

/// A model that is one product of `rows` rows of input with a square weight.
fn model(size: u64, precision: Precision, rows: u32) -> (Model, Graph) {
    let symbol = |name: &str| Symbol { name: name.into(), min: 1, max: 1024 };
    let columns = Dim::constant(size as i64);
    let tokens = if rows == 1 { Dim::constant(1) } else { Dim::symbol("T") };
    let shape: Shape = vec![Dim::symbol("B"), tokens, columns.clone()];
    let input = Input { name: "x".into(), dtype: DType::F32, shape: shape.clone(), default: None, advance: None };
    let weight = Weight { name: "w".into(), source: "w".into(), shape: vec![size, size], component: 0 };
    let model = Model {
        architecture: "measurement".into(),
        symbols: vec![symbol("B"), symbol("T")],
        inputs: vec![input],
        weights: vec![weight],
        ..Model::default()
    };
    let mut graph = Graph { regions: vec![Region { name: "start".into(), index: None }], ..Graph::default() };
    let x = push(&mut graph, Op::Input(0), &[], shape, DType::F32);
    let square: Shape = vec![columns.clone(), columns];
    let mut w = push(&mut graph, Op::Weight(0), &[], square.clone(), DType::F32);
    if precision != Precision::F32 {
        w = push(&mut graph, Op::Dequantize, &[w], square, DType::F32);
    }
    let product = Op::Linear { weights: 1, epilogue: Scalar::Acc(0) };
    let types = [x, w].map(|id| (graph.node(id).shape.clone(), graph.node(id).dtype));
    let types: Vec<(&[Dim], DType)> = types.iter().map(|(shape, dtype)| (shape.as_slice(), *dtype)).collect();
    let (shape, dtype) = infer(&product, &types).expect("well typed");
    let y = push(&mut graph, product, &[x, w], shape, dtype);
    graph.outputs.insert("y".into(), y);
    (model, graph)
}

/// The product alone; another kernel quantizes the input to bytes.
fn measured(case: (u64, &str, u32), profile: &Profile, set: &mut KernelSet) -> Result<Measured, String> {
    let (size, name, rows) = case;
    let precision: Precision = name.parse().map_err(|e| format!("{name}: {e}"))?;
    let (model, graph) = model(size, precision, rows);
    let precisions = [precision];
    let graph = quantize_activations(&graph, &precisions);
    let setting =
        Setting { model: &model, precisions: &precisions, kv: KvPrecision::F32, profile, has_fallback: false };
    let steps = lower(&setting, &graph, &["y".to_string()], set).map_err(|e| e.to_string())?;
    let uses_weight = |call: &&Call| call.places.iter().any(|p| matches!(p, Place::Tensor(_)));
    let call = steps.iter().flat_map(|s| &s.calls).find(uses_weight).ok_or("no kernel reads the weight")?;

    let symbols = symbols();
    let bindings: Bindings = symbols.iter().map(|(k, v)| (k.clone(), i64::from(*v))).collect();
    let bytes = |dim: Dim| dim.eval(&bindings).and_then(|n| u64::try_from(n).ok()).ok_or("a size has no value");
    let weight_bytes = stored_bytes(precision, &[size, size]).map_err(|e| e.to_string())?.next_multiple_of(16);
    let floats = |shape: &[Dim]| bytes(&numel(shape) * &Dim::constant(4));
    let of = |place: &Place| match place {
        Place::Tensor(_) => Ok(weight_bytes),
        Place::Value(id) => bytes(plan::bytes(&graph, *id)),
        Place::Input(_) => floats(&model.inputs[0].shape),
        Place::Output(_) | Place::State(_) => floats(&graph.node(graph.outputs["y"]).shape),
        Place::Scratch(_) => Err("kernels of one dispatch have no memory between them"),
    };
    let buffers = call.places.iter().map(|p| Ok(of(p)?.next_multiple_of(16))).collect::<Result<_, String>>()?;
    let kind = if rows == 1 { "matvec".to_string() } else { format!("matmul of {rows} rows") };
    Ok(Measured {
        label: format!("{kind}, {name}, {size} x {size}"),
        kernel: call.kernel,
        grid: call.grid.eval(&symbols).map_err(|e| e.to_string())?,
        buffers,
        weight_bytes,
        ops: 2 * size * size * u64::from(rows),
    })
}

fn symbols() -> Symbols {
    Symbols::from([("B".to_string(), 1), ("T".to_string(), ROWS), ("C".to_string(), 1)])
}

/// The content of `calls.json`. Symbols are in the order of the kernels, which is not alphabetical.
fn calls(kernels: &[Kernel], all: &[Measured]) -> String {
    let values = symbols();
    let order = kernels.first().map(|k| k.symbols.as_slice()).unwrap_or_default();
    let symbols: Vec<String> = order.iter().map(|s| format!("\"{s}\": {}", values[s])).collect();
    let line = |m: &Measured| {
        json!({
            "label": m.label, "kernel": kernels[m.kernel].name, "grid": m.grid, "buffers": m.buffers,
            "weight_bytes": m.weight_bytes, "ops": m.ops,
        })
        .to_string()
    };
    let lines: Vec<String> = all.iter().map(line).collect();
    format!(
        "{{\n  \"symbols\": {{ {} }},\n  \"calls\": [\n    {}\n  ]\n}}\n",
        symbols.join(", "),
        lines.join(",\n    ")
    )
}

fn measure(kernels: &[Kernel], all: &[Measured]) -> Result<(), String> {
    println!("| | module | best, us | GB/s | Gop/s |\n| --- | --- | --- | --- | --- |");
    for (module, relaxed) in [("relaxed", true), ("baseline", false)] {
        let mut loaded = Loaded::new(kernels, relaxed);
        for m in all {
            let buffers: Vec<Vec<u32>> = m.buffers.iter().map(|b| vec![HARMLESS; *b as usize / 4]).collect();
            let seconds = loaded.time(m.kernel, &symbols(), &buffers)?;
            let rate = |amount: u64| amount as f64 / seconds / 1e9;
            let (us, label) = (seconds * 1e6, &m.label);
            println!("| {label} | {module} | {us:.1} | {:.1} | {:.1} |", rate(m.weight_bytes), rate(m.ops));
        }
    }
    Ok(())
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let (folder, native) = match args.as_slice() {
        [folder] => (folder, false),
        [folder, flag] if flag == "--native" => (folder, true),
        _ => return Err("expected FOLDER [--native]".into()),
    };
    let (profile, mut set) = (shipped("wasm")?, KernelSet::default());
    let all = CASES.iter().map(|case| measured(*case, &profile, &mut set)).collect::<Result<Vec<_>, _>>()?;
    let kernels: Vec<Kernel> = set.kernels.iter().map(legal).collect();
    let folder = Path::new(&folder);
    std::fs::create_dir_all(folder)?;
    std::fs::write(folder.join("calls.json"), calls(&kernels, &all))?;
    std::fs::write(folder.join("relaxed.wasm"), print(&kernels, true))?;
    std::fs::write(folder.join("baseline.wasm"), print(&kernels, false))?;
    if native {
        measure(&kernels, &all)?;
    }
    Ok(())
}
