//! Runs every family of kernels on the interpreter, and compares with the evaluator.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use gristmill_compiler::activations::quantize_activations;
use gristmill_compiler::codegen::context::Setting;
use gristmill_compiler::options::KvPrecision;
use gristmill_compiler::profile::{Profile, read, shipped};
use gristmill_compiler::select::{KernelSet, lower};
use gristmill_compiler::simulate::Session;
use gristmill_graph::eval::evaluate;
use gristmill_graph::format::Header;
use gristmill_graph::quant::{QuantLayout, decode_stored, stored_bytes};
use gristmill_graph::*;

/// A profile that uses every algorithm with several kernels or several results.
fn several_kernels() -> Profile {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/profiles/several_kernels.ron");
    read(&file).unwrap_or_else(|e| panic!("{e}"))
}

/// A graph under construction, with its model.
struct Fixture {
    model: Model,
    graph: Graph,
    precisions: Vec<Precision>,
    bytes: Vec<Vec<u8>>,
    inputs: BTreeMap<String, Array>,
    seed: u64,
}

impl Fixture {
    fn new() -> Self {
        let symbol = |name: &str, max| Symbol { name: name.into(), min: 0, max };
        let model = Model {
            architecture: "test".into(),
            symbols: vec![symbol("B", 8), symbol("T", 256), symbol("P", 256)],
            ..Model::default()
        };
        let regions = vec![Region { name: "start".into(), index: None }];
        let graph = Graph { regions, ..Graph::default() };
        Fixture { model, graph, precisions: vec![], bytes: vec![], inputs: BTreeMap::new(), seed: 7 }
    }

    fn random(&mut self) -> f32 {
        self.seed = self.seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        ((self.seed >> 40) as f32 / (1u64 << 24) as f32 - 0.5) * 2.0
    }

    fn push(&mut self, op: Op, inputs: &[NodeId], shape: Shape, dtype: DType) -> NodeId {
        let id = NodeId(self.graph.nodes.len() as u32);
        let (inputs, path) = (inputs.to_vec(), format!("n{}", id.0));
        self.graph.nodes.push(Node { op, inputs, shape, dtype, path, role: None, precision: None, region: 0 });
        id
    }

    fn op(&mut self, op: Op, inputs: &[NodeId]) -> NodeId {
        let types: Vec<(&[Dim], DType)> =
            inputs.iter().map(|i| (self.graph.node(*i).shape.as_slice(), self.graph.node(*i).dtype)).collect();
        let (shape, dtype) = infer(&op, &types).expect("well typed");
        self.push(op, inputs, shape, dtype)
    }

    fn declare(&mut self, shape: Shape, tensor: Array) -> NodeId {
        let index = self.model.inputs.len() as u32;
        let (name, dtype) = (format!("x{index}"), tensor.dtype());
        self.inputs.insert(name.clone(), tensor);
        self.model.inputs.push(Input { name, dtype, shape: shape.clone(), default: None, advance: None });
        self.push(Op::Input(index), &[], shape, dtype)
    }

    /// An f32 input of symbolic shape, with data of the given sizes.
    fn input(&mut self, shape: Shape, sizes: &[usize]) -> NodeId {
        let data = (0..sizes.iter().product()).map(|_| self.random()).collect();
        self.declare(shape, Array::f32(sizes, data))
    }

    fn int_input(&mut self, shape: Shape, sizes: &[usize], below: i32) -> NodeId {
        let data = (0..sizes.iter().product()).map(|_| ((self.random() + 1.0) * 0.5 * below as f32) as i32).collect();
        self.declare(shape, Array::i32(sizes, data))
    }

