//! `inspect --weights`: each weight, and totals by precision.

use std::collections::BTreeMap;

use gristmill_bundle::Manifest;
use gristmill_graph::Precision;
use serde_json::{Value, json};

use super::view::View;
use crate::failure::{Failure, Outcome};
use crate::output::{Align, Table, bytes, count};

/// Totals of the weights of one precision.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Sum {
    tensors: u64,
    weights: u64,
    payload_bits: u64,
    stored_bytes: u64,
}

impl Sum {
    fn add(&mut self, other: Sum) {
        self.tensors += other.tensors;
        self.weights += other.weights;
        self.payload_bits += other.payload_bits;
        self.stored_bytes += other.stored_bytes;
    }

    /// Bits per weight, codes only.
    pub(super) fn payload(&self) -> f64 {
        self.payload_bits as f64 / self.weights.max(1) as f64
    }

    /// Bits per weight, including scales and padding.
    pub(super) fn stored(&self) -> f64 {
        self.stored_bytes as f64 * 8.0 / self.weights.max(1) as f64
    }

    fn json(&self) -> Value {
        json!({
            "tensors": self.tensors,
            "weights": self.weights,
            "payload_bits_per_weight": self.payload(),
            "stored_bits_per_weight": self.stored(),
            "bytes": self.stored_bytes,
        })
    }
}

/// Totals by precision, and overall.
pub(super) fn sums(manifest: &Manifest) -> Outcome<(BTreeMap<String, Sum>, Sum)> {
    let mut by_precision: BTreeMap<String, Sum> = BTreeMap::new();
    let mut total = Sum::default();
    for t in &manifest.tensors {
        let precision: Precision =
            t.precision.parse().map_err(|e| Failure::wrong(format!("manifest.json: tensor `{}`: {e}", t.name)))?;
        let weights = t.shape.iter().product();
        let one = Sum {
            tensors: 1,
            weights,
            payload_bits: weights * u64::from(precision.payload_bits()),
            stored_bytes: t.bytes,
        };
        by_precision.entry(t.precision.clone()).or_default().add(one);
        total.add(one);
    }
    // The overall total includes padding between tensors.
    total.stored_bytes = manifest.shards.iter().map(|s| s.bytes).sum();
    Ok((by_precision, total))
}

/// The totals as a table.
pub(super) fn table(by_precision: &BTreeMap<String, Sum>, total: &Sum) -> String {
    let mut table = Table::new(&[
        ("precision", Align::Left),
        ("tensors", Align::Right),
        ("weights", Align::Right),
        ("payload bits", Align::Right),
        ("stored bits", Align::Right),
        ("bytes", Align::Right),
    ]);
    let all = ("total".to_string(), *total);
    for (name, s) in by_precision.iter().map(|(k, v)| (k.clone(), *v)).chain([all]) {
        table.row([
            name,
            count(s.tensors),
            count(s.weights),
            format!("{:.2}", s.payload()),
            format!("{:.2}", s.stored()),
            bytes(s.stored_bytes),
        ]);
    }
    table.render(2)
}

/// The totals as JSON.
pub(super) fn sums_json(by_precision: &BTreeMap<String, Sum>, total: &Sum) -> Value {
    let by: BTreeMap<&str, Value> = by_precision.iter().map(|(k, v)| (k.as_str(), v.json())).collect();
    json!({ "by_precision": by, "total": total.json() })
}

/// All weights in the order of the stream, then the totals.
pub(super) fn view(manifest: &Manifest) -> Outcome<View> {
    let (by_precision, total) = sums(manifest)?;
    let mut list = Table::new(&[
        ("weight", Align::Left),
        ("shape", Align::Left),
        ("precision", Align::Left),
        ("stored bits", Align::Right),
        ("bytes", Align::Right),
        ("offset", Align::Right),
    ]);
    let mut items = Vec::new();
    for t in &manifest.tensors {
        let weights: u64 = t.shape.iter().product();
        let stored = t.bytes as f64 * 8.0 / weights.max(1) as f64;
        list.row([
            t.name.clone(),
            format!("{:?}", t.shape),
            t.precision.clone(),
            format!("{stored:.2}"),
            count(t.bytes),
            count(t.offset),
        ]);
        items.push(json!({
            "name": t.name, "shape": t.shape, "precision": t.precision,
            "stored_bits_per_weight": stored, "bytes": t.bytes, "offset": t.offset,
        }));
    }
    let text = format!("{}\n{}", list.render(0), table(&by_precision, &total));
    Ok(View { text, json: json!({ "weights": items, "sums": sums_json(&by_precision, &total) }) })
}
