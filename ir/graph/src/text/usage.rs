//! Records what binding reads: entries of config.json and tensors of the checkpoint.
//!
//! An entry of config.json that an evaluated formula mentions counts as read even if the formula did not need it: the
//! right side of `??` and the other branch of an `if` show that the architecture knows the entry.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value as Json};

use super::binder::{Binder, Eval, Global};
use super::expr::{Expr, Kind};
use super::file::Text;
use super::policy::glob;
use super::reads::Reads;
use super::value::Value;
use super::weights::candidates;

/// The deepest nesting of config.json that is searched; JSON parsers stop there, too.
const MAX_NESTING: usize = 128;

/// What an architecture has read of a model directory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Entries of config.json, as paths: `rope_scaling`, `rope_scaling.factor`.
    pub config: BTreeSet<String>,
    /// Tensors that statements read.
    pub tensors: BTreeSet<String>,
    /// Tensors under another name of one that was read, and that one: `lm_head.decoder.bias` for `lm_head.bias`.
    pub spellings: BTreeMap<String, String>,
    /// Optional tensors that statements use and the checkpoint lacks, by their first name.
    pub absent: BTreeSet<String>,
    /// The `ignores` of the architecture: patterns of tensors that are left out intentionally, `*` for any text.
    pub ignores: Vec<String>,
}

impl Usage {
    /// Whether the architecture leaves a tensor out intentionally.
    pub fn ignores(&self, tensor: &str) -> bool {
        self.ignores.iter().any(|pattern| glob(pattern, tensor))
    }
}

/// Whether a text matches a pattern, in which `*` is any text.
pub fn fits_pattern(pattern: &str, text: &str) -> bool {
    glob(pattern, text)
}

impl<'a> Binder<'a> {
    /// Records that an entry of an object of config.json was read.
    pub(super) fn note_read(&mut self, object: &'a Map<String, Json>, key: &str) {
        // The key of the object lives as long as the config; an absent one needs no note.
        if let Some((key, _)) = object.get_key_value(key) {
            self.reads.insert((std::ptr::from_ref(object), key));
        }
    }

    /// Records what a formula mentions that is not evaluated.
    pub(super) fn note_mentioned(&mut self, expr: &Expr<'a>) {
        if let Kind::Member(base, field) = &expr.kind
            && let Some(object) = self.mentioned_object(base)
        {
            self.note_read(object, field);
        }
        for part in expr.parts() {
            self.note_mentioned(part);
        }
    }

    /// The object of config.json that a formula refers to, if it can be determined without evaluation.
    fn mentioned_object(&self, expr: &Expr<'a>) -> Option<&'a Map<String, Json>> {
        match &expr.kind {
            Kind::Member(base, field) => self.mentioned_object(base)?.get(*field)?.as_object(),
            Kind::Name(name) => {
                let frame = self.frames.last()?;
                let local = frame.scopes.iter().rev().find_map(|scope| scope.get(name));
                let value = match (local, self.globals.get(name)) {
                    (Some(value), _) => value,
                    (None, Some(Global::Done(value))) if !frame.block => value,
                    (None, None) if !frame.block && *name == "config" => return self.settings.config.as_object(),
                    _ => return None,
                };
                match value {
                    Value::Object(object) => Some(*object),
                    _ => None,
                }
            }
            _ => None,
        }
    }

    /// Records the tensors of the checkpoint under other names of one that is read.
    pub(super) fn note_spellings(&mut self, names: &[String], read: &str) {
        let Some(tensors) = self.tensors else { return };
        for name in names.iter().filter(|name| *name != read && tensors.contains_key(*name)) {
            self.spellings.insert(name.clone(), read.to_string());
        }
    }

    /// The patterns of `ignores`, with formulas filled in and alternatives written out.
    fn ignored(&mut self) -> Eval<Vec<String>> {
        let mut all = Vec::new();
        let arch = self.arch.clone();
        for Text(pattern) in &arch.ignores {
            let filled = self.at_top_level(false, |b| b.interpolate(pattern))?;
            all.extend(self.at(pattern, candidates(&filled))?);
        }
        Ok(all)
    }

    /// What was read, at the end of binding.
    pub(super) fn usage(&mut self) -> Usage {
        let ignores = self.ignored().unwrap_or_default();
        let mut config = BTreeSet::new();
        if let Some(object) = self.settings.config.as_object() {
            collect(object, "", &self.reads, &mut config, MAX_NESTING);
        }
        let tensors = self.builder.weights.iter().map(|weight| weight.source.clone()).collect();
        let (spellings, absent) = (std::mem::take(&mut self.spellings), std::mem::take(&mut self.absent));
        Usage { config, tensors, spellings, absent, ignores }
    }
}

/// The paths of all entries of an object that were read.
fn collect(object: &Map<String, Json>, path: &str, reads: &Reads<'_>, found: &mut BTreeSet<String>, depth: usize) {
    for (key, value) in object {
        let inner = format!("{path}{key}");
        if let (Some(nested), true) = (value.as_object(), depth > 0) {
            collect(nested, &format!("{inner}."), reads, found, depth - 1);
        }
        if reads.contains(&(std::ptr::from_ref(object), key.as_str())) {
            found.insert(inner);
        }
    }
}
