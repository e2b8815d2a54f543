//! A hand-made bundle with hand-written kernels, on a real adapter.

mod made;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use gristmill_bundle::{Bundle, Kernel, Variant};
use gristmill_runtime::backend::DeviceInput;
use gristmill_runtime::blocking::{begin, run};
use gristmill_runtime::native::{Options, Wgpu};
use gristmill_runtime::{Backend, Error, Request, Tensor};
use made::{inputs, table};

const SYMBOLS: &str =
    "struct Symbols { B: u32, T: u32, P: u32, C: u32 }\n@group(0) @binding(0) var<uniform> s: Symbols;\n";

/// Appends the new ids to the state.
const APPEND: &str = "
@group(0) @binding(1) var<storage, read> ids: array<i32>;
@group(0) @binding(2) var<storage, read_write> seen: array<f32>;
@compute @workgroup_size(64) fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    if id.x >= s.B * s.T { return; }
    let row = id.x / s.T;
    seen[row * s.C + s.P + id.x % s.T] = f32(ids[id.x]);
}";

/// Sums the masked state up to each new token.
const PREFIX: &str = "
@group(0) @binding(1) var<storage, read> seen: array<f32>;
@group(0) @binding(2) var<storage, read> mask: array<i32>;
@group(0) @binding(3) var<storage, read_write> sums: array<f32>;
@compute @workgroup_size(64) fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    if id.x >= s.B * s.T { return; }
    let row = id.x / s.T;
    var sum = 0.0;
    for (var i = 0u; i <= s.P + id.x % s.T; i++) {
        sum += seen[row * s.C + i] * f32(mask[row * (s.P + s.T) + i]);
    }
    sums[id.x] = sum;
}";

const SCALE: &str = "
@group(0) @binding(1) var<storage, read> sums: array<f32>;
@group(0) @binding(2) var<storage, read> table: array<f32>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;
@compute @workgroup_size(64) fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    if id.x < s.B * s.T { y[id.x] = sums[id.x] * table[40u + id.x % s.T]; }
}";

/// The same, with a factor that shows that this variant ran.
const SCALE_SUBGROUPS: &str = "
@group(0) @binding(1) var<storage, read> sums: array<f32>;
@group(0) @binding(2) var<storage, read> table: array<f32>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;
@compute @workgroup_size(64) fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let ones = subgroupMax(1u);
    if id.x < s.B * s.T { y[id.x] = f32(ones) * 1000.0 * sums[id.x] * table[40u + id.x % s.T]; }
}";

/// One workgroup per element, more than fit in one dimension.
const WIDE: &str = "
@group(0) @binding(1) var<storage, read_write> wide: array<i32>;
@compute @workgroup_size(1)
fn main(@builtin(workgroup_id) id: vec3<u32>, @builtin(num_workgroups) n: vec3<u32>) {
    let at = id.x + id.y * n.x;
    if at < 70001u { wide[at] = i32(at); }
}";

const BROKEN: &str = "@compute @workgroup_size(1) fn main() { this is not WGSL }";

fn bundle() -> Arc<Bundle> {
    changed(SCALE, "ceil_div(B*T, 64)")
}

/// The bundle with a different kernel and grid for `scale`.
fn changed(scale: &str, grid: &str) -> Arc<Bundle> {
    let text =
        |name: &str, body: &str| (format!("shaders/native/{name}.wgsl"), format!("{SYMBOLS}{body}").into_bytes());
    let mut files: Vec<_> =
        [("append", APPEND), ("prefix", PREFIX), ("scale", scale), ("wide", WIDE)].map(|(n, b)| text(n, b)).into();
    let special = format!("enable subgroups;\n{SYMBOLS}{SCALE_SUBGROUPS}");
    files.push(("shaders/native/scale.special.wgsl".to_string(), special.into_bytes()));
    files.push(("shaders/native/broken.wgsl".to_string(), BROKEN.into()));
    made::bundle("native", &files, grid, &|name, writes| {
        let variant = |suffix: &str, requires: &[&str]| Variant {
            requires: requires.iter().map(|r| r.to_string()).collect(),
            file: format!("shaders/native/{name}{suffix}.wgsl"),
        };
        let special = (name == "scale").then(|| variant(".special", &["subgroups"]));
        let variants = special.into_iter().chain([variant("", &[])]).collect();
        Kernel { name: name.to_string(), writes: writes.to_vec(), variants }
    })
}

