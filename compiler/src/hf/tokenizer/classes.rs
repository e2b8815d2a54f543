//! Classes of tokenizers of the transformers library, as data: which one it takes for a directory, and what that one
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
    /// What vocabulary files are read as.
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
    /// Prefix, the option that counts, suffix.
    #[serde(default)]
    pub(super) appends: Option<(String, String, String)>,
    /// The first tokens, how many of the file they replace, the last token.
    #[serde(default)]
    pub(super) reorder: Option<(Vec<String>, usize, String)>,
    #[serde(default)]
    pub(super) post: Option<Post>,
    #[serde(default)]
    pub(super) inherits: bool,
}

/// The kinds of models that classes build.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub(super) enum Kind {
    /// Merges of pairs.
    #[serde(rename = "BPE")]
    Bpe,
    /// Scores of pieces.
    Unigram,
    /// The longest known beginning.
    WordPiece,
}

/// Special tokens of a class.
#[derive(Debug, Deserialize)]
pub(super) enum Adds {
    /// These.
    Names(Vec<String>),
    /// Prefix and suffix around numbers from the first one to below an option.
    Numbered(String, u64, String, String),
}

/// Whether special tokens are added once more.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
pub(super) enum AddsAll {
    /// They are not.
    #[default]
    No,
    /// As texts: what was said about how they are found is lost.
    Plain,
    /// As they are.
    Kept,
}

/// The tokens around a text.
#[derive(Debug, Deserialize)]
pub(super) enum Post {
    /// These, around `$A`.
    Template(Vec<String>),
    /// The same, if `tokenizer.json` says nothing.
    KeptOr(Vec<String>),
    /// The same, if `tokenizer.json` says something, and no setting asks for beginnings or ends.
    InPlace(Vec<String>),
    /// A kind of post-processor, what begins and what ends a text.
    Pair(String, String, String),
    /// The same with fixed ids.
    Fixed(String, String, u32, String, u32),
    /// What `add_bos_token` and `add_eos_token` say.
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

/// What makes a tokenizer.
#[derive(Debug, Clone, Copy)]
pub(super) enum Maker {
    /// `tokenizer.json` as it is.
    Plain,
    /// A class that builds.
    Class(&'static str, &'static Class),
    /// A class whose vocabulary is the letters of a network's output.
    Letters,
    /// A class that is known, but not how it builds.
    Undescribed(&'static str),
    /// A class without the tokenizers library.
    Apart(&'static str),
}

/// The class of a name, also of one that ends in `Fast`; those that nobody knows are plain.
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
    /// Whether code of its own is named for the tokenizer.
    pub(super) remote: bool,
    /// Whether `tokenizer.json` mentions bytes.
    pub(super) bytes: bool,
}

/// The class that `AutoTokenizer.from_pretrained` takes.
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
        // The plain one under another name.
        assert_eq!(plain, ["ParakeetTokenizer"]);
    }
}
