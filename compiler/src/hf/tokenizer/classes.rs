//! Tokenizer classes of the transformers library, as data: which class it chooses for a directory, and what that class
//! builds.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde::Deserialize;
use serde_json::{Map, Value};

/// The class that takes `tokenizer.json` as it is.
const PLAIN: &str = "TokenizersBackend";

/// How a class builds a tokenizer; `models/tokenizers/classes.ron` explains the fields.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Class {
    /// The type of model that vocabulary files are read as.
    pub(super) model: Kind,
    #[serde(default)]
    pub(super) files: Vec<String>,
    #[serde(default)]
    pub(super) tokens: BTreeMap<String, Value>,
    #[serde(default)]
    pub(super) lstrip: Vec<String>,
    #[serde(default)]
    pub(super) normalized: Vec<String>,
    #[serde(default)]
    pub(super) options: BTreeMap<String, Value>,
    #[serde(default)]
    pub(super) build: Map<String, Value>,
    #[serde(default)]
    pub(super) adds: Vec<Adds>,
    #[serde(default)]
    pub(super) adds_all: AddsAll,
    #[serde(default)]
    pub(super) adds_bos: bool,
    /// Prefix, the option with the number of tokens, suffix.
    #[serde(default)]
    pub(super) appends: Option<(String, String, String)>,
    /// The first tokens, how many tokens of the file they replace, the last token.
    #[serde(default)]
    pub(super) reorder: Option<(Vec<String>, usize, String)>,
    #[serde(default)]
    pub(super) post: Option<Post>,
    #[serde(default)]
    pub(super) inherits: bool,
}

/// The types of models that classes build.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub(super) enum Kind {
    /// Byte-pair encoding: merges of pairs.
    #[serde(rename = "BPE")]
    Bpe,
    /// Scored pieces.
    Unigram,
    /// The longest known prefix.
    WordPiece,
}

/// Special tokens of a class.
#[derive(Debug, Deserialize)]
pub(super) enum Adds {
    /// Listed by name.
    Names(Vec<String>),
    /// Prefix and suffix around the numbers from the first one up to, but not including, the value of an option.
    Numbered(String, u64, String, String),
}

/// Whether special tokens are added a second time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
pub(super) enum AddsAll {
    /// No.
    #[default]
    No,
    /// As plain strings: their matching options are lost.
    Plain,
    /// With their matching options.
    Kept,
}