    /// A weight with random values in its stored form.
    fn weight(&mut self, shape: &[u64], precision: Precision) -> NodeId {
        let index = self.model.weights.len() as u32;
        let count = shape.iter().product::<u64>();
        let mut bytes: Vec<u8> = match precision {
            Precision::F32 => (0..count).flat_map(|_| self.random().to_le_bytes()).collect(),
            Precision::F16 => (0..count).flat_map(|_| half::f16::from_f32(self.random()).to_le_bytes()).collect(),
            Precision::Quant(spec) => {
                let layout = QuantLayout::new(shape[0], shape[1], spec).unwrap();
                let mut bytes: Vec<u8> = (0..layout.bytes).map(|_| (self.random() * 1000.0) as i32 as u8).collect();
                let halves = match spec.format().header {
                    Header::BlockScale => layout.headers.offset,
                    Header::ScaleAndShift | Header::ScaleAndMinimum => layout.scales.offset,
                };
                for half in bytes[halves as usize..].chunks_exact_mut(2) {
                    half.copy_from_slice(&half::f16::from_f32(0.001 * (1.0 + self.random())).to_le_bytes());
                }
                bytes
            }
        };
        bytes.resize(bytes.len().next_multiple_of(16), 0);
        self.bytes.push(bytes);
        self.precisions.push(precision);
        let name = format!("w{index}");
        self.model.weights.push(Weight { name: name.clone(), source: name, shape: shape.to_vec(), component: 0 });
        let dims = shape.iter().map(|d| Dim::constant(*d as i64)).collect();
        let id = self.push(Op::Weight(index), &[], dims, DType::F32);
        if precision == Precision::F32 { id } else { self.op(Op::Dequantize, &[id]) }
    }

    fn append(&mut self, state_shape: Shape, axis: u32, x: NodeId) -> NodeId {
        let state = self.model.states.len() as u32;
        self.model.states.push(State {
            name: format!("s{state}"),
            shape: state_shape,
            kind: StateKind::Appended { axis, window: None },
        });
        let mut shape = self.graph.node(x).shape.clone();
        shape[axis as usize] = &shape[axis as usize] + &Dim::symbol("P");
        self.push(Op::StateAppend(state), &[x], shape, DType::F32)
    }

    fn output(&mut self, id: NodeId) {
        self.graph.outputs.insert(format!("y{}", self.graph.outputs.len()), id);
    }

    fn decoded(&self) -> Vec<Arc<Array>> {
        let weights = self.model.weights.iter().zip(&self.bytes).zip(&self.precisions);
        weights
            .map(|((w, bytes), p)| {
                let stored = stored_bytes(*p, &w.shape).unwrap() as usize;
                let shape: Vec<usize> = w.shape.iter().map(|d| *d as usize).collect();
                Arc::new(Array::f32(&shape, decode_stored(*p, &w.shape, &bytes[..stored]).unwrap()))
            })
            .collect()
    }

    /// Runs the kernels of a profile, and those for CPUs, and compares each with the evaluator.
    fn check(&self, bindings: &[(&str, i64)], profile: &str, tolerance: f32) {
        let profile = shipped(profile).unwrap();
        self.check_on(&self.graph, bindings, (&several_kernels(), 1), tolerance);
        self.check_on(&self.graph, bindings, (&profile, 1), tolerance);
        let rounded = quantize_activations(&self.graph, &self.precisions);
        // Engines differ in how they interpret large bytes.
        let kinds = if self.precisions.iter().any(|p| matches!(p, Precision::Quant(q) if q.format().bits() == 8)) {
            3
        } else {
            1
        };
        for dot_signedness in 0..kinds {
            self.check_on(&rounded, bindings, (&shipped("wasm").unwrap(), dot_signedness), tolerance);
        }
    }

    fn check_on(&self, graph: &Graph, bindings: &[(&str, i64)], (profile, wide): (&Profile, u32), tolerance: f32) {
        let bindings: Bindings = bindings.iter().map(|(k, v)| (k.to_string(), *v)).collect();
        let setting = Setting {
            model: &self.model,
            precisions: &self.precisions,
            kv: KvPrecision::F32,
            profile,
            has_fallback: false,
        };
        let outputs: Vec<String> = graph.outputs.keys().cloned().collect();
        let mut set = KernelSet::default();
        let steps = lower(&setting, graph, &outputs, &mut set).expect("lowers");
        let word = |c: &[u8]| u32::from_le_bytes([c[0], c[1], c[2], c[3]]);
        let words: Vec<Vec<u32>> = self.bytes.iter().map(|b| b.chunks_exact(4).map(word).collect()).collect();
        let mut session = Session::new(&setting, &words, bindings["B"] as u32, 64).unwrap();
        session.options.dot_signedness = wide;
        let found =
            session.run(graph, &outputs, (&steps, &set), &self.inputs, &bindings).unwrap_or_else(|e| panic!("{e}"));
        let mut states = States::default();
        let expected = evaluate(&self.model, graph, &self.decoded(), &mut states, &self.inputs, &bindings);
        for (name, want) in &expected.expect("evaluates") {
            let got = &found[name];
            assert_eq!(got.shape, want.shape, "{name} on {}", profile.name);
            if let (Some(want), Some(got)) = (want.as_f32(), got.as_f32()) {
                let scale = want.iter().fold(1e-3f32, |m, x| m.max(x.abs()));
                for (i, (w, g)) in want.iter().zip(got).enumerate() {
                    let fits = (w - g).abs() <= tolerance * scale;
                    assert!(fits, "{name}[{i}] on {}: expected {w}, found {g}", profile.name);
                }
            } else {
                assert_eq!(want.as_i32(), got.as_i32(), "{name}");
            }
        }
    }
}

