//! Spare kernels: WebAssembly for those steps of a WebGPU program that an adapter may be unable to run, since they bind
//! more than every adapter lets a kernel bind. The steps stay as they are, and so do the memory and its layouts: only who
//! computes changes.

use std::collections::BTreeMap;

use gristmill_bundle::{self as bundle, Binding, extent};
use gristmill_graph::Graph;

use crate::codegen::context::{Place, Setting};
use crate::entries::{EntryPlan, Source};
use crate::error::CompileError;
use crate::profile::{Limits, Profile};
use crate::select::{Call, KernelSet, lower_again};

/// The spare kernels of a target.
pub struct Spares<'a> {
    manifest: &'a bundle::Manifest,
    /// What every adapter of the target has.
    limits: &'a Limits,
    /// Activations are not rounded, as they are not for the other steps.
    setting: Setting<'a>,
    /// The kernels so far.
    pub set: KernelSet,
}

impl<'a> Spares<'a> {
    /// None yet. `processor` is the profile that makes them, `limits` are those of the target.
    pub fn new(source: &Source<'a>, limits: &'a Limits, processor: &'a Profile) -> Self {
        let (model, precisions) = (&source.prepared.model, source.prepared.precisions.as_slice());
        let setting = Setting { model, precisions, kv: source.kv, profile: processor, spared: false };
        Spares { manifest: source.manifest, limits, setting, set: KernelSet::default() }
    }

    /// Gives spares to the steps of an entry that need them. `calls` are what the steps were made of.
    ///
    /// # Errors
    /// If a step cannot be computed by the processor, or differently only, which is a mistake of this compiler.
    pub fn add(
        &mut self,
        plan: &EntryPlan,
        graph: &Graph,
        calls: &[Call],
        program: &mut bundle::Program,
    ) -> Result<(), CompileError> {
        let beyond = self.beyond(&plan.name, calls, program)?;
        if beyond.is_empty() {
            return Ok(());
        }
        let cut = (self.limits.storage_buffers, beyond.as_slice());
        let again = lower_again(&self.setting, graph, &plan.outputs, &mut self.set, cut)?;
        for (at, spare) in beyond.into_iter().zip(again) {
            let step = &mut program.steps[at];
            let own: BTreeMap<Place, Binding> = calls[at].places.iter().copied().zip(step.bind.clone()).collect();
            let bind = spare.places.iter().map(|p| own.get(p).copied()).collect::<Option<_>>();
            let bind = bind.filter(|_| spare.nodes == step.nodes).ok_or_else(|| {
                CompileError::Internal(format!("the spare kernel of {} sees other memory", step.nodes))
            })?;
            step.spare = Some(bundle::Spare { kernel: spare.kernel as u32, grid: bundle::Size(spare.grid), bind });
        }
        Ok(())
    }

    /// The steps that exceed what every adapter has, in an ordinary call.
    fn beyond(&self, entry: &str, calls: &[Call], program: &bundle::Program) -> Result<Vec<usize>, CompileError> {
        let entry = self.manifest.entry(entry).ok_or_else(|| CompileError::Internal(format!("no entry {entry}")))?;
        let symbols = extent::ordinary(self.manifest, entry, self.manifest.model.max_context);
        let mut large: BTreeMap<Binding, bool> = BTreeMap::new();
        let mut beyond = Vec::new();
        for (at, step) in program.steps.iter().enumerate() {
            let mut needs = calls[at].places.len() > self.limits.storage_buffers as usize;
            for binding in &step.bind {
                if !large.contains_key(binding) {
                    let bytes = extent::bytes(self.manifest, (entry, program), *binding, &symbols);
                    let bytes = bytes.map_err(|e| CompileError::Internal(e.to_string()))?;
                    large.insert(*binding, bytes > self.limits.binding_bytes);
                }
                needs |= large[binding];
            }
            if needs {
                beyond.push(at);
            }
        }
        Ok(beyond)
    }
}
