//! The device over an instance made of plain Rust.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::future::ready;

use gristmill_bundle::{
    Elem, Entry, EntryRole, FORMAT, Kernel, Manifest, ModelInfo, Program, Programs, Size, State, StateKind,
    StoredWeight, Symbol, Variant,
};

use super::*;
use crate::gpu::{BufferSpec, Copy, Gpu, Usage, Work};

/// Kernel 0 adds the first symbol to each of `grid` words; kernel 1 fails.
#[derive(Debug, Default)]
pub(crate) struct Toy {
    memory: RefCell<Vec<u8>>,
    most: Cell<u64>,
    pub(crate) runs: Cell<u32>,
}

impl Toy {
    fn word(&self, at: u32) -> u32 {
        let mut bytes = [0; 4];
        self.read(at, &mut bytes);
        u32::from_le_bytes(bytes)
    }
}

impl WasmInstance for Toy {
    fn grow(&self, bytes: u64) -> Result<(), Error> {
        if bytes > self.most.get() {
            return Err(Error::Backend("no more".to_string()));
        }
        let mut memory = self.memory.borrow_mut();
        let len = memory.len().max(bytes as usize);
        memory.resize(len, 0);
        Ok(())
    }

    fn write(&self, at: u32, bytes: &[u8]) {
        self.memory.borrow_mut()[at as usize..][..bytes.len()].copy_from_slice(bytes);
    }

    fn read(&self, at: u32, into: &mut [u8]) {
        into.copy_from_slice(&self.memory.borrow()[at as usize..][..into.len()]);
    }

    fn fill_zero(&self, at: u32, len: u32) {
        self.memory.borrow_mut()[at as usize..][..len as usize].fill(0);
    }

    fn copy(&self, from: u32, to: u32, len: u32) {
        self.memory.borrow_mut().copy_within(from as usize..(from + len) as usize, to as usize);
    }

    fn start(&self, control: u32) -> Result<(), Error> {
        assert_eq!((control % 64, self.word(control + control::WORKERS)), (0, 3));
        Ok(())
    }

    fn run(&self, control: u32) -> Running {
        self.runs.set(self.runs.get() + 1);
        let field = |f| self.word(control + f);
        for step in 0..field(control::COUNT) {
            let [kernel, grid, args] = [0, 4, 8].map(|o| self.word(field(control::STEPS) + step * 16 + o));
            if kernel != 0 {
                return Box::pin(ready(Err(Error::Backend("trap".to_string()))));
            }
            let (add, words) = (self.word(self.word(args)), self.word(args + 4));
            for i in 0..grid {
                let sum = self.word(words + 4 * i) + add;
                self.write(words + 4 * i, &sum.to_le_bytes());
            }
        }
        Box::pin(ready(Ok(())))
    }

    fn describe(&self) -> String {
        "toy".to_string()
    }
}

fn device(most: u64) -> Cpu<Toy> {
    device_within(most, 1 << 32)
}

/// A device with `most` bytes of memory, which claims a limit of `limit`.
pub(crate) fn device_within(most: u64, limit: u64) -> Cpu<Toy> {
    let toy = Toy::default();
    toy.most.set(most);
    let features = BTreeSet::from([THREADS.to_string()]);
    let setup = Setup { heap_base: 1000, scratch_bytes: 128, workers: 3, spin: 7, features, limit, reserve: 5000 };
    Cpu::new(toy, setup).unwrap()
}

fn create(device: &Cpu<Toy>, bytes: u64, usage: Usage) -> Result<Buffer, Error> {
    pollster::block_on(device.create(&[BufferSpec::new("some", bytes, usage)])).map(|mut made| made.remove(0))
}

