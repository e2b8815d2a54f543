//! A hand-made bundle with hand-written kernels, in wasmtime: with and without relaxed SIMD, on one thread and on
//! several.

mod made;

use std::sync::Arc;
use std::time::{Duration, Instant};

use gristmill_bundle::{Bundle, Kernel, Manifest, Shard, Variant};
use gristmill_runtime::backend::DeviceInput;
use gristmill_runtime::blocking::{begin, run};
use gristmill_runtime::native::{Wasm, WasmOptions};
use gristmill_runtime::{Backend, Error, Request, Tensor};
use made::{inputs, table};

const KERNELS: &str = include_str!("wasm/kernels.wat");
const ALONE: &str = include_str!("wasm/alone.wat");
const TOGETHER: &str = include_str!("wasm/together.wat");

/// The factor of `scale`, which shows which module runs.
const RELAXED_FACTOR: f32 = 1000.0;

/// The text of a module.
fn module(relaxed: bool, threads: bool) -> String {
    let memory = if threads { "1 65536 shared" } else { "1 65536" };
    let factor = if relaxed {
        "f32x4.relaxed_madd (v128.const f32x4 1000 1000 1000 1000)"
    } else {
        "f32x4.mul (v128.const f32x4 1 1 1 1)"
    };
    // The third operand of the fused operation.
    let text = if relaxed {
        KERNELS.replace("(local.get $t)))))))))))", "(local.get $t)))))))) (v128.const f32x4 0 0 0 0))))")
    } else {
        KERNELS.to_string()
    };
    let waiting = if threads { TOGETHER } else { ALONE };
    text.replace("MEMORY", memory).replace("FACTOR", factor).replace("WAITING", waiting)
}

const MODULES: [(&[&str], bool, bool); 4] = [
    (&["relaxed-simd", "threads"], true, true),
    (&["relaxed-simd"], true, false),
    (&["threads"], false, true),
    (&[], false, false),
];

/// A bundle whose modules have these texts.
fn bundle_of(text: &dyn Fn(bool, bool) -> String) -> Arc<Bundle> {
    changed(text, &|_| {})
}

/// The same with another manifest.
fn changed(text: &dyn Fn(bool, bool) -> String, change: &dyn Fn(&mut Manifest)) -> Arc<Bundle> {
    let path = |requires: &[&str]| format!("wasm/{}.wasm", [&["kernels"], requires].concat().join("."));
    let compiled = MODULES.map(|(requires, relaxed, threads)| {
        let bytes = wat::parse_str(text(relaxed, threads)).unwrap_or_else(|e| panic!("{e}"));
        (path(requires), bytes)
    });
    let kernel = |name: &str, writes: &[bool]| {
        let variant = |requires: &[&str]| Variant {
            requires: requires.iter().map(|r| r.to_string()).collect(),
            file: path(requires),
        };
        let variants = MODULES.iter().map(|(requires, ..)| variant(requires)).collect();
        Kernel { name: name.to_string(), writes: writes.to_vec(), variants }
    };
    made::changed("wasm", &compiled, "B*T", &kernel, change)
}

fn open(threads: usize, relaxed: bool) -> Wasm {
    let options = WasmOptions { threads: Some(threads), relaxed: Some(relaxed), ..WasmOptions::default() };
    let mut seen = Vec::new();
    let wasm = Wasm::load(bundle_of(&module), &options, &mut |done, total| seen.push((done, total))).unwrap();
    assert_eq!(seen.last(), Some(&(448, 448)));
    wasm
}

fn y(wasm: &mut Wasm, ids: &[i32], rows: usize, past: u32) -> Tensor {
    run(wasm, "forward", &inputs(rows, ids), past, &["y"]).unwrap()["y"].clone()
}

fn expect(factor: f32, sums: &[f32], new: usize) -> Tensor {
    let values = sums.iter().enumerate().map(|(i, v)| factor * v * table(40 + i % new)).collect();
    Tensor::f32([sums.len() / new, new], values)
}