fn b() -> Dim {
    Dim::symbol("B")
}
fn t() -> Dim {
    Dim::symbol("T")
}
fn c(n: i64) -> Dim {
    Dim::constant(n)
}

/// Floats, and every format with its smallest block size, its default one, and one of the others in turn.
fn precisions() -> Vec<Precision> {
    let quantized = QuantSpec::all().enumerate().filter(|(i, spec)| {
        let format = spec.format();
        spec.group() == format.groups[0] || spec.group() == format.group || i % 5 == 0
    });
    [Precision::F32, Precision::F16].into_iter().chain(quantized.map(|(_, spec)| Precision::Quant(spec))).collect()
}

#[test]
fn what_has_no_inlined_form_is_an_error() {
    for name in ["native", "wasm"] {
        let mut g = Fixture::new();
        let x = g.input(vec![b(), c(64)], &[2, 64]);
        // Only linear layers read bytes.
        let bytes = g.op(Op::QuantizeActivations, &[x]);
        let y = g.op(Op::Unary(Unary::Neg), &[bytes]);
        g.output(y);
        let profile = shipped(name).unwrap();
        let (model, precisions) = (&g.model, g.precisions.as_slice());
        let setting = Setting { model, precisions, kv: KvPrecision::F32, profile: &profile, has_fallback: false };
        let error = lower(&setting, &g.graph, &["y0".into()], &mut KernelSet::default()).unwrap_err().to_string();
        let expected = "internal error: operation `quantize_activations` of node n1 has no elements: it is stored as bytes \
                        (this is a bug)";
        assert_eq!(error, expected, "{name}");
    }
}

#[test]
fn linear_of_every_format_and_odd_sizes() {
    for precision in precisions() {
        for (n, k) in [(33, 60), (5, 54), (70, 200), (37, 252), (64, 256)] {
            let one = (vec![b(), c(k)], vec![2, k as usize]);
            let many = (vec![b(), t(), c(k)], vec![2, 9, k as usize]);
            for (shape, sizes) in [one, many] {
                let mut g = Fixture::new();
                let x = g.input(shape, &sizes);
                let w = g.weight(&[n as u64, k as u64], precision);
                let bias = g.weight(&[n as u64], Precision::F32);
                let epilogue = Scalar::Binary(Binary::Add, Box::new(Scalar::Acc(0)), Box::new(Scalar::Arg(0)));
                let y = g.op(Op::Linear { weights: 1, epilogue }, &[x, w, bias]);
                g.output(y);
                g.check(&[("B", 2), ("T", 9), ("P", 0)], "native", 2e-5);
            }
        }
    }
}

#[test]
fn gate_and_up_share_a_kernel() {
    for precision in ["f32", "q4", "q2"] {
        for sizes in [[1, 1, 60], [2, 17, 60]] {
            let mut g = Fixture::new();
            let tokens = if sizes[1] == 1 { c(1) } else { t() };
            let x = g.input(vec![b(), tokens, c(60)], &sizes);
            let w0 = g.weight(&[40, 60], precision.parse().unwrap());
            let w1 = g.weight(&[40, 60], precision.parse().unwrap());
            let acc = |i| Box::new(Scalar::Acc(i));
            let fading = Scalar::Unary(Unary::Exp, Box::new(Scalar::Unary(Unary::Neg, acc(0))));
            let one = Box::new(Scalar::Lit(Literal::f32(1.0)));
            let below = Scalar::Binary(Binary::Add, one, Box::new(fading));
            let gate = Scalar::Binary(Binary::Div, acc(0), Box::new(below));
            let epilogue = Scalar::Binary(Binary::Mul, Box::new(gate), acc(1));
            let y = g.op(Op::Linear { weights: 2, epilogue }, &[x, w0, w1]);
            g.output(y);
            g.check(&[("B", sizes[0] as i64), ("T", sizes[1] as i64), ("P", 0)], "firefox", 2e-5);
        }
    }
}

