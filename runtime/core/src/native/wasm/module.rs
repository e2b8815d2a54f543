//! Compiles modules to machine code, and checks their form.

use wasmtime::{Config, Engine, ExternType, Module, OptLevel};

use crate::error::Error;

/// The only import.
const IMPORT: (&str, &str) = ("gristmill", "memory");

/// A compiled module.
pub(super) struct Compiled {
    pub(super) engine: Engine,
    pub(super) module: Module,
    /// Path in the bundle, for errors.
    pub(super) file: String,
    /// Pages that the module's constants need.
    pub(super) pages: u32,
}

/// An error about a malformed module.
pub(super) fn fault(file: &str, message: impl std::fmt::Display) -> Error {
    Error::Device { what: file.to_string(), message: message.to_string() }
}

impl Compiled {
    /// Compiles a module with shared or unshared memory. None of it runs yet.
    pub(super) fn new(file: &str, bytes: &[u8], shared: bool) -> Result<Self, Error> {
        let mut config = Config::new();
        config
            .cranelift_opt_level(OptLevel::Speed)
            .parallel_compilation(true)
            .wasm_relaxed_simd(true)
            .wasm_threads(true)
            .shared_memory(true)
            // Allows kernels that do not end to be stopped.
            .epoch_interruption(true);
        let engine = Engine::new(&config).map_err(|e| fault("wasmtime", e))?;
        let module = Module::new(&engine, bytes).map_err(|e| fault(file, format!("{e:#}")))?;
        let pages = check_memory(file, &module, shared)?;
        Ok(Compiled { engine, module, file: file.to_string(), pages })
    }
}

/// Checks that a module imports memory and nothing else. Returns the number of pages that it needs.
fn check_memory(file: &str, module: &Module, shared: bool) -> Result<u32, Error> {
    let imports: Vec<_> = module.imports().collect();
    let memory = match imports.as_slice() {
        [only] if (only.module(), only.name()) == IMPORT => match only.ty() {
            ExternType::Memory(memory) => Some(memory),
            _ => None,
        },
        _ => None,
    };
    let memory = memory.ok_or_else(|| {
        let found: Vec<String> = imports.iter().map(|i| format!("{}.{}", i.module(), i.name())).collect();
        fault(file, format!("expected one import, the memory gristmill.memory, found [{}]", found.join(", ")))
    })?;
    let pages = u32::try_from(memory.minimum()).ok().filter(|p| *p <= 65536);
    match pages {
        Some(pages) if memory.is_shared() == shared && !memory.is_64() => Ok(pages),
        _ => {
            let word = if shared { "a shared" } else { "an unshared" };
            Err(fault(file, format!("expected {word} 32-bit memory, found another kind; compile the bundle again")))
        }
    }
}