#[test]
fn states_inputs_weights_and_symbols_meet() {
    for (threads, relaxed) in [(1, false), (1, true), (2, false), (2, true), (4, true)] {
        let mut wasm = open(threads, relaxed);
        let factor = if relaxed { RELAXED_FACTOR } else { 1.0 };
        assert!(matches!(run(&mut wasm, "forward", &inputs(1, &[1]), 0, &["y"]), Err(Error::Unsupported(_))));
        begin(&mut wasm, 2, 8).unwrap();
        let first = y(&mut wasm, &[1, 2, 3, 10, 20, 30], 2, 0);
        assert_eq!(first, expect(factor, &[1.0, 3.0, 6.0, 10.0, 30.0, 60.0], 3), "{threads} threads");
        let allocated = wasm.allocated_bytes();
        assert_eq!(y(&mut wasm, &[4, 40], 2, 3), expect(factor, &[10.0, 100.0], 1));
        let mut masked = inputs(2, &[5, 50]);
        masked.insert("attention_mask".to_string(), Tensor::i32([2, 5], vec![0, 1, 1, 1, 1, 1, 1, 0, 0, 0]));
        let masked = run(&mut wasm, "forward", &masked, 4, &["y"]).unwrap();
        assert_eq!(masked["y"], expect(factor, &[14.0, 30.0], 1));
        assert_eq!(wasm.allocated_bytes(), allocated, "decoding allocates nothing");
        // A new sequence starts with zeros, in old and new buffers; 20 MB are more than the plan reserved.
        for (batch, capacity) in [(2, 8), (1, 4), (1, 100), (50_000, 100), (1, 1)] {
            begin(&mut wasm, batch, capacity).unwrap();
            // The model supports 100 rows, but memory has room for more.
            if batch <= 100 {
                let got = y(&mut wasm, &vec![1; batch as usize], batch as usize, capacity - 1);
                assert_eq!(got, expect(factor, &vec![1.0; batch as usize], 1), "{batch} rows");
            }
        }
    }
}

#[test]
fn only_what_is_wanted_runs() {
    for threads in [1, 2, 3] {
        let mut wasm = open(threads, true);
        begin(&mut wasm, 1, 8).unwrap();
        let some = run(&mut wasm, "forward", &inputs(1, &[0]), 0, &["wide", "y"]).unwrap();
        assert_eq!(some.keys().collect::<Vec<_>>(), ["wide", "y"]);
        assert_eq!(some["wide"], Tensor::i32([70001], (0..70001).collect()));
    }
}

#[test]
fn calls_are_done_in_order_and_feed_one_another() {
    for threads in [1, 2] {
        let mut wasm = open(threads, false);
        begin(&mut wasm, 1, 8).unwrap();
        let sums = pollster::block_on(async {
            wasm.start(&Request::new("forward", &inputs(1, &[7]), 0), &["wide"]).await.unwrap();
            // Uses the first element of `wide`, which is 0; then an input of its own again.
            let device_input = Some(DeviceInput { input: "input_ids".to_string(), output: "wide".to_string() });
            wasm.start(&Request { device_input, ..Request::new("forward", &inputs(1, &[99]), 1) }, &["y"])
                .await
                .unwrap();
            wasm.start(&Request::new("forward", &inputs(1, &[5]), 2), &["y"]).await.unwrap();
            let mut sums = Vec::new();
            wasm.finish().await.unwrap();
            for _ in 0..2 {
                sums.push(wasm.finish().await.unwrap()["y"].as_f32().unwrap()[0] / table(40));
            }
            sums
        });
        assert_eq!(sums, [7.0, 12.0]);
    }
}

/// Workers take part in every run, and all of them stop, whatever the timing.
#[test]
fn many_short_runs() {
    for threads in [1, 2, 5] {
        let mut wasm = open(threads, false);
        begin(&mut wasm, 1, 100).unwrap();
        for n in 0..100 {
            assert_eq!(y(&mut wasm, &[1], 1, n), expect(1.0, &[n as f32 + 1.0], 1));
        }
    }
    for _ in 0..50 {
        open(3, true);
    }
}

