//! Conversions of checkpoints from other formats (`models/gguf/*.ron`).

use std::collections::BTreeMap;
use std::rc::Rc;

use serde::Deserialize;
use serde_json::{Map, Number, Value as Json};

use super::binder::{Binder, Eval, Global};
use super::blocks::BlockTable;
use super::diagnostics::{Diagnostics, Sources, nearest_hint};
use super::extend::Merged;
use super::file::{Table, Text, peek, read};
use super::library::Library;
use super::parser::expression;
use super::settings::Settings;
use super::value::Value;

/// The folder of conversions in a library.
const FOLDER: &str = "gguf/";
/// The longest chain of `extends`.
const MAX_EXTENDS: usize = 4;

/// A file of the folder.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename = "Gguf", bound(deserialize = "'de: 'a"))]
struct Form<'a> {
    #[serde(default, rename = "doc")]
    _doc: Text<'a>,
    #[serde(default)]
    extends: Option<Text<'a>>,
    #[serde(default)]
    class: Option<Text<'a>>,
    #[serde(default)]
    merges: MergeOrder,
    #[serde(default)]
    vectors: Table<'a, Text<'a>>,
    #[serde(default)]
    refuse: Vec<(Text<'a>, Text<'a>)>,
    #[serde(default)]
    config: Table<'a, Text<'a>>,
    #[serde(default)]
    unread: Vec<Text<'a>>,
    #[serde(default)]
    tensors: Table<'a, TensorForm<'a>>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename = "Tensor", bound(deserialize = "'de: 'a"))]
struct TensorForm<'a> {
    name: Text<'a>,
    #[serde(default)]
    stored: StoredForm<'a>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(bound(deserialize = "'de: 'a"))]
enum StoredForm<'a> {
    #[default]
    AsIs,
    Interleaved(Text<'a>),
    PlusOne,
}

/// The part of a file that tells whether it is for an architecture, or only for others to extend.
#[derive(Deserialize)]
#[serde(rename = "Gguf")]
struct Class {
    #[serde(default)]
    class: Option<String>,
}

/// The order of merges for vocabularies without a list of merges.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub enum MergeOrder {
    /// By descending score.
    #[default]
    Scores,
    /// By the position of the result in the vocabulary.
    Positions,
}

/// A transformation of a tensor that must be undone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stored {
    /// None.
    AsIs,
    /// In each group of rows, the rows of the first and of the second half are interleaved.
    Interleaved {
        /// The number of groups, at least 1.
        heads: u64,
    },
    /// Each value was increased by one.
    PlusOne,
}

/// A tensor, or the corresponding tensors of all layers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TensorRule {
    /// The name in the file; `{i}` stands for a number.
    pub pattern: String,
    /// The name for architectures, with the same number.
    pub name: String,
    /// The transformation of its values.
    pub stored: Stored,
}

/// The result of a conversion.
#[derive(Clone, Debug, PartialEq)]
pub struct Converted {
    /// The content of `config.json`.
    pub config: Json,
    /// The tensors, under the names that architectures read.
    pub tensors: Vec<TensorRule>,
}

/// The conversion of checkpoints of one architecture.
#[derive(Clone, Debug)]
pub struct Conversion<'a> {
    sources: Sources<'a>,
    /// The file itself, then what it extends.
    chain: Vec<Form<'a>>,
    class: &'a str,
}

impl<'a> Conversion<'a> {
    /// The architectures for which the library has conversions.
    pub fn names(library: &Library) -> Vec<&str> {
        let has_class = |text: &String| peek::<Class>(text).is_some_and(|c| c.class.is_some());
        let files = library.files.iter().filter(|(name, text)| name.starts_with(FOLDER) && has_class(text));
        files.filter_map(|(name, _)| name.strip_prefix(FOLDER)?.strip_suffix(".ron")).collect()
    }

    /// The conversion for an architecture of the format.
    ///
    /// # Errors
    /// If the library has none (the message lists those it has), or its file is invalid.
    pub fn load(library: &'a Library, architecture: &str) -> Result<Self, Diagnostics> {
        let mut sources = Sources::default();
        let mut chain: Vec<Form<'a>> = Vec::new();
        let mut next = Some(architecture.to_string());
        while let Some(name) = next {
            let found = library.files.get_key_value(&format!("{FOLDER}{name}.ron"));
            let Some((file, text)) = found.filter(|_| chain.len() < MAX_EXTENDS) else {
                return Err(unknown(library, &name));
            };
            sources.add(file, text);
            let form: Form<'a> = read(&sources, file, text).map_err(|d| Diagnostics(vec![*d]))?;
            next = form.extends.map(|t| t.0.to_string());
            chain.push(form);
        }
        match chain.first().and_then(|form| form.class) {
            Some(class) => Ok(Conversion { sources, chain, class: class.0 }),
            None => Err(unknown(library, architecture)),
        }
    }