fn run(device: &Cpu<Toy>, work: &Work<'_, Cpu<Toy>>) -> Result<Vec<u32>, Error> {
    let bytes = pollster::block_on(device.submit(work))?;
    Ok(bytes.chunks_exact(4).map(|b| u32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect())
}

#[test]
fn a_submission_writes_feeds_runs_and_reads() {
    let device = device(1 << 20);
    let [symbols, a, b] = [16, 64, 64].map(|bytes| create(&device, bytes, Usage::Scratch).unwrap());
    let staging = create(&device, 64, Usage::Readback).unwrap();
    let group = device.bind("add", &0, &[&symbols, &a]);
    let steps = device.record(&[(&0, &group), (&0, &group)]);
    device.check("binding").unwrap();
    let words: Vec<u8> = [1u32, 2, 3, 4].iter().flat_map(|w| w.to_le_bytes()).collect();
    let ten = 10u32.to_le_bytes();
    let writes: [(&Buffer, &[u8]); 2] = [(&symbols, &ten), (&b, &words)];
    let results = [Copy { from: &a, to: &staging, to_offset: 8, bytes: 16 }];
    let mut work = Work {
        writes: &writes,
        feed: Some(Copy { from: &b, to: &a, to_offset: 0, bytes: 16 }),
        steps: &steps,
        grids: &[(3, 1), (1, 1)],
        results: &results,
        staging: &staging,
        bytes: 24,
    };
    assert_eq!(run(&device, &work).unwrap(), [0, 0, 21, 12, 13, 4]);
    work.feed = None;
    work.writes = &[];
    work.grids = &[(0, 0), (4, 1)];
    assert_eq!(run(&device, &work).unwrap(), [0, 0, 31, 22, 23, 14]);
    work.grids = &[(0, 0), (4, 2)];
    assert!(run(&device, &work).unwrap_err().to_string().contains("32 bits"));
    let none = device.record(&[]);
    let results = [Copy { from: &a, to: &staging, to_offset: 0, bytes: 4 }];
    let nothing = Work { steps: &none, grids: &[], results: &results, bytes: 4, ..work };
    assert_eq!(run(&device, &nothing).unwrap(), [31]);
}

#[test]
fn memory_of_freed_buffers_is_zero_again() {
    let device = device(1 << 20);
    let before = device.allocated();
    let first = create(&device, 1000, Usage::State).unwrap();
    device.write(&first, 0, &[255; 1008]).unwrap();
    assert!(device.write(&first, 1, &[255; 1008]).is_err(), "beyond its end");
    device.destroy(&first);
    assert_eq!(device.allocated(), before);
    let second = create(&device, 2000, Usage::State).unwrap();
    assert_eq!(first.address(), second.address());
    let mut content = vec![1; 2000];
    device.instance().read(second.address(), &mut content);
    assert_eq!(content, vec![0; 2000]);
    device.write(&second, 16, &[1; 16]).unwrap();
    device.clear(&[&second]);
    device.instance().read(second.address(), &mut content);
    assert_eq!(content, vec![0; 2000]);
}

#[test]
fn a_buffer_that_does_not_fit_is_named_and_harms_nothing() {
    let device = device(10_000);
    match create(&device, 20_000, Usage::State) {
        Err(Error::OutOfMemory { what, bytes: 20_000, .. }) => assert_eq!(what, "some"),
        other => panic!("{other:?}"),
    }
    assert!(create(&device, 1000, Usage::State).is_ok());
    match create(&device, 1 << 32, Usage::State) {
        Err(Error::Limit { name: "bytes of linear memory", needed, .. }) => assert_eq!(needed, 1 << 32),
        other => panic!("{other:?}"),
    }
}

#[test]
fn after_a_failure_nothing_runs() {
    let device = device(1 << 20);
    let symbols = create(&device, 16, Usage::Uniform).unwrap();
    let group = device.bind("fails", &1, &[&symbols]);
    let steps = device.record(&[(&1, &group)]);
    let work =
        Work { writes: &[], feed: None, steps: &steps, grids: &[(1, 1)], results: &[], staging: &symbols, bytes: 0 };
    assert_eq!(run(&device, &work).unwrap_err().to_string(), "trap");
    let runs = device.instance().runs.get();
    match run(&device, &work) {
        Err(Error::DeviceLost(why)) => assert!(why.contains("trap"), "{why}"),
        other => panic!("{other:?}"),
    }
    assert_eq!(device.instance().runs.get(), runs);
}

/// A model with one weight and one state per token.
fn model(weight_bytes: u64, max_context: u32) -> (Manifest, Programs) {
    let sizes = |shape: &[&str]| shape.iter().map(|t| t.parse::<Size>().expect("a size")).collect::<Vec<_>>();
    let symbol = |name: &str, max| Symbol { name: name.to_string(), min: 1, max };
    let manifest = Manifest {
        format: FORMAT,
        generator: "gristmill test".to_string(),
        model: ModelInfo {
            name: "planned".to_string(),
            architecture: "none".to_string(),
            precision: "f32".to_string(),
            parameters: 0,
            max_context,
            prefill_chunk: 32,
            eos_token_ids: vec![],
            decoder_start_tokens: vec![],
            choices: vec![],
            embedding: None,
        },
        symbols: vec![symbol("T", max_context), symbol("C", max_context)],
        inputs: vec![],
        states: vec![State {
            name: "seen".to_string(),
            elem: Elem::F16,
            shape: sizes(&["C", "512"]),
            kind: StateKind::Appended { axis: 0, ring: None },
        }],
        entries: vec![Entry {
            name: "prefill".to_string(),
            role: EntryRole::Prefill,
            bind: BTreeMap::new(),
            inputs: vec![],
            outputs: vec![],
            task: None,
            states: vec![0],
            components: vec![],
        }],
        tensors: vec![StoredWeight {
            name: "w".to_string(),
            shape: vec![],
            precision: "f32".to_string(),
            offset: 0,
            bytes: weight_bytes,
        }],
        shards: vec![],
        components: vec![],
        files: BTreeMap::new(),
        profiles: vec!["native".to_string()],
    };
    let program = Program { slots: sizes(&["100*T"]), steps: vec![] };
    (
        manifest,
        Programs { kernels: vec![], programs: BTreeMap::from([("prefill".to_string(), program)]), fallbacks: vec![] },
    )
}

#[test]
fn memory_is_planned_before_weights_are_read() {
    let (manifest, programs) = model(1000, 100);
    let small = plan(&manifest, &programs).unwrap();
    assert_eq!(small, Plan { weights: 1024, states: 102_400, least_states: 32_768, scratch: 3200 });
    assert_eq!(small.reserve(10_000, ADDRESS_SPACE).unwrap(), 2 * PAGE);
    assert_eq!(small.reserve(10_000, PAGE).unwrap(), PAGE, "longer texts grow the memory as far as it goes");

    let (manifest, programs) = model(3 << 30, 4_000_000);
    let long = plan(&manifest, &programs).unwrap();
    let reserve = long.reserve(0, ADDRESS_SPACE).unwrap();
    assert!(((3 << 30)..(3 << 30) + 2 * PAGE).contains(&reserve), "{reserve}");
    let (manifest, programs) = model(5 << 30, 100);
    let text = plan(&manifest, &programs).unwrap().reserve(0, ADDRESS_SPACE).unwrap_err().to_string();
    assert!(text.contains("weights 5368709120,") && text.contains("WebAssembly offers 4294967296"), "{text}");
    assert!(text.contains("lower --precision") && text.contains("use WebGPU"), "{text}");
}

#[test]
fn bundles_without_webassembly_are_refused() {
    let (mut manifest, _) = model(1000, 100);
    let text = check_profile(&manifest).unwrap_err().to_string();
    assert!(text.contains("only programs for native; compile it with --target wasm or all"), "{text}");
    manifest.profiles.push(PROFILE.to_string());
    check_profile(&manifest).unwrap();
}

#[test]
fn all_kernels_come_from_one_module() {
    let variant = |requires: &[&str], file: &str| Variant {
        requires: requires.iter().map(|r| r.to_string()).collect(),
        file: file.to_string(),
    };
    let kernel = |name: &str, threads: &str| Kernel {
        name: name.to_string(),
        writes: vec![true],
        variants: vec![variant(&[THREADS], threads), variant(&[], "wasm/baseline.wasm")],
    };
    let programs = |second: &str| vec![kernel("a", "wasm/baseline.threads.wasm"), kernel("b", second)];
    let with = |features: &[&str]| device_info(features.iter().map(|f| f.to_string()).collect(), ADDRESS_SPACE);
    let good = programs("wasm/baseline.threads.wasm");
    assert_eq!(module(&good, &with(&[])).unwrap(), "wasm/baseline.wasm");
    assert_eq!(module(&good, &with(&[THREADS, RELAXED_SIMD])).unwrap(), "wasm/baseline.threads.wasm");
    assert!(module(&programs("other.wasm"), &with(&[THREADS])).is_err());
}
