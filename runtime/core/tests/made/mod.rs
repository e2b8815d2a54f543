//! A hand-made bundle: a growing state, a mask, a weight that spans several shards, and optional outputs.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use gristmill_bundle::{
    Advance, Binding, Bundle, BundleWriter, Dispatch, Elem, Entry, EntryRole, FORMAT, Input, InputDefault, Kernel,
    MANIFEST, Manifest, ModelInfo, Output, Program, Programs, Size, State, StateKind, Step, Symbol, parse_manifest,
    shard_path,
};
use gristmill_runtime::Tensor;

fn size(text: &str) -> Size {
    text.parse().expect("a size")
}

fn manifest(profile: &str) -> Manifest {
    let sizes = |shape: &[&str]| shape.iter().map(|t| size(t)).collect::<Vec<_>>();
    let symbol = |name: &str, min| Symbol { name: name.to_string(), min, max: 100 };
    let output = |name: &str, elem, shape: &[&str]| Output { name: name.to_string(), elem, shape: sizes(shape) };
    Manifest {
        format: FORMAT,
        generator: "gristmill test".to_string(),
        model: ModelInfo {
            name: "hand-made".to_string(),
            architecture: "none".to_string(),
            precision: "f32".to_string(),
            parameters: 48,
            max_context: 100,
            prefill_chunk: 4,
            eos_token_ids: vec![],
            decoder_start_tokens: vec![],
            choices: vec![],
            embedding: None,
        },
        symbols: vec![symbol("B", 1), symbol("T", 1), symbol("P", 0), symbol("C", 1)],
        inputs: vec![
            Input {
                name: "input_ids".to_string(),
                elem: Elem::I32,
                shape: sizes(&["B", "T"]),
                default: None,
                advance: Some(Advance::Token),
                below: None,
            },
            Input {
                name: "attention_mask".to_string(),
                elem: Elem::I32,
                shape: sizes(&["B", "P + T"]),
                default: Some(InputDefault::Value(1)),
                advance: Some(Advance::Append(1)),
                below: None,
            },
        ],
        states: vec![State {
            name: "seen".to_string(),
            elem: Elem::F32,
            shape: sizes(&["B", "C"]),
            kind: StateKind::Appended { axis: 1, ring: None },
        }],
        entries: vec![Entry {
            name: "forward".to_string(),
            role: EntryRole::Tensors,
            bind: BTreeMap::new(),
            inputs: vec![0, 1],
            outputs: vec![
                output("y", Elem::F32, &["B", "T"]),
                output("wide", Elem::I32, &["70001"]),
                output("broken", Elem::F32, &["1"]),
            ],
            task: None,
            states: vec![0],
            components: vec![0],
        }],
        tensors: vec![],
        shards: vec![],
        components: vec![],
        files: BTreeMap::new(),
        profiles: vec![profile.to_string()],
    }
}

/// Names of the kernels, and which of their buffers they write.
const KERNELS: [(&str, &[bool]); 5] = [
    ("append", &[false, true]),
    ("prefix", &[false, false, true]),
    ("scale", &[false, false, true]),
    ("wide", &[true]),
    ("broken", &[false, true]),
];

/// `tokens` is the grid of kernels that do work per token.
fn programs(tokens: &str, kernel: &dyn Fn(&str, &[bool]) -> Kernel) -> Programs {
    use Binding::{Input, Output, Slot, State, Tensor};
    let dispatch = |kernel, grid: &str, bind: &[Binding]| Dispatch { kernel, grid: size(grid), bind: bind.to_vec() };
    let step = |nodes: &str, dispatches: &[Dispatch]| Step {
        nodes: nodes.to_string(),
        dispatches: dispatches.to_vec(),
        fallback: vec![],
    };
    let prefix = dispatch(1, tokens, &[State(0), Input(1), Slot(0)]);
    let steps = vec![
        step("append", &[dispatch(0, tokens, &[Input(0), State(0)])]),
        step("scale", &[prefix, dispatch(2, tokens, &[Slot(0), Tensor(1), Output(0)])]),
        step("wide", &[dispatch(3, "70001", &[Output(1)])]),
        step("broken", &[dispatch(4, "100", &[Input(0), Output(2)])]),
    ];
    Programs {
        fallbacks: vec![],
        kernels: KERNELS.iter().map(|(name, writes)| kernel(name, writes)).collect(),
        programs: BTreeMap::from([("forward".to_string(), Program { slots: vec![size("4*B*T")], steps })]),
    }
}

/// The 48 elements of the table span several shards of 64 bytes.
pub(crate) fn table(i: usize) -> f32 {
    i as f32 + 0.5
}

fn write(dir: &Path, profile: &str, files: &[(String, Vec<u8>)], programs: &Programs) {
    let mut w = BundleWriter::create(dir).unwrap();
    for (path, content) in files {
        w.add(path, content).unwrap();
    }
    w.add_programs(profile, programs).unwrap();
    let mut weights = w.weights(64).unwrap();
    weights.begin("unused", &[3], "f32").unwrap();
    weights.put(vec![7; 12]).unwrap();
    weights.begin("table", &[48], "f32").unwrap();
    weights.put((0..48).flat_map(|i| table(i).to_le_bytes()).collect()).unwrap();
    w.adopt_weights(weights.finish().unwrap());
    w.finish(manifest(profile)).unwrap();
}

/// The bundle in memory, as in a browser.
pub(crate) fn bundle(
    profile: &str,
    files: &[(String, Vec<u8>)],
    tokens: &str,
    kernel: &dyn Fn(&str, &[bool]) -> Kernel,
) -> Arc<Bundle> {
    changed(profile, files, tokens, kernel, &|_| {})
}

/// The same with a changed manifest, which must be valid.
pub(crate) fn changed(
    profile: &str,
    files: &[(String, Vec<u8>)],
    tokens: &str,
    kernel: &dyn Fn(&str, &[bool]) -> Kernel,
    change: &dyn Fn(&mut Manifest),
) -> Arc<Bundle> {
    let tmp = tempfile::tempdir().unwrap();
    let dir = tmp.path().join("bundle");
    write(&dir, profile, files, &programs(tokens, kernel));
    let mut manifest = parse_manifest(&std::fs::read(dir.join(MANIFEST)).unwrap()).unwrap();
    let shards = manifest.shards.iter().map(|s| shard_path(&s.sha256));
    let paths = manifest.files.keys().cloned().chain(shards).chain([MANIFEST.to_string()]);
    let mut files: BTreeMap<String, Vec<u8>> =
        paths.map(|p| (p.clone(), std::fs::read(dir.join(p)).unwrap())).collect();
    change(&mut manifest);
    files.insert(MANIFEST.to_string(), serde_json::to_vec(&manifest).unwrap());
    Arc::new(Bundle::from_source(Box::new(files)).unwrap())
}

/// Token ids in `rows` rows.
pub(crate) fn inputs(rows: usize, ids: &[i32]) -> BTreeMap<String, Tensor> {
    BTreeMap::from([("input_ids".to_string(), Tensor::i32([rows, ids.len() / rows], ids.to_vec()))])
}
