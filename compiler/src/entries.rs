//! What is compiled for every target: the entries of a bundle and the data they share.

use gristmill_bundle as bundle;
use gristmill_graph::Model;

use crate::options::KvPrecision;
use crate::prepare::Prepared;

/// An entry to compile: a declared one, or its variant that also returns intermediate values (taps).
#[derive(Clone, Debug)]
pub struct EntryPlan {
    /// Its name in the bundle (`forward`, `forward.taps`).
    pub name: String,
    /// Its index in [`Model::entries`].
    pub entry: usize,
    /// Whether taps are outputs as well.
    pub taps: bool,
    /// Names of its outputs, in order.
    pub outputs: Vec<String>,
}

/// Suffix of entries that also return intermediate values.
pub const TAPS_SUFFIX: &str = ".taps";

/// The entries of a bundle: those of the model, and a variant with taps of each that is called with tensors.
pub fn entry_plans(model: &Model) -> Vec<EntryPlan> {
    let mut plans = Vec::new();
    for (index, entry) in model.entries.iter().enumerate() {
        let known = |names: &[String]| {
            names.iter().filter(|n| model.graph.outputs.contains_key(*n)).cloned().collect::<Vec<_>>()
        };
        plans.push(EntryPlan { name: entry.name.clone(), entry: index, taps: false, outputs: known(&entry.outputs) });
        if entry.role == gristmill_graph::EntryRole::Tensors && !model.taps.is_empty() {
            let mut outputs = known(&entry.outputs);
            outputs.extend(known(&model.taps).into_iter().filter(|t| !entry.outputs.contains(t)));
            plans.push(EntryPlan { name: format!("{}{TAPS_SUFFIX}", entry.name), entry: index, taps: true, outputs });
        }
    }
    plans
}

/// The input to the code generator, which is the same for all targets.
pub struct Source<'a> {
    /// The model, and how its weights are stored.
    pub prepared: &'a Prepared,
    /// How states are stored.
    pub kv: KvPrecision,
    /// The entries of the bundle.
    pub entries: &'a [EntryPlan],
    /// The manifest, with the bundle's symbols, states and entries.
    pub manifest: &'a bundle::Manifest,
}
