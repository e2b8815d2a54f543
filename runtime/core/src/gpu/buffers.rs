//! The buffers that kernels bind. They are kept between calls, and grow when a call needs more.

use gristmill_bundle::Binding;

use super::device::{BufferSpec, Gpu, Usage};
use crate::error::Error;

/// A buffer that may not exist yet.
#[derive(Clone, Debug)]
struct Growing<B> {
    buffer: Option<B>,
    /// The requested size in bytes.
    size: u64,
}

impl<B> Growing<B> {
    fn several(count: usize) -> Vec<Self> {
        (0..count).map(|_| Growing { buffer: None, size: 0 }).collect()
    }
}

/// A buffer that is needed.
#[derive(Debug)]
pub(crate) struct Need {
    pub(crate) binding: Binding,
    /// Its name in errors.
    pub(crate) what: String,
    /// Bytes needed now.
    pub(crate) bytes: u64,
    /// Bytes that later calls will need: allocated if the device can.
    pub(crate) foreseen: u64,
    /// The remedy if it is too large; `None` if fallback kernels can bind it.
    pub(crate) remedy: Option<&'static str>,
}

/// The buffers of a bundle on a device.
#[derive(Debug)]
pub(crate) struct Buffers<B> {
    weights: Vec<B>,
    states: Vec<Growing<B>>,
    /// Shared by all entries, as their calls follow one another.
    slots: Vec<Growing<B>>,
    /// By index in the manifest, shared by all entries.
    inputs: Vec<Growing<B>>,
    /// By entry.
    outputs: Vec<Vec<Growing<B>>>,
    /// The epoch, which counts replacements. Bind groups of another epoch are stale.
    epoch: u64,
}

impl<B: Clone> Buffers<B> {
    /// Nothing exists yet. `outputs` is the number of outputs of each entry.
    pub(crate) fn new(states: usize, slots: usize, inputs: usize, outputs: impl Iterator<Item = usize>) -> Self {
        Buffers {
            weights: Vec::new(),
            states: Growing::several(states),
            slots: Growing::several(slots),
            inputs: Growing::several(inputs),
            outputs: outputs.map(Growing::several).collect(),
            epoch: 0,
        }
    }

    /// One buffer per tensor.
    pub(crate) fn set_weights(&mut self, weights: Vec<B>) {
        self.weights = weights;
        self.epoch += 1;
    }

    /// The epoch of the buffers.
    pub(crate) fn epoch(&self) -> u64 {
        self.epoch
    }

    /// A buffer as a step of `entry` binds it, if it exists.
    pub(crate) fn get(&self, entry: usize, binding: Binding) -> Option<&B> {
        match binding {
            Binding::Tensor(i) => self.weights.get(i as usize),
            _ => self.growing(entry, binding)?.buffer.as_ref(),
        }
    }

    /// Whether a buffer exists, has `bytes`, and is where kernels can bind that many.
    pub(crate) fn holds<G: Gpu<Buffer = B>>(&self, gpu: &G, entry: usize, binding: Binding, bytes: u64) -> bool {
        let large = bytes > gpu.info().limits.largest_binding();
        self.growing(entry, binding).is_some_and(|g| {
            g.buffer.as_ref().is_some_and(|buffer| large || !gpu.is_offloaded(buffer)) && bytes <= g.size
        })
    }

    /// Replaces buffers by zero-filled ones. The old ones are freed first, so that both need not fit at once.
    pub(crate) async fn replace<G: Gpu<Buffer = B>>(
        &mut self,
        gpu: &G,
        entry: usize,
        needs: &[Need],
    ) -> Result<(), Error> {
        if needs.is_empty() {
            return Ok(());
        }
        self.epoch += 1;
        let most = gpu.info().limits.largest_binding();
        let mut specs = Vec::with_capacity(needs.len());
        for need in needs {
            if let Some(remedy) = need.remedy {
                gpu.info().check_storage(&need.what, need.bytes, remedy)?;
            }
            let usage = if matches!(need.binding, Binding::State(_)) { Usage::State } else { Usage::Scratch };
            specs.push(BufferSpec::new(&need.what, need.bytes.max(need.foreseen.min(most)), usage));
            if let Some(growing) = self.growing_mut(entry, need.binding) {
                growing.size = 0;
                growing.buffer.take().iter().for_each(|old| gpu.destroy(old));
            }
        }
        let made = gpu.create(&specs).await?;
        for ((need, spec), buffer) in needs.iter().zip(&specs).zip(made) {
            if let Some(growing) = self.growing_mut(entry, need.binding) {
                *growing = Growing { buffer: Some(buffer), size: spec.bytes };
            }
        }
        Ok(())
    }

    fn growing(&self, entry: usize, binding: Binding) -> Option<&Growing<B>> {
        match binding {
            Binding::Tensor(_) => None,
            Binding::State(i) => self.states.get(i as usize),
            Binding::Slot(i) => self.slots.get(i as usize),
            Binding::Input(i) => self.inputs.get(i as usize),
            Binding::Output(i) => self.outputs.get(entry)?.get(i as usize),
        }
    }

    fn growing_mut(&mut self, entry: usize, binding: Binding) -> Option<&mut Growing<B>> {
        match binding {
            Binding::Tensor(_) => None,
            Binding::State(i) => self.states.get_mut(i as usize),
            Binding::Slot(i) => self.slots.get_mut(i as usize),
            Binding::Input(i) => self.inputs.get_mut(i as usize),
            Binding::Output(i) => self.outputs.get_mut(entry)?.get_mut(i as usize),
        }
    }
}
