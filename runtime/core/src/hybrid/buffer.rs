//! Buffers that live on the adapter, in linear memory, or on both.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use crate::cpu;
use crate::error::Error;
use crate::gpu::{BufferSpec, Usage};

/// A buffer of the adapter, of linear memory, or of both.
#[derive(Debug)]
pub struct Buffer<B>(Rc<Places<B>>);

impl<B> Clone for Buffer<B> {
    fn clone(&self) -> Self {
        Buffer(self.0.clone())
    }
}

#[derive(Debug)]
struct Places<B> {
    spec: BufferSpec,
    /// How many of its bytes the next submissions use.
    used: Cell<u64>,
    /// On the adapter; `None` if it is too large for that.
    own: Option<B>,
    /// In linear memory.
    copy: RefCell<Option<cpu::Buffer>>,
    /// Whether the copy equals the buffer on the adapter.
    current: Cell<bool>,
}

impl<B> Buffer<B> {
    /// A buffer of the adapter, zero-filled like `copy`, which it may have already.
    pub(super) fn own(spec: BufferSpec, own: B, copy: Option<cpu::Buffer>) -> Self {
        let (used, current) = (Cell::new(spec.bytes), Cell::new(copy.is_some()));
        Buffer(Rc::new(Places { spec, used, own: Some(own), copy: RefCell::new(copy), current }))
    }

    /// A buffer that only fallback kernels bind.
    pub(super) fn offloaded(spec: BufferSpec, place: cpu::Buffer) -> Self {
        let (used, current) = (Cell::new(spec.bytes), Cell::new(true));
        Buffer(Rc::new(Places { spec, used, own: None, copy: RefCell::new(Some(place)), current }))
    }

    /// The buffer on the adapter.
    pub(super) fn on_adapter(&self) -> Option<&B> {
        self.0.own.as_ref()
    }

    /// The buffer in linear memory.
    pub(super) fn in_memory(&self) -> Option<cpu::Buffer> {
        *self.0.copy.borrow()
    }

    /// The buffer in linear memory, made by `make` if there is none yet.
    pub(super) fn on_both_sides(
        &self,
        make: impl FnOnce(&BufferSpec) -> Result<cpu::Buffer, Error>,
    ) -> Result<cpu::Buffer, Error> {
        if let Some(known) = self.in_memory() {
            return Ok(known);
        }
        let made = make(&BufferSpec { usage: Usage::Scratch, ..self.0.spec.clone() })?;
        self.0.copy.replace(Some(made));
        Ok(made)
    }

    /// Whether linear memory has the current content.
    pub(super) fn is_current(&self) -> bool {
        self.0.current.get()
    }

    /// Records whether it does. Buffers that live in linear memory are always current.
    pub(super) fn set_current(&self, current: bool) {
        self.0.current.set(self.0.own.is_none() || current);
    }

    /// Records how many bytes are used from now on.
    pub(super) fn set_used(&self, bytes: u64) {
        // More bytes may be needed than were current.
        if bytes > self.0.used.replace(bytes) {
            self.set_current(false);
        }
    }

    /// Bytes to copy between adapter and linear memory: whole words.
    pub(super) fn bytes(&self) -> u64 {
        self.0.used.get().min(self.0.spec.bytes).next_multiple_of(4)
    }

    /// Whether both are the same buffer.
    pub(super) fn is(&self, other: &Self) -> bool {
        Rc::ptr_eq(&self.0, &other.0)
    }
}