/// Query, key and value with different widths, formats and epilogues, and one result that two layers share.
#[test]
fn layers_of_the_same_activations_share_a_kernel() {
    let mut g = Fixture::new();
    let x = g.input(vec![b(), c(1), c(160)], &[2, 1, 160]);
    let bias = g.weight(&[72], Precision::F32);
    let add = Scalar::Binary(Binary::Add, Box::new(Scalar::Acc(0)), Box::new(Scalar::Arg(0)));
    let plain = || Op::Linear { weights: 1, epilogue: Scalar::Acc(0) };
    let [wq, wk, wv, wo] =
        [(72, "q4"), (40, "q8"), (24, "q3"), (8, "f16")].map(|(n, p)| g.weight(&[n, 160], p.parse().unwrap()));
    let q = g.op(Op::Linear { weights: 1, epilogue: add }, &[x, wq, bias]);
    let q = g.op(Op::Reshape(vec![b(), c(1), c(3), c(24)]), &[q]);
    let q = g.op(Op::Transpose(vec![0, 2, 1, 3]), &[q]);
    let k = g.op(plain(), &[x, wk]);
    let v = g.op(plain(), &[x, wv]);
    let other = g.op(plain(), &[x, wo]);
    for id in [q, k, v, other] {
        g.output(id);
    }
    g.check(&[("B", 2), ("T", 1), ("P", 0)], "native", 2e-5);
    let profile = several_kernels();
    let (kv, has_fallback) = (KvPrecision::F32, false);
    let setting = Setting { model: &g.model, precisions: &g.precisions, kv, profile: &profile, has_fallback };
    let outputs: Vec<String> = g.graph.outputs.keys().cloned().collect();
    let mut set = KernelSet::default();
    let steps = lower(&setting, &g.graph, &outputs, &mut set).expect("lowers");
    let calls: Vec<usize> = steps.iter().map(|s| s.calls.len()).collect();
    assert_eq!(calls, [1, 1], "a kernel for three layers, and one for floats, which lie otherwise");
    assert!(set.kernels[0].name.starts_with("matvec_72_40_24x160"), "{}", set.kernels[0].name);
}

#[test]
fn norms() {
    for kind in [NormKind::Rms, NormKind::Layer] {
        for k in [54, 60, 256] {
            let mut g = Fixture::new();
            let x = g.input(vec![b(), t(), c(k)], &[2, 3, k as usize]);
            let w = g.weight(&[k as u64], Precision::F32);
            let bias = g.weight(&[k as u64], Precision::F32);
            let operands = if kind == NormKind::Rms { vec![x, w] } else { vec![x, w, bias] };
            let y = g.op(Op::Norm { kind, eps: Bits::new(1e-5) }, &operands);
            g.output(y);
            g.check(&[("B", 2), ("T", 3), ("P", 0)], "native", 1e-5);
        }
    }
}