fn load(without: &[&str]) -> Wgpu {
    open(bundle(), without)
}

/// Tests are never skipped: without an adapter, a machine cannot tell whether this crate works.
fn open(bundle: Arc<Bundle>, without: &[&str]) -> Wgpu {
    let options = Options { without: without.iter().map(|w| w.to_string()).collect(), ..Options::default() };
    let mut seen = Vec::new();
    match Wgpu::load(bundle, &options, &mut |done, total| seen.push((done, total))) {
        Ok(wgpu) => {
            assert_eq!(seen.last(), Some(&(448, 448)));
            wgpu
        }
        Err(Error::NoAdapter(text)) => panic!("these tests need an adapter; a software one is enough: {text}"),
        Err(e) => panic!("{e}"),
    }
}

fn y(wgpu: &mut Wgpu, inputs: &BTreeMap<String, Tensor>, past: u32) -> Tensor {
    run(wgpu, "forward", inputs, past, &["y"]).unwrap()["y"].clone()
}

#[test]
fn states_inputs_weights_and_symbols_meet() {
    let mut wgpu = load(&["subgroups"]);
    assert!(matches!(run(&mut wgpu, "forward", &inputs(1, &[1]), 0, &["y"]), Err(Error::Unsupported(_))));
    begin(&mut wgpu, 2, 8).unwrap();
    let first = y(&mut wgpu, &inputs(2, &[1, 2, 3, 10, 20, 30]), 0);
    let expect = |sums: &[f32], new: usize| -> Vec<f32> {
        sums.iter().enumerate().map(|(i, v)| v * table(40 + i % new)).collect()
    };
    assert_eq!(first, Tensor::f32([2, 3], expect(&[1.0, 3.0, 6.0, 10.0, 30.0, 60.0], 3)));

    let allocated = wgpu.allocated_bytes();
    assert_eq!(y(&mut wgpu, &inputs(2, &[4, 40]), 3), Tensor::f32([2, 1], expect(&[10.0, 100.0], 1)));
    let mut masked = inputs(2, &[5, 50]);
    masked.insert("attention_mask".to_string(), Tensor::i32([2, 5], vec![0, 1, 1, 1, 1, 1, 1, 0, 0, 0]));
    assert_eq!(y(&mut wgpu, &masked, 4), Tensor::f32([2, 1], expect(&[14.0, 30.0], 1)));
    assert_eq!(wgpu.allocated_bytes(), allocated, "decoding allocates nothing");

    let full = run(&mut wgpu, "forward", &inputs(2, &[0; 8]), 5, &["y"]).unwrap_err();
    assert_eq!(full.to_string(), "9 tokens do not fit into a context of 8");

    // A new sequence starts with zeros, in old and new buffers.
    for (batch, capacity) in [(2, 8), (1, 4), (1, 64)] {
        begin(&mut wgpu, batch, capacity).unwrap();
        let ids = vec![1; batch as usize];
        let got = y(&mut wgpu, &inputs(batch as usize, &ids), 3);
        assert_eq!(got, Tensor::f32([batch as usize, 1], expect(&vec![1.0; batch as usize], 1)));
    }
}

#[test]
fn only_what_is_wanted_runs() {
    let mut wgpu = load(&["subgroups"]);
    begin(&mut wgpu, 1, 8).unwrap();
    let some = run(&mut wgpu, "forward", &inputs(1, &[1]), 0, &["wide", "y"]).unwrap();
    assert_eq!(some.keys().collect::<Vec<_>>(), ["wide", "y"]);
    assert_eq!(some["wide"], Tensor::i32([70001], (0..70001).collect()));
    let text = run(&mut wgpu, "forward", &inputs(1, &[1]), 0, &[]).unwrap_err().to_string();
    assert!(text.starts_with("kernel `broken` (shaders/native/broken.wgsl): "), "{text}");
    let text = run(&mut wgpu, "forward", &inputs(1, &[1]), 0, &["z"]).unwrap_err().to_string();
    assert_eq!(text, "entry `forward` has no output `z`; it has `y`, `wide`, `broken`");
    // A failed call leaves the backend usable.
    assert_eq!(y(&mut wgpu, &inputs(1, &[2]), 0), Tensor::f32([1, 1], vec![2.0 * table(40)]));
}