/// The kernel of `broken` fails at the position given by the first id: in each of the workers in turn.
#[test]
fn a_trap_in_any_worker_is_an_error_and_ends_all() {
    for (threads, position) in [(1, 0), (1, 99), (2, 0), (2, 99), (4, 1), (4, 30), (4, 60), (4, 99)] {
        let mut wasm = open(threads, true);
        begin(&mut wasm, 1, 8).unwrap();
        run(&mut wasm, "forward", &inputs(1, &[100]), 0, &["broken"]).unwrap();
        let failed = run(&mut wasm, "forward", &inputs(1, &[position]), 0, &["broken"]).unwrap_err();
        let text = failed.to_string();
        assert!(text.contains("unreachable") && text.contains("`broken`"), "{threads}, {position}: {text}");
        // Later calls are rejected instead of waiting for workers that are gone.
        match run(&mut wasm, "forward", &inputs(1, &[100]), 0, &["y"]) {
            Err(Error::DeviceLost(why)) => assert!(why.contains("unreachable"), "{why}"),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn more_than_32_bits_address_is_refused() {
    let mut wasm = open(1, false);
    match begin(&mut wasm, u32::MAX, 100) {
        Err(Error::Limit { what, .. }) => assert_eq!(what, "state `seen`"),
        other => panic!("{other:?}"),
    }
    begin(&mut wasm, 1, 8).unwrap();
    assert_eq!(y(&mut wasm, &[2], 1, 0), expect(1.0, &[2.0], 1));
}

/// The weights of this bundle do not exist: reading one is an error.
#[test]
fn a_bundle_that_cannot_fit_is_refused_before_a_weight_is_read() {
    let grow = |gib: u64| {
        move |manifest: &mut Manifest| {
            let shard = Shard { sha256: "0".repeat(64), bytes: 32 << 20 };
            manifest.shards = vec![shard; 32 * gib as usize];
            manifest.components[0].shards = 32 * gib as u32;
            manifest.tensors[0].offset = 0;
            manifest.tensors[0].bytes = (gib << 30) - 256;
            manifest.tensors[1].offset = (gib << 30) - 256;
            manifest.tensors[1].bytes = 192;
        }
    };
    let refused =
        |gib: u64| Wasm::load(large(&grow(gib)), &WasmOptions::default(), &mut |_, _| {}).unwrap_err().to_string();
    // Two tensors with one buffer each: either the larger one exceeds the size of a buffer, or both together exceed
    // memory.
    assert!(refused(5).contains("tensor `unused` (f32) needs 5368708864"), "{}", refused(5));
    assert!(refused(3).contains("weights/000"), "what fits is read: {}", refused(3));
    let halves = |manifest: &mut Manifest| {
        grow(4)(manifest);
        manifest.tensors[0].bytes = 2 << 30;
        manifest.tensors[1].offset = 2 << 30;
        manifest.tensors[1].bytes = 2 << 30;
    };
    let text = Wasm::load(large(&halves), &WasmOptions::default(), &mut |_, _| {}).unwrap_err().to_string();
    assert!(text.contains("this bundle (weights 4294967296,") && text.contains("use WebGPU"), "{text}");
}

/// The bundle with different weights.
fn large(change: &dyn Fn(&mut Manifest)) -> Arc<Bundle> {
    changed(&module, change)
}

#[test]
fn modules_that_are_not_as_they_must_be() {
    let fails = |threads: usize, change: &dyn Fn(String) -> String, expected: &str| {
        let bundle = bundle_of(&|relaxed, threads| change(module(relaxed, threads)));
        let options = WasmOptions { threads: Some(threads), relaxed: None, ..WasmOptions::default() };
        let text = Wasm::load(bundle, &options, &mut |_, _| {}).unwrap_err().to_string();
        assert!(text.contains(expected), "{text}");
        assert!(text.starts_with("wasm/kernels.relaxed-simd"), "{text}");
    };
    let replace = |from: &'static str, to: &'static str| move |text: String| text.replace(from, to);
    fails(1, &replace("\"memory\"", "\"clock\""), "expected one import, the memory gristmill.memory");
    fails(
        1,
        &replace("(data", "(import \"gristmill\" \"now\" (func)) (data"),
        "found [gristmill.memory, gristmill.now]",
    );
    fails(1, &replace("(memory 1 65536)", "(memory 1 65536 shared)"), "expected an unshared 32-bit memory");
    fails(2, &replace(" shared)", ")"), "expected a shared 32-bit memory");
    fails(1, &replace("\"run\"", "\"walk\""), "run");
    fails(2, &replace("\"serve\"", "\"wait\""), "serve");
    fails(1, &replace("\"heap_base\"", "\"base\""), "expected a global `heap_base`");
    fails(1, &replace("(i32.const 2048)", "(i32.const -1)"), "more than any kernel needs");
    fails(1, &replace("(i32.const 2048)", "(i32.const 70000)"), "more than any kernel needs");
}

const LOOP: &str = "(loop $ever (br $ever))";
const SLEEP: &str = "(drop (memory.atomic.wait32 (i32.const 1200) (i32.const 0) (i64.const -1)))";

/// A bundle whose function `run` or `serve` executes `first` before anything else.
fn beginning_with(function: &str, first: &str) -> Arc<Bundle> {
    let head = match function {
        "run" => "(func (export \"run\") (param $control i32) (result i32)",
        _ => "(local $seen i32)",
    };
    bundle_of(&|relaxed, threads| match threads {
        true => module(relaxed, threads).replace(head, &format!("{head} {first}")),
        // Only modules with shared memory can sleep and serve.
        false if first == LOOP => module(relaxed, threads).replace(head, &format!("{head} {first}")),
        false => module(relaxed, threads),
    })
}

fn limited(threads: usize, milliseconds: u64) -> WasmOptions {
    let limit = Some(Duration::from_millis(milliseconds));
    WasmOptions { threads: Some(threads), limit, ..WasmOptions::default() }
}

#[test]
fn kernels_that_never_end_are_ended() {
    for (threads, first) in [(1, LOOP), (2, LOOP), (2, SLEEP)] {
        for function in ["run", "serve"] {
            let bundle = beginning_with(function, first);
            let mut wasm = Wasm::load(bundle, &limited(threads, 300), &mut |_, _| {}).unwrap();
            begin(&mut wasm, 1, 8).unwrap();
            let ran = run(&mut wasm, "forward", &inputs(1, &[1]), 0, &["y"]);
            if function == "serve" && threads == 1 {
                ran.unwrap();
                continue;
            }
            let text = ran.unwrap_err().to_string();
            assert!(text.starts_with("the kernels exceeded the limit of 0.3 s per call"), "{text}");
            assert!(matches!(run(&mut wasm, "forward", &inputs(1, &[1]), 0, &["y"]), Err(Error::DeviceLost(_))));
        }
    }
}

#[test]
fn nothing_waits_for_threads_that_never_leave() {
    for first in [LOOP, SLEEP] {
        let wasm = Wasm::load(beginning_with("serve", first), &limited(3, 60_000), &mut |_, _| {}).unwrap();
        let before = Instant::now();
        drop(wasm);
        assert!(before.elapsed() < Duration::from_secs(30));
    }
}

#[test]
fn modules_that_never_start_are_ended() {
    let bundle = bundle_of(&|relaxed, threads| {
        let text = module(relaxed, threads);
        let end = text.trim_end().strip_suffix(')').unwrap();
        format!("{end} (func $begin {LOOP}) (start $begin))")
    });
    let text = Wasm::load(bundle, &limited(2, 300), &mut |_, _| {}).unwrap_err().to_string();
    assert!(text.contains("exceeded the limit of 0.3 s"), "{text}");
}

#[test]
fn others_can_end_a_call() {
    for (threads, first) in [(1, LOOP), (2, LOOP), (2, SLEEP)] {
        let mut wasm = Wasm::load(beginning_with("run", first), &limited(threads, 600_000), &mut |_, _| {}).unwrap();
        begin(&mut wasm, 1, 8).unwrap();
        let stopper = wasm.stopper();
        std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(100));
            stopper.stop();
        });
        assert!(matches!(run(&mut wasm, "forward", &inputs(1, &[1]), 0, &["y"]), Err(Error::Stopped)));
        // Even if nothing is running.
        let mut other = open(threads, true);
        begin(&mut other, 1, 8).unwrap();
        other.stopper().stop();
        assert!(matches!(run(&mut other, "forward", &inputs(1, &[1]), 0, &["y"]), Err(Error::Stopped)));
    }
}

#[test]
fn a_file_that_is_no_module_is_named() {
    let bundle =
        made::bundle("wasm", &[("wasm/a.wasm".to_string(), b"\0asm, not".to_vec())], "B*T", &|name, writes| {
            let variants = vec![Variant { requires: vec![], file: "wasm/a.wasm".to_string() }];
            Kernel { name: name.to_string(), writes: writes.to_vec(), variants }
        });
    let text = Wasm::load(bundle, &WasmOptions::default(), &mut |_, _| {}).unwrap_err().to_string();
    assert!(text.starts_with("wasm/a.wasm: "), "{text}");
}

#[test]
fn it_says_what_it_is() {
    assert!(open(1, false).describe().ends_with("1 thread, baseline SIMD"), "{}", open(1, false).describe());
    assert!(open(2, true).describe().ends_with("2 threads, relaxed SIMD"));
}