#[test]
fn attention_with_grouped_heads_and_a_mask() {
    for (depth, new, past) in [(12, 5, 0), (16, 1, 70), (24, 7, 3), (16, 70, 9), (6, 3, 2)] {
        let mut g = Fixture::new();
        let tokens = if new == 1 { c(1) } else { t() };
        let q = g.input(vec![b(), tokens.clone(), c(4 * depth)], &[2, new, 4 * depth as usize]);
        let q = g.op(Op::Reshape(vec![b(), tokens.clone(), c(4), c(depth)]), &[q]);
        let q = g.op(Op::Transpose(vec![0, 2, 1, 3]), &[q]);
        let all = &Dim::symbol("P") + &tokens;
        let kv = |g: &mut Fixture| {
            let x = g.input(vec![b(), c(2), all.clone(), c(depth)], &[2, 2, new + past, depth as usize]);
            let x = g.op(Op::Reshape(vec![b(), c(2), c(1), all.clone(), c(depth)]), &[x]);
            let x = g.op(Op::Broadcast(vec![b(), c(2), c(2), all.clone(), c(depth)]), &[x]);
            g.op(Op::Reshape(vec![b(), c(4), all.clone(), c(depth)]), &[x])
        };
        let (k, v) = (kv(&mut g), kv(&mut g));
        let s = g.op(Op::Iota(all.clone()), &[]);
        let row = g.op(Op::Iota(tokens.clone()), &[]);
        let p = g.op(Op::Size(Dim::symbol("P")), &[]);
        let row = g.op(Op::Binary(Binary::Add), &[row, p]);
        let row = g.op(Op::Reshape(vec![tokens.clone(), c(1)]), &[row]);
        let visible = g.op(Op::Binary(Binary::Le), &[s, row]);
        let scale = Box::new(Scalar::Lit(Literal::f32(0.3)));
        let score = Scalar::Select(
            Box::new(Scalar::Arg(0)),
            Box::new(Scalar::Binary(Binary::Mul, Box::new(Scalar::Acc(0)), scale)),
            Box::new(Scalar::Lit(Literal::f32(f32::MIN))),
        );
        let y = g.op(Op::Attention { score }, &[q, k, v, visible]);
        let y = g.op(Op::Transpose(vec![0, 2, 1, 3]), &[y]);
        let y = g.op(Op::Reshape(vec![b(), tokens, c(4 * depth)]), &[y]);
        g.output(y);
        g.check(&[("B", 2), ("T", new as i64), ("P", past as i64)], "native", 1e-5);
    }
}

#[test]
fn reductions_and_elementwise() {
    for axis in 0..3u32 {
        for op in [Reduction::Sum, Reduction::Mean, Reduction::Max, Reduction::Min] {
            let mut g = Fixture::new();
            let x = g.input(vec![b(), t(), c(7)], &[2, 130, 7]);
            let y = g.op(Op::Unary(Unary::Exp), &[x]);
            let z = g.op(Op::Binary(Binary::Mul), &[x, y]);
            let r = g.op(Op::Reduce { op, axis }, &[z]);
            let out = g.op(Op::Binary(Binary::Sub), &[z, r]);
            g.output(r);
            g.output(out);
            g.check(&[("B", 2), ("T", 130), ("P", 0)], "native", 1e-5);
        }
    }
}

#[test]
fn softmax_and_products_without_fusion() {
    let mut g = Fixture::new();
    let a = g.input(vec![b(), c(3), t(), c(10)], &[2, 3, 6, 10]);
    let k = g.input(vec![b(), c(1), t(), c(10)], &[2, 1, 6, 10]);
    let s = g.op(Op::MatMul { transpose_b: true }, &[a, k]);
    let p = g.op(Op::Softmax, &[s]);
    let y = g.op(Op::MatMul { transpose_b: false }, &[p, a]);
    g.output(p);
    g.output(y);
    g.check(&[("B", 2), ("T", 6), ("P", 0)], "safari", 1e-5);
}

#[test]
fn the_best_elements() {
    let mut g = Fixture::new();
    let x = g.input(vec![b(), c(1000)], &[3, 1000]);
    let best = g.op(Op::ArgMax, &[x]);
    let few = g.op(Op::TopK { k: 20 }, &[x]);
    let values = g.op(Op::TakeLast, &[x, few]);
    // Integers with many ties, and ones that f32 cannot distinguish.
    let ids = g.int_input(vec![b(), c(300)], &[3, 300], 40);
    let least = (0..300).map(|n| if n == 77 { i32::MIN + 1 } else { i32::MIN }).collect();
    let large = g.declare(vec![c(1), c(300)], Array::i32(&[1, 300], least));
    let (best_id, few_ids) = (g.op(Op::ArgMax, &[ids]), g.op(Op::TopK { k: 20 }, &[ids]));
    let largest = g.op(Op::ArgMax, &[large]);
    for id in [best, few, values, best_id, few_ids, largest] {
        g.output(id);
    }
    g.check(&[("B", 3), ("T", 1), ("P", 0)], "native", 0.0);
}

#[test]
fn gathers_from_stored_tables() {
    for precision in precisions() {
        let mut g = Fixture::new();
        let ids = g.int_input(vec![b(), t()], &[2, 5], 77);
        let table = g.weight(&[77, 60], precision);
        let y = g.op(Op::Gather, &[table, ids]);
        g.output(y);
        g.check(&[("B", 2), ("T", 5), ("P", 0)], "native", 1e-5);
    }
}

