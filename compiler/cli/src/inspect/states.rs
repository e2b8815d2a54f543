//! The states of a bundle, by kind.

use gristmill_bundle::{Ring, StateKind};
use serde_json::{Value, json};

use crate::output::{Align, Table, bytes};

/// States of one kind.
pub(super) struct Kinds {
    kind: StateKind,
    count: usize,
    bytes: u64,
}

/// Counts a state.
pub(super) fn add(all: &mut Vec<Kinds>, kind: StateKind, bytes: u64) {
    // The axis along which they grow makes no difference.
    let kind = match kind {
        StateKind::Appended { ring, .. } => StateKind::Appended { axis: 0, ring },
        StateKind::Overwritten | StateKind::Kept => kind,
    };
    match all.iter_mut().find(|k| k.kind == kind) {
        Some(known) => (known.count, known.bytes) = (known.count + 1, known.bytes + bytes),
        None => all.push(Kinds { kind, count: 1, bytes }),
    }
}

fn describe(kind: StateKind) -> String {
    match kind {
        StateKind::Appended { ring: None, .. } => "grow with every token".to_string(),
        StateKind::Appended { ring: Some(Ring { window, rows }), .. } => {
            format!("rings of {rows} tokens, of which each token sees the last {window}")
        }
        StateKind::Overwritten => "overwritten in every call".to_string(),
        StateKind::Kept => "kept from the encoder".to_string(),
    }
}

/// A table followed by an empty line; empty if there are no states.
pub(super) fn table(all: &[Kinds]) -> String {
    if all.is_empty() {
        return String::new();
    }
    let mut table = Table::new(&[("states", Align::Left), ("number", Align::Right), ("bytes", Align::Right)]);
    for k in all {
        table.row([describe(k.kind), k.count.to_string(), bytes(k.bytes)]);
    }
    format!("{}\n", table.render(0))
}

/// The same as JSON.
pub(super) fn json(all: &[Kinds]) -> Value {
    let ring = |kind| match kind {
        StateKind::Appended { ring: Some(ring), .. } => json!(ring),
        _ => Value::Null,
    };
    let name = |kind| match kind {
        StateKind::Appended { .. } => "appended",
        StateKind::Overwritten => "overwritten",
        StateKind::Kept => "kept",
    };
    all.iter()
        .map(|k| json!({ "kind": name(k.kind), "ring": ring(k.kind), "number": k.count, "bytes": k.bytes }))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_counted() {
        let ring = Some(Ring { window: 7, rows: 134 });
        let mut all = Vec::new();
        for (kind, bytes) in [
            (StateKind::Appended { axis: 2, ring }, 1024),
            (StateKind::Appended { axis: 2, ring: None }, 4096),
            (StateKind::Appended { axis: 1, ring }, 1024),
            (StateKind::Overwritten, 12),
        ] {
            add(&mut all, kind, bytes);
        }
        let text = table(&all);
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines[1].starts_with("rings of 134 tokens, of which each token sees the last 7"), "{text}");
        assert!(lines[1].ends_with("2  2.0 KiB") && lines.len() == 5, "{text}");
        assert_eq!(json(&all)[0], json!({ "kind": "appended", "ring": ring, "number": 2, "bytes": 2048 }));
        assert_eq!(table(&[]), "");
    }
}
