//! Linear memory. Shared memory is the only place in this crate that needs unsafe code.

#![allow(unsafe_code, reason = "memory that other threads may see can only be reached by pointers; audited: one file")]

use std::cell::{RefCell, UnsafeCell};
use std::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering};

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

    /// Writes bytes to memory.
    pub(super) fn write(&self, store: &RefCell<Store<()>>, at: u32, bytes: &[u8]) {
        match self {
            Memory::Own(memory) => {
                memory.data_mut(&mut *store.borrow_mut())[at as usize..][..bytes.len()].copy_from_slice(bytes);
            }
            Memory::Shared(shared) => shared.write(at, bytes),
        }
    }

    /// Reads bytes from memory.
    pub(super) fn read(&self, store: &RefCell<Store<()>>, at: u32, into: &mut [u8]) {
        match self {
            Memory::Own(memory) => into.copy_from_slice(&memory.data(&*store.borrow())[at as usize..][..into.len()]),
            Memory::Shared(shared) => shared.read(at, into),
        }
    }

    /// Fills memory with zeros.
    pub(super) fn fill_zero(&self, store: &RefCell<Store<()>>, at: u32, len: u32) {
        match self {
            Memory::Own(memory) => memory.data_mut(&mut *store.borrow_mut())[at as usize..][..len as usize].fill(0),
            Memory::Shared(shared) => shared.clear(at, len as usize),
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
                let mut bytes = vec![0; len as usize];
                shared.read(from, &mut bytes);
                shared.write(to, &bytes);
            }
        }
    }
}

/// Memory that all workers share.
#[derive(Clone)]
pub(super) struct Shared(pub(super) SharedMemory);

impl Shared {
    /// Some bytes, most of them as words. Workers of an untrusted module may change them at any time, so all accesses
    /// are atomic. Panics if the bytes are out of range; the device never requests such bytes.
    fn cells(&self, at: u32, len: usize) -> (&[AtomicU8], &[AtomicU64], &[AtomicU8]) {
        let cells: &[UnsafeCell<u8>] = &self.0.data()[at as usize..][..len];
        // SAFETY: an `AtomicU8` has the layout of a byte, and an `AtomicU64` that of eight bytes at a multiple of
        // eight, which `align_to` ensures. They may change behind a shared reference, like `UnsafeCell`s, and the
        // memory does not move while `self` lives.
        unsafe { (*(std::ptr::from_ref(cells) as *const [AtomicU8])).align_to() }
    }

    fn write(&self, at: u32, bytes: &[u8]) {
        let (head, words, tail) = self.cells(at, bytes.len());
        let (first, rest) = bytes.split_at(head.len());
        let (middle, last) = rest.as_chunks();
        words.iter().zip(middle).for_each(|(cell, word)| cell.store(u64::from_ne_bytes(*word), Ordering::Relaxed));
        let ends = head.iter().zip(first).chain(tail.iter().zip(last));
        ends.for_each(|(cell, byte)| cell.store(*byte, Ordering::Relaxed));
    }

    fn clear(&self, at: u32, len: usize) {
        let (head, words, tail) = self.cells(at, len);
        words.iter().for_each(|cell| cell.store(0, Ordering::Relaxed));
        head.iter().chain(tail).for_each(|cell| cell.store(0, Ordering::Relaxed));
    }

    fn read(&self, at: u32, into: &mut [u8]) {
        let (head, words, tail) = self.cells(at, into.len());
        let (first, rest) = into.split_at_mut(head.len());
        let (middle, last) = rest.as_chunks_mut();
        words.iter().zip(middle).for_each(|(cell, word)| *word = cell.load(Ordering::Relaxed).to_ne_bytes());
        let ends = head.iter().zip(first).chain(tail.iter().zip(last));
        ends.for_each(|(cell, byte)| *byte = cell.load(Ordering::Relaxed));
    }

    /// Sets a word that workers check while they run, and wakes those that sleep on the words `wake`.
    pub(super) fn signal(&self, word: u32, value: u32, wake: &[u32]) {
        if word.is_multiple_of(4) {
            let cells: &[UnsafeCell<u8>] = &self.0.data()[word as usize..][..4];
            // SAFETY: the memory starts at a page boundary, so the word is aligned; otherwise as in `cells`.
            unsafe { &*cells.as_ptr().cast::<AtomicU32>() }.store(value, Ordering::SeqCst);
        }
        for at in wake {
            // This only fails for an address that is out of range or misaligned.
            let _ = self.0.atomic_notify(u64::from(*at), u32::MAX);
        }
    }

    /// Wakes all sleeping workers, on whatever word they sleep.
    pub(super) fn wake_all(&self) {
        for at in (0..self.0.data_size() as u64).step_by(4) {
            let _ = self.0.atomic_notify(at, u32::MAX);
        }
    }
}
