//! The meaning of the tokens of a CTC model: `vocab.json` and its settings, as `Wav2Vec2CTCTokenizer.batch_decode` of
//! transformers reads them, or a `tokenizer.json` with a CTC decoder.

use serde::Deserialize;
use serde_json::{Map, Value};

use super::files::Files;
use crate::error::CompileError;
use crate::weights::files::listed;

const VOCABULARY: &str = "vocab.json";
const TOKENIZER: &str = "tokenizer.json";
const SETTINGS: &str = "tokenizer_config.json";
const SPECIAL: &str = "special_tokens_map.json";
const ADDED: &str = "added_tokens.json";
/// Maximum number of tokens.
const MAX_TOKENS: u64 = 1 << 16;
/// The file of the library that lists tokenizer classes.
const TABLE: &str = "tokenizers/ctc.ron";

/// A folder with a language model that rescores the beams of the acoustic model.
const LANGUAGE_MODEL: &str = "language_model";

/// How the tokenizer classes decode.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename = "Ctc")]
struct Classes {
    /// For readers of the file.
    #[serde(rename = "doc")]
    _doc: String,
    /// Classes that decode with `vocab.json`.
    vocabulary: Vec<String>,
    /// Classes that decode with `tokenizer.json`.
    fast: Vec<String>,
}

impl Classes {
    fn read() -> Result<Self, CompileError> {
        let library = crate::library::library();
        let text = library.files.get(TABLE).map(String::as_str).unwrap_or_default();
        ron::from_str(text).map_err(|e| CompileError::Internal(format!("{TABLE}: {e}")))
    }
}

/// How tokens become text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ctc {
    /// The text of each token.
    pub letters: Vec<String>,
    /// The blank token, if the vocabulary has one.
    pub blank: Option<u32>,
    /// Whether spaces before punctuation are removed at the end.
    pub clean_up: bool,
}

/// Reads the CTC settings of a model directory. `read` returns its JSON files by name, `settings` is
/// `tokenizer_config.json`, and `size` is the number of tokens of the model. `None` if there is no vocabulary.
///
/// # Errors
/// If a file cannot be read, is malformed, or asks for something that is not supported.
pub fn ctc(
    read: &dyn Fn(&str) -> Result<Option<Value>, CompileError>,
    settings: &Value,
    size: usize,
) -> Result<Option<Ctc>, CompileError> {
    let class = settings["tokenizer_class"].as_str();
    let classes = Classes::read()?;
    let one_of = |names: &[String]| class.is_some_and(|class| names.iter().any(|name| name == class));
    if !one_of(&classes.fast)
        && let Some(vocabulary) = read(VOCABULARY)?
    {
        if let (Some(other), false) = (class, one_of(&classes.vocabulary)) {
            return Err(fault(
                SETTINGS,
                &format!(
                    "`tokenizer_class` is \"{other}\", which is not supported for a model with a CTC head; supported are \
                     {} and a {TOKENIZER} with a CTC decoder",
                    classes.vocabulary.join(", ")
                ),
            ));
        }
        return Reader { read, settings, size }.slow(&vocabulary).map(Some);
    }
    read(TOKENIZER)?.map(|file| fast(&file, settings, size)).transpose()
}

/// Warnings about files beside the vocabulary that have no effect.
///
/// # Errors
/// If the directory cannot be read.
pub(super) fn unused(files: &Files) -> Result<Vec<String>, CompileError> {
    let found = !files.list(LANGUAGE_MODEL)?.is_empty();
    let text =
        format!("{LANGUAGE_MODEL}/: the language model is not used; transcripts come from the acoustic model alone");
    Ok(found.then_some(text).into_iter().collect())
}

fn fault(file: &str, what: &str) -> CompileError {
    CompileError::Config(format!("{file}: {what}"))
}

/// Tokens by id.
#[derive(Default)]
struct Tokens(Vec<Option<String>>);

