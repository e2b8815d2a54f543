//! Linear memory. Shared memory is the only place of this crate that needs unsafe code.

#![allow(unsafe_code, reason = "memory that other threads may see can only be reached by pointers; audited: one file")]

use std::cell::RefCell;
use std::sync::atomic::{AtomicU32, Ordering};

use wasmtime::{SharedMemory, Store};

use crate::cpu::PAGE;

/// Memory of one instance, or of several.
pub(super) enum Memory {
    /// In the store of the only instance.
    Own(wasmtime::Memory),
    /// Shared by all workers.
    Shared(Shared),
}

impl Memory {
    /// Grows to at least `bytes`.
    pub(super) fn grow(&self, store: &RefCell<Store<()>>, bytes: u64) -> wasmtime::Result<()> {
        let missing = |pages: u64| bytes.div_ceil(PAGE).saturating_sub(pages);
        match self {
            Memory::Own(memory) => {
                let mut store = store.borrow_mut();
                match missing(memory.size(&*store)) {
                    0 => Ok(()),
                    pages => memory.grow(&mut *store, pages).map(|_| ()),
                }
            }
            Memory::Shared(Shared(memory)) => match missing(memory.size()) {
                0 => Ok(()),
                pages => memory.grow(pages).map(|_| ()),
            },
        }
    }

    /// Puts bytes into memory.
    pub(super) fn write(&self, store: &RefCell<Store<()>>, at: u32, bytes: &[u8]) {
        match self {
            Memory::Own(memory) => {
                memory.data_mut(&mut *store.borrow_mut())[at as usize..][..bytes.len()].copy_from_slice(bytes);
            }
            Memory::Shared(shared) => {
                let to = shared.stretch(at, bytes.len());
                // SAFETY: `to` are as many bytes of the memory, apart from `bytes`, which is Rust's; no worker looks
                // at what the host writes before the host runs it.
                unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), to, bytes.len()) }
            }
        }
    }

    /// Takes bytes from memory.
    pub(super) fn read(&self, store: &RefCell<Store<()>>, at: u32, into: &mut [u8]) {
        match self {
            Memory::Own(memory) => into.copy_from_slice(&memory.data(&*store.borrow())[at as usize..][..into.len()]),
            Memory::Shared(shared) => {
                let from = shared.stretch(at, into.len());
                // SAFETY: as in `write`, the other way round; workers write nothing after a run has ended.
                unsafe { std::ptr::copy_nonoverlapping(from, into.as_mut_ptr(), into.len()) }
            }
        }
    }

    /// Fills memory with zeros.
    pub(super) fn fill_zero(&self, store: &RefCell<Store<()>>, at: u32, len: u32) {
        match self {
            Memory::Own(memory) => memory.data_mut(&mut *store.borrow_mut())[at as usize..][..len as usize].fill(0),
            Memory::Shared(shared) => {
                let to = shared.stretch(at, len as usize);
                // SAFETY: as in `write`.
                unsafe { std::ptr::write_bytes(to, 0, len as usize) }
            }
        }
    }

    /// Copies within memory.
    pub(super) fn copy(&self, store: &RefCell<Store<()>>, from: u32, to: u32, len: u32) {
        match self {
            Memory::Own(memory) => {
                let (from, to, len) = (from as usize, to as usize, len as usize);
                memory.data_mut(&mut *store.borrow_mut()).copy_within(from..from + len, to);
            }
            Memory::Shared(shared) => {
                let (from, to) = (shared.stretch(from, len as usize), shared.stretch(to, len as usize));
                // SAFETY: both are `len` bytes of the memory and may overlap; otherwise as in `write`.
                unsafe { std::ptr::copy(from, to, len as usize) }
            }
        }
    }
}

/// Memory that all workers see.
#[derive(Clone)]
pub(super) struct Shared(pub(super) SharedMemory);

impl Shared {
    /// Where some bytes are. Panics if memory has no such bytes; the device asks for none.
    fn stretch(&self, at: u32, len: usize) -> *mut u8 {
        let bytes = &self.0.data()[at as usize..][..len];
        // A pointer to all of them: one made from the first element alone could not reach the others.
        bytes.as_ptr().cast::<u8>().cast_mut()
    }

    /// Sets a word that workers look at while they run, and wakes those who sleep on the words `wake`.
    pub(super) fn signal(&self, word: u32, value: u32, wake: &[u32]) {
        if word.is_multiple_of(4) {
            let at = self.stretch(word, 4).cast::<u32>();
            // SAFETY: the memory begins at a page, so that the word is aligned; workers reach it by atomic operations
            // only, and it stays where it is while `self` lives.
            unsafe { AtomicU32::from_ptr(at) }.store(value, Ordering::SeqCst);
        }
        for at in wake {
            // Only an address outside of the memory or off its alignment is refused.
            let _ = self.0.atomic_notify(u64::from(*at), u32::MAX);
        }
    }

    /// Wakes whoever sleeps, wherever that is.
    pub(super) fn wake_all(&self) {
        for at in (0..self.0.data_size() as u64).step_by(4) {
            let _ = self.0.atomic_notify(at, u32::MAX);
        }
    }
}
