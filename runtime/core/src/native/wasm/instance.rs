//! One instance of a kernel module, and why a run of it ended.

use wasmtime::{Extern, Instance, Store, Trap, WasmBacktrace};

use super::memory::{Memory, Shared};
use super::module::{Compiled, fault};
use crate::error::Error;

/// An instance and its memory.
pub(super) struct Instantiated(pub(super) Instance, pub(super) Memory);

/// Makes an instance over the memory that `memory` gives.
pub(super) fn instantiate(
    compiled: &Compiled,
    memory: impl FnOnce(&mut Store<()>) -> wasmtime::Result<Memory>,
) -> Result<(Store<()>, Instantiated), Error> {
    let failed = |e: wasmtime::Error| fault(&compiled.file, format!("{e:#}"));
    let mut store = Store::new(&compiled.engine, ());
    // Whatever raises the epoch ends what runs.
    store.set_epoch_deadline(1);
    let memory = memory(&mut store).map_err(failed)?;
    let import: Extern = match &memory {
        Memory::Own(memory) => (*memory).into(),
        Memory::Shared(Shared(memory)) => memory.clone().into(),
    };
    let instance = Instance::new(&mut store, &compiled.module, &[import]).map_err(failed)?;
    Ok((store, Instantiated(instance, memory)))
}

/// What a trap says, and in which function.
pub(super) fn trap_text(error: &wasmtime::Error) -> String {
    let text = error.downcast_ref::<Trap>().map_or_else(|| error.root_cause().to_string(), Trap::to_string);
    let trace = error.downcast_ref::<WasmBacktrace>();
    match trace.and_then(|t| t.frames().first()?.func_name()) {
        Some(name) => format!("{text} in `{name}`"),
        None => text,
    }
}
