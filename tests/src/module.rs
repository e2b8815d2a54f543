//! Prints kernels as WebAssembly, runs them one by one, and compares them with the interpreter.

use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Instant;

use gristmill_kernel::interp::{Options, eval_size, run};
use gristmill_kernel::{Caps, Kernel, legalize, verify};
use gristmill_wasm::Variant;
use wasmtime::{Config, Engine, Instance, Memory, MemoryType, Module, OptLevel, Store, Val};

/// Bytes that a kernel may read past the end of a buffer.
const GUARD: u32 = 64;
/// Fills the gaps between buffers, so that writes out of bounds are detected.
const FILL: u8 = 0xa5;

/// The module variants to test: without and with relaxed SIMD.
pub const SIMD: [bool; 2] = [false, true];

/// Values of the symbols, by name.
pub type Symbols = BTreeMap<String, u32>;

/// A module in wasmtime, with one thread.
pub struct Loaded {
    kernels: Vec<Kernel>,
    store: Store<()>,
    instance: Instance,
    memory: Memory,
    heap_base: u32,
    scratch_bytes: u32,
}

/// Legalizes a kernel for CPUs.
///
/// # Panics
/// If the result is not a kernel for CPUs.
pub fn legal(kernel: &Kernel) -> Kernel {
    let legal = legalize(kernel, &Caps::CPU);
    verify(&legal, &Caps::CPU).unwrap_or_else(|e| panic!("{e}"));
    legal
}

/// Prints kernels as a module without threads, validated.
///
/// # Panics
/// If they cannot be printed, or the module is invalid.
pub fn print(kernels: &[Kernel], relaxed: bool) -> Vec<u8> {
    let variant = Variant { relaxed, threads: false };
    let bytes = gristmill_wasm::print(kernels, variant).unwrap_or_else(|e| panic!("{e}"));
    gristmill_wasm::validate(&bytes, variant).unwrap_or_else(|e| panic!("{}: {e}", variant.name()));
    bytes
}

impl Loaded {
    /// Prints, validates and instantiates legalized kernels.
    ///
    /// # Panics
    /// If that fails.
    pub fn new(kernels: &[Kernel], relaxed: bool) -> Self {
        let mut config = Config::new();
        config.cranelift_opt_level(OptLevel::Speed).wasm_relaxed_simd(true);
        let engine = Engine::new(&config).expect("an engine");
        let module = Module::new(&engine, print(kernels, relaxed)).expect("a module");
        let mut store = Store::new(&engine, ());
        let memory = Memory::new(&mut store, MemoryType::new(1, Some(65536))).expect("memory");
        let instance = Instance::new(&mut store, &module, &[memory.into()]).expect("an instance");
        let mut global = |name: &str| match instance.get_global(&mut store, name).map(|g| g.get(&mut store)) {
            Some(Val::I32(n)) => n as u32,
            other => panic!("global {name} is {other:?}"),
        };
        let (heap_base, scratch_bytes) = (global("heap_base"), global("scratch_bytes"));
        Loaded { kernels: kernels.to_vec(), store, instance, memory, heap_base, scratch_bytes }
    }

    /// Allocates symbols, buffers, scratch memory and arguments. Returns the addresses of the buffers, of the arguments
    /// and of the scratch memory.
    fn place(&mut self, kernel: &Kernel, symbols: &Symbols, buffers: &[Vec<u32>]) -> (Vec<u32>, u32, u32) {
        let mut end = self.heap_base;
        let mut take = |words: usize| {
            let at = end;
            end = (at + 4 * words as u32 + GUARD).next_multiple_of(64);
            at
        };
        // Buffers come first, and are then at the lowest addresses that a host can use.
        let places: Vec<u32> = buffers.iter().map(|b| take(b.len())).collect();
        let table: Vec<u32> = kernel.symbols.iter().map(|s| symbols[s]).collect();
        let symbols_at = take(table.len());
        let args: Vec<u32> = [symbols_at].into_iter().chain(places.iter().copied()).collect();
        let args_at = take(args.len());
        let scratch = take(self.scratch_bytes as usize / 4);
        let pages = u64::from(end).div_ceil(65536);
        let have = self.memory.size(&self.store);
        if pages > have {
            self.memory.grow(&mut self.store, pages - have).expect("memory");
        }
        self.memory.data_mut(&mut self.store)[self.heap_base as usize..].fill(FILL);
        for (at, words) in places.iter().zip(buffers).chain([(&symbols_at, &table), (&args_at, &args)]) {
            self.write(*at, words);
        }
        (places, args_at, scratch)
    }

    fn write(&mut self, at: u32, words: &[u32]) {
        let bytes: Vec<u8> = words.iter().flat_map(|w| w.to_le_bytes()).collect();
        self.memory.write(&mut self.store, at as usize, &bytes).expect("within memory");
    }

