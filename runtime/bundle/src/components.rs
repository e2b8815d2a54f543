//! Components: the tensors, shards and bytes of the weight stream that belong to each.

use std::collections::BTreeSet;
use std::ops::Range;

use crate::manifest::{Component, Entry, Manifest};

/// The largest number of components.
const MAX_COMPONENTS: usize = 1000;
/// The longest name of a component, in bytes.
const MAX_NAME: usize = 100;

/// The tensors, shards and bytes of a component.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Span {
    /// Indices in [`Manifest::tensors`].
    pub tensors: Range<usize>,
    /// Indices in [`Manifest::shards`].
    pub shards: Range<usize>,
    /// Bytes of the weight stream.
    pub bytes: Range<u64>,
}

impl Manifest {
    /// The tensors, shards and bytes of each component, in order.
    pub fn component_spans(&self) -> Vec<Span> {
        let (mut tensor, mut shard, mut byte) = (0usize, 0usize, 0u64);
        let span = |c: &Component| {
            let tensors = tensor..tensor.saturating_add(c.tensors as usize);
            let shards = shard..shard.saturating_add(c.shards as usize);
            let own = self.shards.iter().take(shards.end).skip(shards.start);
            let bytes = byte..own.map(|s| s.bytes).fold(byte, u64::saturating_add);
            (tensor, shard, byte) = (tensors.end, shards.end, bytes.end);
            Span { tensors, shards, bytes }
        };
        self.components.iter().map(span).collect()
    }

    /// For each tensor whether it belongs to a component of `entry`. The manifest must be valid.
    pub(crate) fn tensors_of(&self, entry: &Entry) -> Vec<bool> {
        let mut own = vec![false; self.tensors.len()];
        let spans = self.component_spans();
        for span in entry.components.iter().filter_map(|c| spans.get(*c as usize)) {
            own[span.tensors.clone()].fill(true);
        }
        own
    }

    /// Where and why components are not valid; nothing if they are. Tensors, shards and entries must be valid.
    pub(crate) fn component_fault(&self) -> Option<(String, String)> {
        let all = "components".to_string();
        if self.components.len() > MAX_COMPONENTS {
            return Some((
                all,
                format!("{} components; at most {MAX_COMPONENTS} are supported", self.components.len()),
            ));
        }
        let mut seen = BTreeSet::new();
        let mut wrong = |name: &'_ str| name.is_empty() || name.len() > MAX_NAME || !seen.insert(name.to_string());
        if let Some(c) = self.components.iter().find(|c| wrong(&c.name)) {
            return Some((all, format!("the name `{:.100}` is empty, too long or not unique", c.name)));
        }
        let spans = self.component_spans();
        let (tensors, shards) = spans.last().map_or((0, 0), |s| (s.tensors.end, s.shards.end));
        if (tensors, shards) != (self.tensors.len(), self.shards.len()) {
            let (found, files) = (self.tensors.len(), self.shards.len());
            return Some((all, format!("have {tensors} tensors and {shards} shards of {found} and {files}")));
        }
        for (component, span) in self.components.iter().zip(&spans) {
            let outside = self.tensors[span.tensors.clone()]
                .iter()
                .find(|t| t.offset < span.bytes.start || t.offset.saturating_add(t.bytes) > span.bytes.end);
            if let Some(t) = outside {
                let fault = format!("tensor `{:.100}` is not in its shards", t.name);
                return Some((format!("component `{}`", component.name), fault));
            }
        }
        self.entries.iter().find_map(|entry| {
            let known = entry.components.iter().all(|c| (*c as usize) < self.components.len());
            let fits = known && entry.components.is_sorted_by(|a, b| a < b);
            let fault = || "names components that do not exist, or not in order".to_string();
            (!fits).then(|| (format!("entry `{}`", entry.name), fault()))
        })
    }
}