impl Tokens {
    fn insert(&mut self, file: &str, token: &str, id: &Value) -> Result<(), CompileError> {
        let id = id.as_u64().filter(|id| *id < MAX_TOKENS);
        let id = id.ok_or_else(|| fault(file, &format!("token {token:?}: expected an id below {MAX_TOKENS}")))?;
        let id = id as usize;
        if self.0.len() <= id {
            self.0.resize(id + 1, None);
        }
        self.0[id].get_or_insert_with(|| token.to_string());
        Ok(())
    }

    fn extend(&mut self, file: &str, all: &Map<String, Value>) -> Result<(), CompileError> {
        all.iter().try_for_each(|(token, id)| self.insert(file, token, id))
    }

    fn id(&self, token: &str) -> Option<usize> {
        self.0.iter().position(|known| known.as_deref() == Some(token))
    }
}

struct Reader<'a> {
    read: &'a dyn Fn(&str) -> Result<Option<Value>, CompileError>,
    settings: &'a Value,
    size: usize,
}

impl Reader<'_> {
    fn slow(&self, vocabulary: &Value) -> Result<Ctc, CompileError> {
        let mut tokens = Tokens::default();
        tokens.extend(VOCABULARY, self.own(vocabulary)?)?;
        // If a file lists added tokens with their ids, the other files are not read.
        let mut special = Value::Null;
        match self.settings["added_tokens_decoder"].as_object() {
            Some(added) => {
                for (id, token) in added {
                    let number = id.parse::<u64>().map_or(Value::Null, Value::from);
                    tokens.insert(SETTINGS, word(token).unwrap_or_default(), &number)?;
                }
            }
            None => {
                special = (self.read)(SPECIAL)?.unwrap_or(Value::Null);
                if let Some(Value::Object(added)) = (self.read)(ADDED)? {
                    tokens.extend(ADDED, &added)?;
                }
            }
        }
        let setting = |key: &str, default: &str| match special.get(key).or_else(|| self.settings.get(key)) {
            None => Ok(Some(default.to_string())),
            Some(Value::Null) => Ok(None),
            Some(value) => word(value)
                .map(|word| Some(word.to_string()))
                .ok_or_else(|| fault(SETTINGS, &format!("`{key}` is {value}, expected a token"))),
        };
        let (pad, unknown) = (setting("pad_token", "<pad>")?, setting("unk_token", "<unk>")?);
        let blank = pad.as_deref().and_then(|pad| tokens.id(pad)).map(|id| id as u32);
        // Special tokens without an id get the next free one, counted by the number of tokens.
        let mut next = tokens.0.iter().flatten().count();
        for token in [setting("bos_token", "<s>")?, setting("eos_token", "</s>")?, unknown.clone(), pad.clone()] {
            if let Some(token) = token.filter(|token| tokens.id(token).is_none()) {
                tokens.insert(SETTINGS, &token, &next.into())?;
                next += 1;
            }
        }
        let delimiter = setting("word_delimiter_token", "|")?;
        let space = setting("replace_word_delimiter_char", " ")?.unwrap_or_default();
        let lower = flag(self.settings, "do_lower_case")?;
        // A token of the vocabulary that is not used stands beside those that the model has.
        let known = self.size.min(MAX_TOKENS as usize).max(tokens.0.len());
        let letter = |id: usize| {
            let token = tokens.0.get(id).cloned().flatten().or_else(|| unknown.clone());
            match token {
                Some(token) if Some(&token) == pad.as_ref() => String::new(),
                Some(token) if Some(&token) == delimiter.as_ref() => space.clone(),
                Some(token) => token,
                None => String::new(),
            }
        };
        let letters = (0..known).map(letter).map(|l| if lower { l.to_lowercase() } else { l }).collect();
        Ok(Ctc { letters, blank, clean_up: flag(self.settings, "clean_up_tokenization_spaces")? })
    }

    /// The vocabulary itself, or that of `target_lang` if there is one per language.
    fn own<'v>(&self, vocabulary: &'v Value) -> Result<&'v Map<String, Value>, CompileError> {
        let all =
            vocabulary.as_object().ok_or_else(|| fault(VOCABULARY, "expected an object that maps tokens to ids"))?;
        let languages = || {
            let names: Vec<&str> = all.iter().filter(|(_, v)| v.is_object()).map(|(name, _)| name.as_str()).collect();
            listed(&names)
        };
        match &self.settings["target_lang"] {
            Value::Null if all.values().any(Value::is_object) => Err(fault(
                VOCABULARY,
                &format!(
                    "has a vocabulary per language, but {SETTINGS} has no `target_lang`; set it to one of {}",
                    languages()
                ),
            )),
            Value::Null => Ok(all),
            Value::String(name) => all.get(name).and_then(Value::as_object).ok_or_else(|| {
                fault(
                    SETTINGS,
                    &format!(
                        "`target_lang` is \"{name}\", and {VOCABULARY} has no vocabulary of that name; it has {}",
                        languages()
                    ),
                )
            }),
            other => Err(fault(SETTINGS, &format!("`target_lang` is {other}, expected the name of a language"))),
        }
    }
}

