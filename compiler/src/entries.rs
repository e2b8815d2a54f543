//! What is compiled for every target: the entries of a bundle, and what they share.

use gristmill_bundle as bundle;
use gristmill_graph::Model;

use crate::options::KvPrecision;
use crate::prepare::Prepared;

/// An entry as it is compiled: the declared one, or its variant that also returns intermediate values.
#[derive(Clone, Debug)]
pub struct EntryPlan {
    /// Name in the bundle (`forward`, `forward.taps`).
    pub name: String,
    /// Position in [`Model::entries`].
    pub entry: usize,
    /// Whether taps are outputs, too.
    pub taps: bool,
    /// Names of the outputs, in order.
    pub outputs: Vec<String>,
}

/// Suffix of the entries that return intermediate values.
pub const TAPS_SUFFIX: &str = ".taps";

/// The entries of a bundle: those of the model, and for each that is called with tensors one with taps.
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

/// What is compiled, whatever the target.
pub struct Source<'a> {
    /// The model, and how its weights are stored.
    pub prepared: &'a Prepared,
    /// How states are stored.
    pub kv: KvPrecision,
    /// The entries of the bundle.
    pub entries: &'a [EntryPlan],
    /// What the bundle says of its symbols, states and entries.
    pub manifest: &'a bundle::Manifest,
}
