use gristmill_bundle::{
    BundleWriter, Entry as ManifestEntry, EntryRole as ManifestRole, FORMAT, Input as ManifestInput, ModelInfo, Output,
    Size, State as ManifestState, Symbol as ManifestSymbol,
};
use gristmill_graph::quant::{QuantLayout, Tile, pack_tile, symmetric_header};
use gristmill_graph::{DType, Dim, Entry, EntryRole, Input, Op, State, StateKind, Symbol, Weight};

use super::*;
use gristmill_runtime::blocking::{begin, run};

/// `y = append(x * w^T)` with a quantized `w [2, 16]`; `h = x` is a tap.
fn model() -> Model {
    let s = Dim::symbol;
    let mut m = Model { architecture: "toy".into(), ..Model::default() };
    for (name, min) in [("B", 1), ("T", 1), ("P", 0)] {
        m.symbols.push(Symbol { name: name.into(), min, max: 8 });
    }
    let shape = vec![s("B"), s("T"), Dim::constant(16)];
    m.inputs.push(Input { name: "x".into(), dtype: DType::F32, shape, default: None, advance: None });
    m.states.push(State {
        name: "cache".into(),
        shape: vec![s("B"), s("P"), Dim::constant(2)],
        kind: StateKind::Appended { axis: 1, window: None },
    });
    m.weights.push(Weight { name: "w".into(), source: "w".into(), shape: vec![2, 16], component: 0 });
    let x = m.add(Op::Input(0), &[], "x").unwrap();
    let w = m.add(Op::Weight(0), &[], "w").unwrap();
    let w = m.add(Op::Dequantize, &[w], "w/values").unwrap();
    let y = m.add(Op::MatMul { transpose_b: true }, &[x, w], "y").unwrap();
    let y = m.add(Op::StateAppend(0), &[y], "cache").unwrap();
    m.graph.outputs = BTreeMap::from([("y".to_string(), y), ("h".to_string(), x)]);
    m.taps.push("h".into());
    let bind = Bindings::new();
    let outputs = vec!["y".into()];
    m.entries.push(Entry { name: "step".into(), role: EntryRole::Prefill, bind, outputs, task: None });
    m
}

fn manifest() -> Manifest {
    let shape = |sizes: &[&str]| sizes.iter().map(|s| s.parse::<Size>().expect("a size")).collect::<Vec<_>>();
    let output = |name: &str, sizes: &[&str]| Output { name: name.into(), elem: Elem::F32, shape: shape(sizes) };
    let entry = |name: &str, role, outputs| ManifestEntry {
        name: name.into(),
        role,
        bind: BTreeMap::new(),
        inputs: vec![0],
        outputs,
        task: None,
        states: vec![0],
        components: Vec::new(),
    };
    let y = || output("y", &["B", "P + T", "2"]);
    let symbol = |name: &str, min| ManifestSymbol { name: name.into(), min, max: 8 };
    Manifest {
        format: FORMAT,
        generator: "test".into(),
        model: ModelInfo {
            name: "toy".into(),
            architecture: "toy".into(),
            precision: "q4".into(),
            parameters: 32,
            max_context: 8,
            prefill_chunk: 8,
            eos_token_ids: Vec::new(),
            decoder_start_tokens: vec![],
            choices: vec![],
            embedding: None,
        },
        symbols: vec![symbol("B", 1), symbol("T", 1), symbol("P", 0), symbol("C", 1)],
        inputs: vec![ManifestInput {
            name: "x".into(),
            elem: Elem::F32,
            shape: shape(&["B", "T", "16"]),
            default: None,
            advance: None,
            below: None,
        }],
        states: vec![ManifestState {
            name: "cache".into(),
            elem: Elem::F16,
            shape: shape(&["B", "C", "2"]),
            kind: gristmill_bundle::StateKind::Appended { axis: 1, ring: None },
        }],
        entries: vec![
            entry("step", ManifestRole::Prefill, vec![y()]),
            entry("step.taps", ManifestRole::Taps, vec![y(), output("h", &["B", "T", "16"])]),
        ],
        tensors: Vec::new(),
        shards: Vec::new(),
        components: Vec::new(),
        files: BTreeMap::new(),
        profiles: Vec::new(),
    }
}