/// A token, given as a string or as an object.
fn word(value: &Value) -> Option<&str> {
    value.as_str().or_else(|| value["content"].as_str())
}

fn flag(settings: &Value, key: &str) -> Result<bool, CompileError> {
    match &settings[key] {
        Value::Null => Ok(false),
        Value::Bool(yes) => Ok(*yes),
        other => Err(fault(SETTINGS, &format!("`{key}` is {other}, expected true or false"))),
    }
}

/// Reads a `tokenizer.json` whose decoder has the type `CTC` of the tokenizers crate.
fn fast(file: &Value, settings: &Value, size: usize) -> Result<Ctc, CompileError> {
    let decoder = &file["decoder"];
    if decoder["type"] != "CTC" {
        let found = decoder["type"].as_str().map_or_else(|| "none".to_string(), |kind| format!("of type \"{kind}\""));
        return Err(fault(
            TOKENIZER,
            &format!("its decoder is {found}; a model with a CTC head needs one of type \"CTC\", or a {VOCABULARY}"),
        ));
    }
    let text = |key: &str| {
        decoder[key].as_str().ok_or_else(|| fault(TOKENIZER, &format!("its CTC decoder has no text `{key}`")))
    };
    let (pad, delimiter, cleans) = (text("pad_token")?, text("word_delimiter_token")?, decoder["cleanup"] == true);
    let mut tokens = Tokens::default();
    match &file["model"]["vocab"] {
        Value::Object(all) => tokens.extend(TOKENIZER, all)?,
        Value::Array(all) => {
            for (id, pair) in all.iter().enumerate() {
                tokens.insert(TOKENIZER, pair[0].as_str().unwrap_or_default(), &id.into())?;
            }
        }
        _ => return Err(fault(TOKENIZER, "its model has no `vocab`")),
    }
    for added in file["added_tokens"].as_array().into_iter().flatten() {
        tokens.insert(TOKENIZER, word(added).unwrap_or_default(), &added["id"])?;
    }
    let blank = tokens.id(pad).map(|id| id as u32);
    let letter = |token: Option<String>| {
        let token = token.unwrap_or_default();
        // The decoder does both wherever they occur in a token.
        let rest = if pad.is_empty() { token } else { token.replace(pad, "") };
        if cleans && !delimiter.is_empty() { rest.replace(delimiter, " ") } else { rest }
    };
    tokens.0.resize(tokens.0.len().max(size.min(MAX_TOKENS as usize)), None);
    let letters = tokens.0.into_iter().map(letter).collect();
    Ok(Ctc { letters, blank, clean_up: flag(settings, "clean_up_tokenization_spaces")? })
}

#[cfg(test)]
mod tests;