    fn read(&self, at: u32, words: usize) -> Vec<u32> {
        let bytes = &self.memory.data(&self.store)[at as usize..][..4 * words];
        bytes.chunks_exact(4).map(|b| u32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect()
    }

    /// Runs a range of grid positions. Buffers are updated with what the kernel writes.
    ///
    /// # Errors
    /// If the module traps, or writes to memory that it must not touch.
    pub fn run(
        &mut self,
        n: usize,
        symbols: &Symbols,
        buffers: &mut [Vec<u32>],
        parts: &[Range<u32>],
    ) -> Result<(), String> {
        let kernel = self.kernels[n].clone();
        let (places, args, scratch) = self.place(&kernel, symbols, buffers);
        let function = self.instance.get_typed_func::<(u32, u32, u32, u32), ()>(&mut self.store, &kernel.name);
        let function = function.map_err(|e| format!("{}: {e}", kernel.name))?;
        for part in parts {
            let call = function.call(&mut self.store, (args, part.start, part.end, scratch));
            call.map_err(|e| format!("{} at {part:?}: {e:?}", kernel.name))?;
        }
        for ((at, words), declared) in places.iter().zip(buffers).zip(&kernel.buffers) {
            let found = self.read(*at, words.len());
            if !declared.writable && found != *words {
                return Err(format!("{} wrote `{}`, which it only reads", kernel.name, declared.name));
            }
            let behind = self.read(at + 4 * words.len() as u32, GUARD as usize / 4);
            if behind.iter().any(|w| *w != u32::from_le_bytes([FILL; 4])) {
                return Err(format!("{} wrote behind `{}`", kernel.name, declared.name));
            }
            *words = found;
        }
        Ok(())
    }

    /// The time in seconds that a kernel takes for the whole grid; the best of ten batches.
    ///
    /// # Errors
    /// If the module traps.
    pub fn time(&mut self, n: usize, symbols: &Symbols, buffers: &[Vec<u32>]) -> Result<f64, String> {
        let kernel = self.kernels[n].clone();
        let (_, args, scratch) = self.place(&kernel, symbols, buffers);
        let function = self.instance.get_typed_func::<(u32, u32, u32, u32), ()>(&mut self.store, &kernel.name);
        let function = function.map_err(|e| format!("{}: {e}", kernel.name))?;
        let end = grid(&kernel, symbols);
        let mut batch = |calls: u32| {
            let start = Instant::now();
            for _ in 0..calls {
                function
                    .call(&mut self.store, (args, 0, end, scratch))
                    .map_err(|e| format!("{}: {e:?}", kernel.name))?;
            }
            Ok::<f64, String>(start.elapsed().as_secs_f64() / f64::from(calls))
        };
        let once = batch(1)?.min(batch(1)?);
        let calls = (0.03 / once).ceil().max(1.0) as u32;
        (0..10).try_fold(f64::INFINITY, |best, _| Ok(batch(calls)?.min(best)))
    }
}

/// The number of grid positions of a kernel.
///
/// # Panics
/// If a symbol has no value.
pub fn grid(kernel: &Kernel, symbols: &Symbols) -> u32 {
    kernel.grid.iter().map(|axis| eval_size(&axis.extent, symbols).expect("a size")).product()
}

/// A difference between two results: the buffer, the word, and both values.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Difference {
    /// Index of the buffer in the kernel.
    pub buffer: usize,
    /// Index of the word.
    pub word: usize,
    /// The value computed by the interpreter.
    pub want: u32,
    /// The value computed by the module.
    pub got: u32,
}

/// Whether two words of a buffer are equal results. NaNs are equal to each other, and so are zeros of either sign.
/// `tolerance` is relative to the value, or to 1 if that is larger.
pub fn same(float: bool, want: u32, got: u32, tolerance: f32) -> bool {
    let (a, b) = (f32::from_bits(want), f32::from_bits(got));
    want == got || float && (a == b || a.is_nan() && b.is_nan() || (a - b).abs() <= tolerance * a.abs().max(1.0))
}

/// The first difference in the buffers that a kernel writes.
pub fn difference(kernel: &Kernel, want: &[Vec<u32>], got: &[Vec<u32>], tolerance: f32) -> Option<Difference> {
    kernel.buffers.iter().enumerate().find_map(|(buffer, declared)| {
        let pairs = want[buffer].iter().zip(&got[buffer]).enumerate();
        let float = declared.elem.scalar.is_float();
        let mut wrong = pairs.filter(|(_, (want, got))| !same(float, **want, **got, tolerance));
        wrong.next().map(|(word, (want, got))| Difference { buffer, word, want: *want, got: *got })
    })
}

/// Runs a kernel on the interpreter; returns the buffers.
///
/// # Panics
/// If the kernel does something undefined.
pub fn interpret(kernel: &Kernel, symbols: &Symbols, buffers: &[Vec<u32>]) -> Vec<Vec<u32>> {
    let mut want = buffers.to_vec();
    run(kernel, symbols, &mut want, Options::default()).unwrap_or_else(|e| panic!("{e}"));
    want
}

/// Runs a kernel in both module variants, in one range and in two, and compares with the interpreter. `tolerances` are
/// for baseline and relaxed SIMD; a variant without one is not tested. Returns what the interpreter computed.
///
/// # Panics
/// If something differs.
pub fn check(kernel: &Kernel, symbols: &Symbols, buffers: &[Vec<u32>], tolerances: [Option<f32>; 2]) -> Vec<Vec<u32>> {
    let legal = legal(kernel);
    let want = interpret(&legal, symbols, buffers);
    let n = grid(&legal, symbols);
    for (relaxed, tolerance) in SIMD.into_iter().zip(tolerances) {
        let Some(tolerance) = tolerance else { continue };
        let mut loaded = Loaded::new(std::slice::from_ref(&legal), relaxed);
        for middle in [0, n / 2] {
            let mut got = buffers.to_vec();
            loaded
                .run(0, symbols, &mut got, &[0..middle, middle..n])
                .unwrap_or_else(|e| panic!("relaxed {relaxed}: {e}"));
            if let Some(d) = difference(&legal, &want, &got, tolerance) {
                let text = gristmill_wasm::text(&print(std::slice::from_ref(&legal), relaxed), Some(&legal.name));
                let (want, got) = (f32::from_bits(d.want), f32::from_bits(d.got));
                panic!("relaxed {relaxed}: {d:?} ({want} and {got})\n{:#?}\n{}", legal.body, text.expect("text"));
            }
        }
    }
    want
}