#[test]
fn the_first_variant_that_fits_is_taken() {
    let mut wgpu = load(&[]);
    begin(&mut wgpu, 1, 8).unwrap();
    let factor = if wgpu.describe().contains("subgroups") { 1000.0 } else { 1.0 };
    assert_eq!(y(&mut wgpu, &inputs(1, &[2]), 0), Tensor::f32([1, 1], vec![factor * 2.0 * table(40)]));
}

#[test]
fn calls_overlap_and_feed_one_another() {
    let mut wgpu = load(&["subgroups"]);
    begin(&mut wgpu, 1, 8).unwrap();
    let sums = pollster::block_on(async {
        wgpu.start(&Request::new("forward", &inputs(1, &[7]), 0), &["wide"]).await.unwrap();
        // Uses the first element of `wide`, which is 0; then an input of its own again.
        let device_input = Some(DeviceInput { input: "input_ids".to_string(), output: "wide".to_string() });
        wgpu.start(&Request { device_input, ..Request::new("forward", &inputs(1, &[99]), 1) }, &["y"]).await.unwrap();
        wgpu.start(&Request::new("forward", &inputs(1, &[5]), 2), &["y"]).await.unwrap();
        let mut sums = Vec::new();
        wgpu.finish().await.unwrap();
        for _ in 0..2 {
            sums.push(wgpu.finish().await.unwrap()["y"].as_f32().unwrap()[0] / table(40));
        }
        assert!(wgpu.finish().await.is_err(), "nothing is under way any more");
        let lost = Some(DeviceInput { input: "input_ids".to_string(), output: "z".to_string() });
        let request = Request { device_input: lost, ..Request::new("forward", &inputs(1, &[1]), 3) };
        assert!(wgpu.start(&request, &["y"]).await.unwrap_err().to_string().contains("`z` cannot be passed"));
        sums
    });
    assert_eq!(sums, [7.0, 12.0]);
}

#[test]
fn adapters_are_chosen_by_name() {
    let fail = |options: &Options| Wgpu::load(bundle(), options, &mut |_, _| {}).unwrap_err().to_string();
    let options = Options { adapter: Some("no such card".to_string()), ..Options::default() };
    assert!(fail(&options).starts_with("no adapter `no such card`; this machine has 0: "), "{}", fail(&options));
    let options = Options { adapter: Some("99".to_string()), ..Options::default() };
    assert!(fail(&options).starts_with("no adapter `99`"));
    let options = Options { profile: Some("safari".to_string()), ..Options::default() };
    assert!(fail(&options).contains("no programs for `safari`, only for native"));
    assert_eq!(options.without, BTreeSet::new());
}

#[test]
fn a_state_beyond_the_limits_is_named() {
    let mut wgpu = load(&[]);
    // 100 rows would need 4 GiB if the manifest's range allowed it; the device's limit applies first.
    match begin(&mut wgpu, u32::MAX, 100) {
        Err(Error::Limit { what, name, .. }) => {
            assert_eq!((what.as_str(), name), ("state `seen`", "maxStorageBufferBindingSize"));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn shaders_and_grids_of_strangers_are_bounded() {
    // The subgroup variant is not changed.
    let ran = |scale: &str, grid: &str| {
        let mut wgpu = open(changed(scale, grid), &["subgroups"]);
        begin(&mut wgpu, 1, 8).unwrap();
        run(&mut wgpu, "forward", &inputs(1, &[1]), 0, &["y"]).map(|mut outputs| outputs.remove("y").unwrap())
    };
    let fault = |scale: &str, grid: &str| ran(scale, grid).unwrap_err().to_string();
    let sum = |terms: usize| format!("{SCALE}\nfn deep() -> i32 {{ var i = 1; return i{}; }}", " + i".repeat(terms));
    let grid = "ceil_div(B*T, 64)";
    assert_eq!(ran(&sum(4_900), grid).unwrap(), ran(SCALE, grid).unwrap(), "as deep as may be, on a small stack");
    let text = fault(&sum(200_000), grid);
    assert!(text.starts_with("shaders/native/scale.wgsl: a statement has too many tokens, 10001"), "{text}");
    let text = fault(SCALE, "B*T*1000000000");
    assert!(text.contains("has 1000000000 workgroups; at most 268435456 are supported"), "{text}");
}