#[test]
fn concatenation_padding_and_slices() {
    let mut g = Fixture::new();
    let x = g.input(vec![b(), t(), c(10)], &[2, 4, 10]);
    let low = g.op(Op::Slice { axis: 2, start: c(0), len: c(5) }, &[x]);
    let high = g.op(Op::Slice { axis: 2, start: c(5), len: c(5) }, &[x]);
    let negative = g.op(Op::Unary(Unary::Neg), &[high]);
    let rotated = g.op(Op::Concat { axis: 2 }, &[negative, low]);
    let last = g.op(Op::Slice { axis: 1, start: &t() - &c(1), len: c(1) }, &[rotated]);
    let padded = g.op(Op::Pad { axis: 1, before: c(1), after: c(2), value: Literal::f32(0.5) }, &[x]);
    for id in [rotated, last, padded] {
        g.output(id);
    }
    g.check(&[("B", 2), ("T", 4), ("P", 0)], "native", 0.0);
}

#[test]
fn windows_and_products_over_them() {
    let of = |axis, size, stride, dilation| Op::Windows { axis, size, stride, dilation };
    for (channels, precision) in [(4, "f32"), (3, "f32"), (8, "q8")] {
        let mut g = Fixture::new();
        let x = g.input(vec![b(), t(), t(), c(channels)], &[2, 9, 9, channels as usize]);
        let rows = g.op(of(1, 3, 2, 1), &[x]);
        let both = g.op(of(3, 2, 1, 3), &[rows]);
        let both = g.op(Op::Transpose(vec![0, 1, 3, 2, 4, 5]), &[both]);
        let shape = g.graph.node(both).shape.clone();
        let seen = g.op(Op::Reshape([&shape[..3], &[c(6 * channels)]].concat()), &[both]);
        let w = g.weight(&[10, 6 * channels as u64], precision.parse().unwrap());
        let y = g.op(Op::Linear { weights: 1, epilogue: Scalar::Acc(0) }, &[seen, w]);
        let most = g.op(Op::Reduce { op: Reduction::Max, axis: 3 }, &[both]);
        for id in [rows, seen, y, most] {
            g.output(id);
        }
        g.check(&[("B", 2), ("T", 9), ("P", 0)], "native", 1e-5);
    }
}

#[test]
fn states_grow() {
    let mut g = Fixture::new();
    let x = g.input(vec![b(), t(), c(12)], &[2, 4, 12]);
    let heads = g.op(Op::Reshape(vec![b(), t(), c(3), c(4)]), &[x]);
    let heads = g.op(Op::Transpose(vec![0, 2, 1, 3]), &[heads]);
    let all = g.append(vec![b(), c(3), Dim::symbol("P"), c(4)], 2, heads);
    let twice = g.op(Op::Binary(Binary::Add), &[all, all]);
    g.output(all);
    g.output(twice);
    g.check(&[("B", 2), ("T", 4), ("P", 0)], "native", 0.0);
}

/// Runs kernels of both languages over several calls, and compares with the evaluator.
fn follow(g: &Fixture, profile: &Profile, calls: &[(i64, i64)]) {
    let setting =
        Setting { model: &g.model, precisions: &g.precisions, kv: KvPrecision::F16, profile, has_fallback: false };
    let outputs: Vec<String> = g.graph.outputs.keys().cloned().collect();
    let mut set = KernelSet::default();
    let steps = lower(&setting, &g.graph, &outputs, &mut set).expect("lowers");
    for call in steps.iter().flat_map(|s| &s.calls) {
        let writes = set.kernels[call.kernel].buffers.iter().map(|b| b.writable);
        for (place, _) in call.places.iter().zip(writes).filter(|(_, writes)| *writes) {
            assert_eq!(call.places.iter().filter(|p| *p == place).count(), 1, "{place:?} is read and written");
        }
    }
    let mut session = Session::new(&setting, &[], 2, 64).unwrap();
    let mut states = States::default();
    for (past, new) in calls {
        let bindings = Bindings::from([("B".into(), 2), ("P".into(), *past), ("T".into(), *new)]);
        let count = 2 * *new as usize * 4;
        let x = (0..count).map(|i| (i as f32 + 3.0 * *past as f32).sin()).collect();
        let inputs = BTreeMap::from([("x0".to_string(), Array::f32(&[2, *new as usize, 4], x))]);
        let found = session.run(&g.graph, &outputs, (&steps, &set), &inputs, &bindings).unwrap();
        let expected = evaluate(&g.model, &g.graph, &g.decoded(), &mut states, &inputs, &bindings).unwrap();
        for (name, want) in &expected {
            assert_eq!(found[name].shape, want.shape, "{name}");
            let pairs = want.as_f32().unwrap().iter().zip(found[name].as_f32().unwrap());
            let worst = pairs.map(|(a, b)| (a - b).abs() / a.abs().max(1.0)).fold(0.0, f32::max);
            assert!(worst < 1e-5, "{name} on {} at {past}: {worst}", profile.name);
        }
    }
}

