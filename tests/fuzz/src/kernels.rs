//! Kernels of bundles.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use gristmill_bundle::{
    Bundle, Dispatch, Elem, Entry, EntryRole, FORMAT, FileInfo, Input, Kernel, MANIFEST, Manifest, ModelInfo, Output,
    Program, Programs, Size, Step, Symbol, Variant, programs_path, sha256_hex, shader_fault,
};
use gristmill_kernel::Caps;
use gristmill_runtime::Tensor;
use gristmill_runtime::blocking::{begin, run};
use gristmill_runtime::cpu::PROFILE;
use gristmill_runtime::native::{Wasm, WasmOptions};

use crate::target::Accepted;

/// Stack size in bytes; as much as the runtime provides for the longest shader that it accepts.
const STACK: usize = 256 << 20;

/// The text of a shader.
pub(crate) fn shader(data: &[u8]) -> Accepted {
    let Ok(text) = std::str::from_utf8(data) else { return false };
    if shader_fault(text).is_some() {
        return false;
    }
    let caps = Caps {
        subgroups: true,
        packed_bytes: true,
        byte_lookup: false,
        exponentials: true,
        max_group_size: 256,
        max_shared_bytes: 16 << 10,
    };
    let judge = || gristmill_wgsl::validate(text, &caps).is_ok();
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().stack_size(STACK).spawn_scoped(scope, judge).expect("a thread");
        thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

/// A module with kernels, run for a short time. Returns whether it could be loaded.
pub(crate) fn module(data: &[u8]) -> Accepted {
    [1, 2].into_iter().fold(false, |loaded, threads| {
        let options = WasmOptions { threads: Some(threads), relaxed: None, limit: Some(Duration::from_millis(100)) };
        let wasm = Wasm::load(Arc::new(bundle(data)), &options, &mut |_, _| {}).map_err(|e| e.to_string());
        let Ok(mut wasm) = wasm else { return loaded };
        if begin(&mut wasm, 1, 4).map_err(|e| e.to_string()).is_ok() {
            let inputs = BTreeMap::from([("x".to_string(), Tensor::f32([1, 4], vec![1.0; 4]))]);
            let _ = run(&mut wasm, "forward", &inputs, 0, &["y"]).map_err(|e| e.to_string());
        }
        true
    })
}

/// A bundle without weights, with one kernel from this module.
fn bundle(module: &[u8]) -> Bundle {
    const FILE: &str = "wasm/module.wasm";
    let size = |text: &str| text.parse::<Size>().expect("a size");
    let variants = vec![Variant { requires: vec![], file: FILE.to_string() }];
    let dispatch = Dispatch {
        kernel: 0,
        grid: size("B*T"),
        bind: vec![gristmill_bundle::Binding::Input(0), gristmill_bundle::Binding::Output(0)],
    };
    let step = Step { nodes: "y".to_string(), dispatches: vec![dispatch], fallback: vec![] };
    let programs = Programs {
        kernels: vec![Kernel { name: "y".to_string(), writes: vec![false, true], variants }],
        programs: BTreeMap::from([("forward".to_string(), Program { slots: vec![], steps: vec![step] })]),
        fallbacks: vec![],
    };
    let files = [
        (FILE.to_string(), module.to_vec()),
        (programs_path(PROFILE), serde_json::to_vec(&programs).expect("programs")),
    ];
    let info = |content: &[u8]| FileInfo { sha256: sha256_hex(content), bytes: content.len() as u64 };
    let shape = vec![size("B"), size("T")];
    let manifest = Manifest {
        format: FORMAT,
        generator: "fuzz".to_string(),
        model: ModelInfo {
            name: "fuzz".to_string(),
            architecture: "none".to_string(),
            precision: "f32".to_string(),
            parameters: 0,
            max_context: 4,
            prefill_chunk: 4,
            eos_token_ids: vec![],
            decoder_start_tokens: vec![],
            choices: vec![],
            embedding: None,
        },
        symbols: [("B", 1), ("T", 1), ("P", 0), ("C", 1)]
            .map(|(name, min)| Symbol { name: name.to_string(), min, max: 4 })
            .into(),
        inputs: vec![Input {
            name: "x".to_string(),
            elem: Elem::F32,
            shape: shape.clone(),
            default: None,
            advance: None,
            below: None,
        }],
        states: vec![],
        entries: vec![Entry {
            name: "forward".to_string(),
            role: EntryRole::Tensors,
            bind: BTreeMap::new(),
            inputs: vec![0],
            outputs: vec![Output { name: "y".to_string(), elem: Elem::F32, shape }],
            task: None,
            states: vec![],
            components: vec![],
        }],
        tensors: vec![],
        shards: vec![],
        components: vec![],
        files: files.iter().map(|(path, content)| (path.clone(), info(content))).collect(),
        profiles: vec![PROFILE.to_string()],
    };
    let mut all = BTreeMap::from(files);
    all.insert(MANIFEST.to_string(), serde_json::to_vec(&manifest).expect("a manifest"));
    Bundle::from_source(Box::new(all)).expect("a bundle")
}
