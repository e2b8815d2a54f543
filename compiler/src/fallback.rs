//! Fallback kernels: WebAssembly for the steps of a WebGPU program that bind more than some adapters allow. The steps,
//! their memory and its layouts stay the same; only the device that computes them changes.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use gristmill_bundle::{self as bundle, Binding, extent};
use gristmill_graph::Graph;

use crate::codegen::context::{Place, Setting};
use crate::entries::EntryPlan;
use crate::error::CompileError;
use crate::profile::Profile;
use crate::select::{Call, KernelSet, Step, lower_again};

/// The fallback kernels of a target.
pub struct Fallbacks<'a> {
    manifest: &'a bundle::Manifest,
    /// The setting that the steps were compiled with.
    own: &'a Setting<'a>,
    /// The setting for CPUs. Activations are not quantized, as they are not for the other steps.
    setting: Setting<'a>,
    /// The kernels so far.
    pub set: KernelSet,
}

impl<'a> Fallbacks<'a> {
    /// No kernels yet. `own` is the setting of the target, `cpu` the profile to build fallbacks with.
    pub fn new(manifest: &'a bundle::Manifest, own: &'a Setting<'a>, cpu: &'a Profile) -> Self {
        let setting = Setting { profile: cpu, has_fallback: false, ..*own };
        Fallbacks { manifest, own, setting, set: KernelSet::default() }
    }

    /// Adds fallbacks to the steps of an entry that need them. `steps` are the steps that the program was made from.
    ///
    /// # Errors
    /// An internal error if the CPU cannot compute a step, or only in a different way.
    pub fn add(
        &mut self,
        plan: &EntryPlan,
        graph: &Graph,
        steps: &[Step],
        program: &mut bundle::Program,
    ) -> Result<(), CompileError> {
        let beyond = self.beyond(&plan.name, program)?;
        if beyond.is_empty() {
            return Ok(());
        }
        let again = lower_again(self.own, &self.setting, graph, &plan.outputs, &mut self.set, &beyond)?;
        for (at, other) in beyond.into_iter().zip(again) {
            let step = &mut program.steps[at];
            let places = steps[at].calls.iter().flat_map(|c| c.places.iter().copied());
            let own: BTreeMap<Place, Binding> =
                places.zip(step.dispatches.iter().flat_map(|d| d.bind.iter().copied())).collect();
            let dispatch = |call: &Call| {
                // Scratch memory between the kernels of a plan is private to the plan; the fallback has none.
                let bind = |p: &Place| own.get(p).copied().filter(|_| !matches!(p, Place::Scratch(_)));
                let bind = call.places.iter().map(bind).collect::<Option<Vec<Binding>>>()?;
                Some(bundle::Dispatch { kernel: call.kernel as u32, grid: call.grid.clone(), bind })
            };
            let dispatches = other.calls.iter().map(dispatch).collect::<Option<Vec<_>>>();
            let dispatches = dispatches
                .filter(|_| other.nodes == step.nodes)
                .ok_or_else(|| CompileError::Internal(format!("the fallback of {} sees other memory", step.nodes)))?;
            step.fallback = dispatches;
        }
        Ok(())
    }

    /// The indices of steps that exceed the limits of some adapters in a typical call.
    fn beyond(&self, entry: &str, program: &bundle::Program) -> Result<Vec<usize>, CompileError> {
        let limits = &self.own.profile.limits;
        let entry = self.manifest.entry(entry).ok_or_else(|| CompileError::Internal(format!("no entry {entry}")))?;
        let symbols = extent::ordinary(self.manifest, entry, self.manifest.model.max_context);
        let mut large: BTreeMap<Binding, bool> = BTreeMap::new();
        let mut beyond = Vec::new();
        for (at, step) in program.steps.iter().enumerate() {
            let mut needs = step.dispatches.iter().any(|d| d.bind.len() > limits.storage_buffers as usize);
            for binding in step.bound() {
                needs |= match large.entry(binding) {
                    Entry::Occupied(known) => *known.get(),
                    Entry::Vacant(unknown) => {
                        let bytes = extent::bytes(self.manifest, (entry, program), binding, &symbols);
                        let bytes = bytes.map_err(|e| CompileError::Internal(e.to_string()))?;
                        *unknown.insert(bytes > limits.binding_bytes)
                    }
                };
            }
            if needs {
                beyond.push(at);
            }
        }
        Ok(beyond)
    }
}