/// The node for `previous(state)` of the formula language.
fn previous(g: &mut Fixture, state: u32) -> NodeId {
    let shape = g.model.states[state as usize].shape.clone();
    let held = g.push(Op::StatePrevious(state), &[], shape, DType::F32);
    let past = g.op(Op::Size(Dim::symbol("P")), &[]);
    let none = g.op(Op::Const(Literal::I32(0)), &[]);
    let zero = g.op(Op::Const(Literal::f32(0.0)), &[]);
    let follows = g.op(Op::Binary(Binary::Gt), &[past, none]);
    g.op(Op::Select, &[follows, held, zero])
}

fn overwritten(g: &mut Fixture, shape: Shape) -> u32 {
    let state = g.model.states.len() as u32;
    g.model.states.push(State { name: format!("s{state}"), shape, kind: StateKind::Overwritten });
    state
}

#[test]
fn states_are_read_before_they_are_overwritten() {
    let wasm = shipped("wasm").unwrap();
    let native = shipped("native").unwrap();
    for profile in [&native, &several_kernels(), &wasm] {
        // A window of three positions, whose update precedes everything that reads it.
        let mut g = Fixture::new();
        let window = overwritten(&mut g, vec![b(), c(3), c(4)]);
        let x = g.input(vec![b(), t(), c(4)], &[2, 1, 4]);
        let before = previous(&mut g, window);
        let joined = g.op(Op::Concat { axis: 1 }, &[before, x]);
        let next = g.op(Op::Slice { axis: 1, start: t(), len: c(3) }, &[joined]);
        g.push(Op::StateUpdate(window), &[next], vec![b(), c(3), c(4)], DType::F32);
        let seen = g.op(Op::Windows { axis: 1, size: 4, stride: 1, dilation: 1 }, &[joined]);
        let sum = g.op(Op::Reduce { op: Reduction::Sum, axis: 2 }, &[seen]);
        let late = g.op(Op::Unary(Unary::Exp), &[before]);
        let raw = g.push(Op::StatePrevious(window), &[], vec![b(), c(3), c(4)], DType::F32);
        for id in [sum, late, next, raw] {
            g.output(id);
        }
        follow(&g, profile, &[(0, 3), (3, 1), (4, 2), (6, 1), (0, 2), (2, 5)]);

        // Two states that swap their contents, and one that stays the same.
        let mut g = Fixture::new();
        let shape = vec![b(), c(4)];
        let [one, two, same] = [0; 3].map(|_| overwritten(&mut g, shape.clone()));
        let x = g.input(vec![b(), t(), c(4)], &[2, 1, 4]);
        let last = g.op(Op::Slice { axis: 1, start: &t() - &c(1), len: c(1) }, &[x]);
        let last = g.op(Op::Reshape(shape.clone()), &[last]);
        let (first, second) = (previous(&mut g, one), previous(&mut g, two));
        let sum = g.op(Op::Binary(Binary::Add), &[second, last]);
        g.push(Op::StateUpdate(one), &[sum], shape.clone(), DType::F32);
        g.push(Op::StateUpdate(two), &[first], shape.clone(), DType::F32);
        let held = g.push(Op::StatePrevious(same), &[], shape.clone(), DType::F32);
        g.push(Op::StateUpdate(same), &[held], shape.clone(), DType::F32);
        let product = g.op(Op::Binary(Binary::Mul), &[first, second]);
        for id in [product, sum, first, held] {
            g.output(id);
        }
        follow(&g, profile, &[(0, 2), (2, 1), (3, 2), (5, 1)]);
    }
}