/// Row 0 of `w` is -7.5, .., 7.5 and row 1 the same with the grid moved: -7, .., 8.
fn packed() -> Vec<u8> {
    let Ok(Precision::Quant(spec)) = "q4.g16".parse() else { panic!("a format") };
    let layout = QuantLayout::new(2, 16, spec).unwrap();
    let mut tile = Tile::zeros(&layout);
    for row in 0..2 {
        for code in 0..16 {
            tile.codes[row * layout.padded_columns() + code] = code as u8;
        }
        tile.headers[row * layout.header_bytes()] = symmetric_header(1, row == 1);
        tile.scales[row] = half::f16::from_f32(0.5);
    }
    let mut bytes = vec![0; layout.bytes as usize];
    pack_tile(&layout, &tile).write_to(&layout, 0, &mut bytes);
    bytes
}

fn bundle(change: impl FnOnce(&mut Model)) -> (tempfile::TempDir, Bundle) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("bundle");
    let mut writer = BundleWriter::create(&path).unwrap();
    let mut model = model();
    change(&mut model);
    writer.add(GRAPH, &serde_json::to_vec(&model).unwrap()).unwrap();
    let mut weights = writer.weights(1 << 20).unwrap();
    weights.begin("w", &[2, 16], "q4.g16").unwrap();
    weights.put(packed()).unwrap();
    writer.adopt_weights(weights.finish().unwrap());
    writer.finish(manifest()).unwrap();
    let bundle = Bundle::open(&path).unwrap();
    (dir, bundle)
}

/// `[1, T, 16]` with a single one in each row, at `hot[t]`.
fn one_hot(hot: &[usize]) -> BTreeMap<String, Tensor> {
    let mut data = vec![0.0; hot.len() * 16];
    hot.iter().enumerate().for_each(|(t, i)| data[t * 16 + i] = 1.0);
    BTreeMap::from([("x".to_string(), Tensor::f32([1, hot.len(), 16], data))])
}

#[test]
fn a_quantized_bundle_runs_with_states() {
    let (_dir, bundle) = bundle(|_| {});
    let mut backend = ReferenceBackend::open(bundle).unwrap();
    assert!(run(&mut backend, "step", &one_hot(&[0]), 0, &[]).unwrap_err().to_string().contains("begin"));
    begin(&mut backend, 1, 4).unwrap();
    let first = run(&mut backend, "step", &one_hot(&[0, 15]), 0, &[]).unwrap();
    assert_eq!(first["y"], Tensor::f32([1, 2, 2], vec![-7.5, -7.0, 7.5, 8.0]));
    let next = run(&mut backend, "step.taps", &one_hot(&[8]), 2, &[]).unwrap();
    assert_eq!(next["y"], Tensor::f32([1, 3, 2], vec![-7.5, -7.0, 7.5, 8.0, 0.5, 1.0]));
    assert_eq!(next["h"].shape, [1, 1, 16]);
    let only = run(&mut backend, "step.taps", &one_hot(&[8]), 0, &["h"]).unwrap();
    assert_eq!(only.keys().collect::<Vec<_>>(), ["h"]);
    let full = run(&mut backend, "step", &one_hot(&[8, 8]), 3, &[]).unwrap_err();
    assert_eq!(full.to_string(), "5 tokens do not fit into a context of 4");
}

#[test]
fn states_are_rounded_to_their_stored_type() {
    let (_dir, bundle) = bundle(|_| {});
    let mut backend = ReferenceBackend::open(bundle).unwrap();
    begin(&mut backend, 1, 4).unwrap();
    let mut x = one_hot(&[15]);
    x.insert("x".into(), Tensor::f32([1, 1, 16], vec![0.1; 16]));
    let y = &run(&mut backend, "step", &x, 0, &[]).unwrap()["y"];
    let exact = 0.1f32 * 8.0;
    assert_eq!(y.as_f32().unwrap()[1], half::f16::from_f32(exact).to_f32());
}

#[test]
fn graphs_that_do_not_fit_are_refused() {
    let fails = |change: fn(&mut Model)| {
        let (_dir, bundle) = bundle(change);
        ReferenceBackend::open(bundle).unwrap_err().to_string()
    };
    assert_eq!(fails(|m| m.weights[0].name = "v".into()), "the bundle has no tensor `v`");
    assert_eq!(
        fails(|m| m.weights[0].shape = vec![16, 2]),
        "tensor `w`: graph.json expects shape [16, 2], the manifest has [2, 16]"
    );
    assert_eq!(
        fails(|m| m.graph.nodes[0].op = Op::Input(3)),
        "graph.json: x: input 3 does not exist; the model declares 1"
    );
}
