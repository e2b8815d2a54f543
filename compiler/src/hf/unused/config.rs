//! Entries of config.json that the architecture does not read.

use gristmill_graph::text::Usage;
use serde_json::{Map, Value};

use super::findings::{Findings, list};
use super::known::{ConfigEntries, Verdict};
use crate::hf::{quantized, sentence};
use crate::weights::shown;

/// Maximum length of a value in messages.
const MAX_SHOWN: usize = 80;

/// Finds entries that change what is computed, and unknown entries.
pub(super) fn check(config: &Map<String, Value>, usage: &Usage, known: &ConfigEntries, architecture: &str) -> Findings {
    let mut walk = Walk { usage, known, architecture, unknown: Vec::new(), found: Findings::default() };
    walk.object(config, "", &names(config));
    let Walk { unknown, mut found, .. } = walk;
    if !unknown.is_empty() {
        let are = if unknown.len() == 1 { "is" } else { "are" };
        let names = list(unknown.iter().map(|path| format!("`{}`", shown(path))));
        found.warnings.push(format!("config.json: {names} {are} unknown and not read by {architecture}"));
    }
    found
}

/// The names that a config has in the tables: its model type and its classes.
fn names(config: &Map<String, Value>) -> Vec<&str> {
    let classes = config.get("architectures").and_then(Value::as_array);
    let classes = classes.into_iter().flatten().filter_map(Value::as_str);
    config.get("model_type").and_then(Value::as_str).into_iter().chain(classes).collect()
}

struct Walk<'a> {
    usage: &'a Usage,
    known: &'a ConfigEntries,
    architecture: &'a str,
    unknown: Vec<String>,
    found: Findings,
}

impl Walk<'_> {
    /// Checks the entries of an object at `path`, which is empty or ends with a dot. `names` are those of the nearest
    /// enclosing config with a model type.
    fn object(&mut self, object: &Map<String, Value>, path: &str, names: &[&str]) {
        for (key, value) in object.iter().filter(|(key, value)| !value.is_null() && !is_elsewhere(key)) {
            let inner = format!("{path}{key}");
            if !self.usage.config.contains(&inner) {
                self.judge(&inner, value, names);
                continue;
            }
            // If no entry of an object was read, the object was read as a whole.
            let below = format!("{inner}.");
            let opened = self.usage.config.range(below.clone()..).next().is_some_and(|next| next.starts_with(&below));
            if let (Some(nested), true) = (value.as_object(), opened) {
                let own = self::names(nested);
                self.object(nested, &below, if own.is_empty() { names } else { &own });
            }
        }
    }

    fn judge(&mut self, path: &str, value: &Value, names: &[&str]) {
        let class = names.last().copied().unwrap_or("this model");
        match self.known.judge(names, path, value) {
            Verdict::Harmless => {}
            Verdict::Unknown => self.unknown.push(path.to_string()),
            Verdict::Computing(effect) => {
                let text: String = value.to_string().chars().take(MAX_SHOWN).collect();
                let (entry, architecture) = (format!("config.json: `{}` is {text}", shown(path)), self.architecture);
                if let Some(lacking) = &effect.lacking {
                    let tensor = lacking.find(&self.usage.absent).map(|name| shown(name));
                    self.found.warnings.extend(
                        tensor.map(|t| format!("{entry}, but the checkpoint has no `{t}`: {}", lacking.instead)),
                    );
                    return;
                }
                match &effect.wrong {
                    Some(what) => self.found.faults.push(format!(
                        "{entry}, which {architecture} does not read for {}, but then {what}",
                        shown(class)
                    )),
                    None => self.found.warnings.push(format!(
                        "{entry}, which {architecture} does not read for {}; in some models it changes the results",
                        shown(class)
                    )),
                }
            }
        }
    }
}

/// Entries that other parts of the compiler check, or that come from other files.
fn is_elsewhere(key: &str) -> bool {
    key == sentence::KEY || quantized::ENTRIES.contains(&key)
}
