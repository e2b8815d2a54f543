//! `inspect --rewrites`: which rules applied for a target, what they saved, and which alternatives the results beat.

use std::collections::BTreeMap;
use std::fmt::Write;

use gristmill_bundle::Bundle;
use gristmill_compiler::compile::REWRITES_FILE;
use gristmill_compiler::rewrite::RewriteReport;
use serde_json::json;

use super::view::View;
use crate::failure::{Failure, Outcome};

/// By target, then by entry.
type Reports = BTreeMap<String, BTreeMap<String, RewriteReport>>;

/// The rewrite reports in the bundle.
pub(super) fn view(bundle: &Bundle, target: &str) -> Outcome<View> {
    let text = bundle.read_text(REWRITES_FILE)?;
    let mut all: Reports = serde_json::from_str(&text)
        .map_err(|e| Failure::wrong(format!("{REWRITES_FILE}: {e}; compile the model again")))?;
    let reports = all.remove(target).unwrap_or_default();
    // Entries often have equal reports, such as an entry and its variant with taps.
    let mut groups: Vec<(Vec<&str>, String)> = Vec::new();
    for (entry, report) in &reports {
        let text = report.to_string();
        match groups.iter_mut().find(|(_, t)| *t == text) {
            Some((entries, _)) => entries.push(entry),
            None => groups.push((vec![entry], text)),
        }
    }
    let mut text = format!("Rewrites for {target}\n");
    for (entries, report) in groups {
        let _ = write!(text, "\nentry {}\n{}\n", entries.join(", "), report.trim_end());
    }
    Ok(View { text, json: json!({ "target": target, "entries": reports }) })
}
