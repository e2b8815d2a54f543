//! An instance of a kernel module, and the reason why a run of it ended.

use wasmtime::{Extern, Instance, Store, Trap, WasmBacktrace};

use super::memory::{Memory, Shared};
use super::module::{Compiled, fault};
use crate::error::Error;

/// An instance and its memory.
pub(super) struct Instantiated(pub(super) Instance, pub(super) Memory);

/// Creates an instance with the memory that `memory` returns.
pub(super) fn instantiate(
    compiled: &Compiled,
    memory: impl FnOnce(&mut Store<()>) -> wasmtime::Result<Memory>,
) -> Result<(Store<()>, Instantiated), Error> {
    let failed = |e: wasmtime::Error| fault(&compiled.file, format!("{e:#}"));
    let mut store = Store::new(&compiled.engine, ());
    // Raising the epoch ends whatever is running.
    store.set_epoch_deadline(1);
    let memory = memory(&mut store).map_err(failed)?;
    let import: Extern = match &memory {
        Memory::Own(memory) => (*memory).into(),
        Memory::Shared(Shared(memory)) => memory.clone().into(),
    };
    let instance = Instance::new(&mut store, &compiled.module, &[import]).map_err(failed)?;
    Ok((store, Instantiated(instance, memory)))
}

/// The message of a trap, and the function in which it occurred.
pub(super) fn trap_text(error: &wasmtime::Error) -> String {
    let text = error.downcast_ref::<Trap>().map_or_else(|| error.root_cause().to_string(), Trap::to_string);
    let trace = error.downcast_ref::<WasmBacktrace>();
    match trace.and_then(|t| t.frames().first()?.func_name()) {
        Some(name) => format!("{text} in `{name}`"),
        None => text,
    }
}