/// The tokens around a text.
#[derive(Debug, Deserialize)]
pub(super) enum Post {
    /// These tokens, around `$A`.
    Template(Vec<String>),
    /// The same, if `tokenizer.json` has no post-processor.
    KeptOr(Vec<String>),
    /// The same, if `tokenizer.json` has a post-processor and no setting asks for BOS or EOS tokens.
    InPlace(Vec<String>),
    /// A type of post-processor, the first token and the last token.
    Pair(String, String, String),
    /// The same with fixed ids.
    Fixed(String, String, u32, String, u32),
    /// As `add_bos_token` and `add_eos_token` say.
    BosEos,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Lists {
    not_bytes: Vec<String>,
    letters: Vec<String>,
    apart: Vec<String>,
    own: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Names {
    registered: BTreeMap<String, Vec<String>>,
    overruled: Vec<String>,
    aliases: BTreeMap<String, String>,
}

static CLASSES: LazyLock<BTreeMap<String, Class>> = LazyLock::new(|| {
    let files = ["beginnings", "pairs", "scores"];
    files.into_iter().flat_map(|name| read::<BTreeMap<_, _>>(&format!("classes/{name}.ron"))).collect()
});
static LISTS: LazyLock<Lists> = LazyLock::new(|| read("classes.ron"));
static NAMES: LazyLock<Names> = LazyLock::new(|| read("names.ron"));

/// A file of `models/tokenizers`; the tests read all of them.
fn read<T: for<'de> Deserialize<'de>>(name: &str) -> T {
    let text = gristmill_models::file(&format!("tokenizers/{name}")).unwrap_or_default();
    match ron::from_str(text) {
        Ok(data) => data,
        Err(e) => unreachable!("models/tokenizers/{name}: {e}"),
    }
}

/// How a tokenizer is built.
#[derive(Debug, Clone, Copy)]
pub(super) enum Maker {
    /// `tokenizer.json` as it is.
    Plain,
    /// A class that builds a tokenizer.
    Class(&'static str, &'static Class),
    /// A class whose vocabulary is the output alphabet of a network.
    Letters,
    /// A known class, but it is not known how it builds.
    Undescribed(&'static str),
    /// A class that does not use the tokenizers library.
    Apart(&'static str),
}

/// The class for a name, with or without the suffix `Fast`. Unknown classes take `tokenizer.json` as it is.
fn resolve(name: &str) -> Maker {
    let name = plain_name(name);
    let name = NAMES.aliases.get(name).map_or(name, String::as_str);
    if let Some((name, class)) = CLASSES.get_key_value(name) {
        return Maker::Class(name, class);
    }
    let among = |list: &'static [String]| list.iter().find(|n| *n == name).map(String::as_str);
    if among(&LISTS.letters).is_some() {
        return Maker::Letters;
    }
    among(&LISTS.own).map(Maker::Undescribed).or_else(|| among(&LISTS.apart).map(Maker::Apart)).unwrap_or(Maker::Plain)
}

fn plain_name(name: &str) -> &str {
    name.strip_suffix("Fast").unwrap_or(name)
}

/// What the files say about the class.
#[derive(Debug, Default)]
pub(super) struct Said<'a> {
    /// `model_type` of `config.json`.
    pub(super) model_type: &'a str,
    /// `tokenizer_class` of `tokenizer_config.json`.
    pub(super) tokenizer: Option<&'a str>,
    /// `tokenizer_class` of `config.json`.
    pub(super) model: Option<&'a str>,
    /// Whether the tokenizer names custom code.
    pub(super) remote: bool,
    /// Whether `tokenizer.json` mentions bytes.
    pub(super) bytes: bool,
}

/// The class that `AutoTokenizer.from_pretrained` chooses.
pub(super) fn choose(said: &Said) -> Maker {
    let kind = said.model_type;
    let registered = NAMES.registered.iter().find(|(_, models)| models.iter().any(|m| m == kind));
    let registered = registered.map(|(name, _)| name.as_str());
    let overruled = NAMES.overruled.iter().any(|m| m == kind);
    let Some(hub) = said.tokenizer.or(said.model) else {
        return registered.map_or(Maker::Plain, resolve);
    };
    if said.remote {
        return resolve(hub);
    }
    let not_bytes = LISTS.not_bytes.iter().any(|n| n == plain_name(hub));
    if not_bytes && said.bytes && !overruled {
        return Maker::Plain;
    }
    match registered {
        Some(own) if plain_name(own) != plain_name(hub) && own == PLAIN => Maker::Plain,
        Some(own) if overruled => resolve(own),
        Some(_) | None => resolve(hub),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(model_type: &str, tokenizer: Option<&str>, bytes: bool) -> &'static str {
        match choose(&Said { model_type, tokenizer, bytes, ..Said::default() }) {
            Maker::Plain | Maker::Letters => PLAIN,
            Maker::Class(name, _) | Maker::Undescribed(name) | Maker::Apart(name) => name,
        }
    }

    #[test]
    fn classes_are_those_of_the_library() {
        assert!(CLASSES.len() > 20);
        assert_eq!(chosen("bert", None, false), "BertTokenizer");
        assert_eq!(chosen("bert", Some("DistilBertTokenizerFast"), false), "BertTokenizer");
        assert_eq!(chosen("bert", Some("PreTrainedTokenizerFast"), false), PLAIN);
        assert_eq!(chosen("llama", Some("LlamaTokenizerFast"), false), "LlamaTokenizer");
        assert_eq!(chosen("llama", Some("LlamaTokenizer"), true), PLAIN);
        assert_eq!(chosen("phi3", Some("LlamaTokenizer"), false), PLAIN);
        assert_eq!(chosen("mistral", Some("LlamaTokenizer"), true), PLAIN);
        assert_eq!(chosen("qwen2", Some("Qwen2Tokenizer"), true), "Qwen2Tokenizer");
        assert_eq!(chosen("siglip2", Some("GemmaTokenizer"), false), "Siglip2Tokenizer");
        assert_eq!(chosen("new", Some("NewTokenizer"), false), PLAIN);
        assert_eq!(chosen("bart", Some("BartTokenizer"), false), "RobertaTokenizer");
    }

    #[test]
    fn every_name_is_known() {
        let names = NAMES.registered.keys().chain(NAMES.aliases.values()).filter(|n| *n != PLAIN);
        let plain: Vec<&String> = names.filter(|name| matches!(resolve(name), Maker::Plain)).collect();
        // The plain class under another name.
        assert_eq!(plain, ["ParakeetTokenizer"]);
    }
}