    /// The tensors that formulas can use, by their names in formulas.
    pub fn vectors(&self) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.chain.iter().flat_map(|form| &form.vectors.0).map(|(name, tensor)| (name.0, tensor.0))
    }

    /// The order of merges.
    pub fn merge_order(&self) -> MergeOrder {
        self.chain.first().map(|form| form.merges).unwrap_or_default()
    }

    /// Whether a formula reads the metadata `key` of the architecture, or the file declares it as `unread`.
    pub fn knows(&self, key: &str) -> bool {
        let name = format!("arch.{key}");
        let mentions = |text: &str| {
            text.match_indices(&name).any(|(at, found)| {
                let behind = text[at + found.len()..].chars().next();
                !behind.is_some_and(|c| c.is_ascii_alphanumeric() || c == '_' || c == '.')
            })
        };
        let formulas =
            self.chain.iter().flat_map(|f| f.config.0.iter().map(|(_, t)| t).chain(f.refuse.iter().map(|r| &r.0)));
        formulas.into_iter().any(|t| mentions(t.0)) || self.chain.iter().any(|f| f.unread.iter().any(|t| t.0 == key))
    }

    /// Evaluates the formulas. They can use the entries of `facts`, an object, by name.
    ///
    /// # Errors
    /// A condition of `refuse` that holds, and all formulas that fail.
    pub fn apply(&self, facts: &Map<String, Json>) -> Result<Converted, Diagnostics> {
        let nothing = Json::Object(Map::new());
        let mut config = Map::new();
        let mut binder = self.binder(facts, &nothing);
        for (condition, message) in self.chain.iter().flat_map(|form| &form.refuse) {
            if binder.formula(expression(condition.0)).and_then(|e| binder.eval_bool(&e)).unwrap_or(false) {
                binder.fail(condition.0, message.0);
            }
        }
        config.insert("architectures".into(), Json::from(vec![self.class]));
        for (key, formula) in self.merged(|form| &form.config) {
            let value = binder.formula(expression(formula.0)).and_then(|e| binder.eval(&e));
            let Ok(value) = value.and_then(|v| json(&mut binder, formula.0, &v)) else { continue };
            if !value.is_null() {
                nest(&mut config, key, value);
            }
        }
        done(binder)?;
        let config = Json::Object(config);
        let mut binder = self.binder(facts, &config);
        let mut tensors = Vec::new();
        for (pattern, form) in self.merged(|form| &form.tensors) {
            // What fails is reported.
            let Ok(stored) = stored(&mut binder, &form.stored) else { continue };
            tensors.push(TensorRule { pattern: pattern.to_string(), name: form.name.0.to_string(), stored });
        }
        done(binder)?;
        Ok(Converted { config, tensors })
    }

    /// Entries of a table; a file's own go before those of what it extends.
    fn merged<'s, T>(&'s self, table: impl Fn(&'s Form<'a>) -> &'s Table<'a, T>) -> BTreeMap<&'s str, &'s T> {
        let mut all = BTreeMap::new();
        for form in self.chain.iter().rev() {
            all.extend(table(form).0.iter().map(|(name, value)| (name.0, value)));
        }
        all
    }

    fn binder<'s>(&'s self, facts: &'s Map<String, Json>, config: &'s Json) -> Binder<'s> {
        let settings = Settings { config, generation: &Json::Null, processors: &Json::Null };
        let (arch, blocks) = (Rc::new(Merged::default()), Rc::new(BlockTable::new()));
        let mut binder: Binder<'s> = Binder::new(self.sources.clone(), arch, blocks, settings, None);
        binder.globals.extend(facts.iter().map(|(name, fact)| (name.as_str(), Global::Done(Value::from_json(fact)))));
        binder
    }
}

fn unknown(library: &Library, architecture: &str) -> Diagnostics {
    let known = Conversion::names(library);
    let message = format!(
        "GGUF files of the architecture `{architecture}` are not supported; supported are {}",
        known.join(", ")
    );
    let remedy = "use the Hugging Face model directory".to_string();
    let hint = nearest_hint(architecture, known).map_or(remedy.clone(), |hint| format!("{hint} Or {remedy}"));
    Diagnostics::general(message, Some(hint))
}

fn done(binder: Binder<'_>) -> Result<(), Diagnostics> {
    if binder.diagnostics.is_empty() { Ok(()) } else { Err(Diagnostics(binder.diagnostics)) }
}

fn stored<'s>(binder: &mut Binder<'s>, form: &StoredForm<'s>) -> Eval<Stored> {
    match form {
        StoredForm::AsIs => Ok(Stored::AsIs),
        StoredForm::PlusOne => Ok(Stored::PlusOne),
        StoredForm::Interleaved(heads) => {
            let formula = binder.formula(expression(heads.0))?;
            let count = binder.eval_int(&formula)?;
            match u64::try_from(count) {
                Ok(heads) if heads > 0 => Ok(Stored::Interleaved { heads }),
                _ => Err(binder.fail(heads.0, format!("{count} is not a valid number of heads"))),
            }
        }
    }
}

/// A value as JSON.
fn json<'s>(binder: &mut Binder<'s>, at: &'s str, value: &Value<'s>) -> Eval<Json> {
    Ok(match value {
        Value::Absent => Json::Null,
        Value::Bool(truth) => Json::Bool(*truth),
        Value::Int(n) => Json::from(*n),
        Value::Float(x) => Number::from_f64(*x).map_or(Json::Null, Json::Number),
        Value::Text(text) => Json::String(text.clone()),
        Value::List(all) => Json::Array(all.iter().map(|v| json(binder, at, v)).collect::<Eval<_>>()?),
        Value::Object(map) => Json::Object((*map).clone()),
        Value::Poison | Value::Dim(_) | Value::Vector(_) | Value::Mask(_) | Value::Node(_) => {
            let what = binder.describe(value);
            return Err(binder.fail(at, format!("{what} cannot be stored in a config")));
        }
    })
}

/// Puts a value at a key whose parts are separated by dots. Files of the library do not contradict themselves; if one
/// does, the later key wins.
fn nest(objects: &mut Map<String, Json>, key: &str, value: Json) {
    match key.split_once('.') {
        None => {
            objects.insert(key.to_string(), value);
        }
        Some((first, rest)) => {
            let inner = objects.entry(first).or_insert_with(|| Json::Object(Map::new()));
            if let Some(inner) = inner.as_object_mut() {
                nest(inner, rest, value);
            }
        }
    }
}
