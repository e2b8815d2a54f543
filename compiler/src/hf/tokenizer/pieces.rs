//! The inputs of a tokenizer: a complete `tokenizer.json`, or a vocabulary and merges for a class to build with.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use tokenizers::AddedToken;

use super::classes::{Class, Kind, Maker};
use super::merges::{self, Merge};
use super::ranks;
use super::sentencepiece::{self, Model};
use super::settings::Token;
use super::spm;
use crate::error::CompileError;
use crate::hf::files::Files;

/// Upper bound of ids.
const MAX_IDS: u64 = 1 << 24;

/// The file in a bundle.
pub const FILE: &str = "tokenizer.json";

/// Vocabulary files, of all classes.
const VOCABULARIES: [&str; 8] = [
    "tekken.json",
    "tiktoken.model",
    "tokenizer.model",
    "spiece.model",
    "sentencepiece.bpe.model",
    "spm.model",
    "vocab.txt",
    "merges.txt",
];

/// A vocabulary.
#[derive(Debug)]
pub(super) enum Vocab {
    /// Ids by token.
    Ids(BTreeMap<String, u32>),
    /// Tokens with scores, in order of their ids.
    Scores(Vec<(String, f64)>),
}

/// The inputs of a class that builds.
#[derive(Debug)]
pub(super) struct Pieces {
    pub(super) vocab: Vocab,
    pub(super) merges: Vec<Merge>,
    /// The post-processor of `tokenizer.json`, or null.
    pub(super) post: Value,
    /// A precompiled character map, in base64.
    pub(super) charsmap: Option<String>,
    /// Special tokens named in the vocabulary file.
    pub(super) additional: Option<Vec<Token>>,
    /// The same by name, for a class without defaults of its own.
    pub(super) defaults: BTreeMap<String, String>,
    /// The id of the unknown token, if the vocabulary file states it.
    pub(super) unk_id: Option<i64>,
}

/// A complete tokenizer.
#[derive(Debug)]
pub(super) struct Whole {
    /// In the form of `tokenizer.json`.
    pub(super) json: Value,
    /// Added tokens that are not in `json`.
    pub(super) added: Vec<AddedToken>,
    /// Special tokens named in the vocabulary file; those with names are defaults.
    pub(super) additional: Option<Vec<Token>>,
    pub(super) defaults: BTreeMap<String, String>,
    /// Added tokens match unnormalized text, whatever the settings say.
    pub(super) raw_added: bool,
}

/// The inputs of a tokenizer.
#[derive(Debug)]
pub(super) enum Base {
    Whole(Whole),
    Pieces(Pieces),
}

impl Whole {
    fn of(json: Value, added: Vec<AddedToken>) -> Base {
        let defaults = padding(&json);
        Base::Whole(Whole { json, added, additional: None, defaults, raw_added: false })
    }
}

/// The padding token of the file, by name.
fn padding(json: &Value) -> BTreeMap<String, String> {
    json["padding"]["pad_token"]
        .as_str()
        .map(|token| ("pad_token".to_string(), token.to_string()))
        .into_iter()
        .collect()
}

impl Base {
    /// From the content of `tokenizer.json`.
    pub(super) fn of_file(maker: Maker, json: &Value) -> Result<Base, String> {
        match maker {
            Maker::Class(name, class) if !class.inherits => {
                of_model(class.model, json).map(Base::Pieces).map_err(|m| format!("{m} ({name} builds with it)"))
            }
            Maker::Plain | Maker::Class(..) | Maker::Letters | Maker::Undescribed(_) | Maker::Apart(_) => {
                Ok(Whole::of(json.clone(), Vec::new()))
            }
        }
    }
}

/// Vocabulary, merges and post-processor of `tokenizer.json`, for a class with this kind of model.
fn of_model(kind: Kind, json: &Value) -> Result<Pieces, String> {
    let model = &json["model"];
    let vocab = match (kind, &model["vocab"]) {
        (Kind::Unigram, Value::Array(entries)) => {
            let score = |e: &Value| Some((e[0].as_str()?.to_string(), e[1].as_f64()?));
            let all: Option<Vec<_>> = entries.iter().map(score).collect();
            Vocab::Scores(all.ok_or("model: vocab: an entry is not a token with its score")?)
        }
        (Kind::Unigram, _) => return Err("model: vocab: not a list of tokens with scores".into()),
        (Kind::Bpe | Kind::WordPiece, Value::Array(entries)) => {
            let token = |e: &Value| e.as_str().or(e[0].as_str()).map(str::to_string);
            let all: Option<Vec<_>> = entries.iter().map(token).collect();
            Vocab::Ids(all.ok_or("model: vocab: an entry is not a token")?.into_iter().zip(0..).collect())
        }
        (Kind::Bpe | Kind::WordPiece, vocab) => Vocab::Ids(ids(vocab).map_err(|m| format!("model: vocab: {m}"))?),
    };
    let merges = if kind == Kind::Bpe { merges_of(&model["merges"])? } else { Vec::new() };
    Ok(Pieces {
        vocab,
        merges,
        post: json["post_processor"].clone(),
        charsmap: charsmap(&json["normalizer"]),
        additional: None,
        defaults: padding(json),
        unk_id: None,
    })
}

/// Ids by token.
fn ids(vocab: &Value) -> Result<BTreeMap<String, u32>, String> {
    let entries = vocab.as_object().ok_or("not an object that maps tokens to ids")?;
    let id = |(token, id): (&String, &Value)| {
        let id = id.as_u64().filter(|id| *id < MAX_IDS).and_then(|id| u32::try_from(id).ok());
        id.map(|id| (token.clone(), id)).ok_or_else(|| format!("{token:?} has no id"))
    };
    entries.iter().map(id).collect()
}

fn merges_of(list: &Value) -> Result<Vec<Merge>, String> {
    let pair = |(at, entry): (usize, &Value)| {
        let halves = match entry {
            Value::String(text) => text.split_once(' '),
            pair => pair[0].as_str().zip(pair[1].as_str()),
        };
        halves.map(|(a, b)| (a.into(), b.into())).ok_or_else(|| format!("model: merges: entry {at} is not a pair"))
    };
    list.as_array().into_iter().flatten().enumerate().map(pair).collect()
}

/// The first precompiled character map.
fn charsmap(normalizer: &Value) -> Option<String> {
    let own = || normalizer["precompiled_charsmap"].as_str().map(String::from);
    match normalizer["type"].as_str() {
        Some("Sequence") => normalizer["normalizers"].as_array()?.iter().find_map(charsmap),
        Some("Precompiled") => own(),
        _ => None,
    }
}

/// The vocabulary file of a directory without `tokenizer.json`.
pub(super) fn vocabulary(files: &Files) -> Option<&'static str> {
    VOCABULARIES.into_iter().find(|file| files.has(file))
}

/// From vocabulary files, for a directory without `tokenizer.json`; `None` if there are none.
///
/// # Errors
/// If they are damaged, or if it is not known how to build a tokenizer from them.
pub(super) fn of_vocabulary(files: &Files, maker: Maker, settings: &Value) -> Result<Option<Base>, CompileError> {
    let exists = |name: &str| files.has(name);
    let found = match maker {
        Maker::Letters => return Ok(None),
        Maker::Class(_, class) if !class.files.is_empty() && class.files.iter().all(|f| exists(f)) => {
            Some(of_class(files, class, settings)?)
        }
        Maker::Plain => of_plain(files, settings)?,
        Maker::Class(..) | Maker::Undescribed(_) | Maker::Apart(_) => None,
    };
    if found.is_some() {
        return Ok(found);
    }
    let Some(file) = vocabulary(files) else { return Ok(None) };
    let reads = match maker {
        Maker::Class(name, class) if !class.files.is_empty() => format!("{name} reads {}", class.files.join(" and ")),
        Maker::Plain => "`tokenizer_class` of tokenizer_config.json does not say how to read it".to_string(),
        Maker::Class(name, _) | Maker::Undescribed(name) | Maker::Apart(name) => {
            format!("files of {name} are not converted")
        }
        Maker::Letters => String::new(),
    };
    Err(CompileError::Config(format!(
        "{}: {FILE} is missing, and {reads}; save the tokenizer with transformers \
         (AutoTokenizer.from_pretrained(DIR).save_pretrained(DIR)), or remove the file if the model takes token ids \
         only",
        files.place(file)
    )))
}

/// A file that must be there.
fn read(files: &Files, name: &str) -> Result<Vec<u8>, CompileError> {
    files.read(name)?.ok_or_else(|| CompileError::Io { path: files.place(name), message: "not found".into() })
}

fn fault(place: &str, message: impl std::fmt::Display) -> CompileError {
    CompileError::Config(format!("{place}: {message}"))
}

/// From the vocabulary files of a class.
fn of_class(files: &Files, class: &Class, settings: &Value) -> Result<Base, CompileError> {
    let name = &class.files[0];
    let place = files.place(name);
    if name.ends_with(".model") {
        let bytes = read(files, name)?;
        return match sentencepiece::read(&bytes) {
            Some(model) => of_pieces(&model, class, settings).map(Base::Pieces).map_err(|m| fault(&place, m)),
            None => tiktoken(&place, &bytes, settings),
        };
    }
    let vocab = if class.model == Kind::WordPiece {
        let text = String::from_utf8(read(files, name)?).map_err(|e| fault(&place, e))?;
        text.lines().map(|line| line.trim_end().to_string()).zip(0..).collect()
    } else {
        ids(&files.json(name)?.unwrap_or(Value::Null)).map_err(|m| fault(&place, m))?
    };
    let merges = match class.files.get(1) {
        Some(file) => merges_file(files, file)?,
        None => Vec::new(),
    };
    Ok(Base::Pieces(Pieces {
        vocab: Vocab::Ids(vocab),
        merges,
        post: Value::Null,
        charsmap: None,
        additional: None,
        defaults: BTreeMap::new(),
        unk_id: None,
    }))
}

/// Lines of two tokens. Lines that start with `#version` are skipped.
fn merges_file(files: &Files, name: &str) -> Result<Vec<Merge>, CompileError> {
    let place = files.place(name);
    let text = String::from_utf8(read(files, name)?).map_err(|e| fault(&place, e))?;
    let pair = |(at, line): (usize, &str)| {
        let halves: Vec<&str> = line.split(' ').collect();
        match halves[..] {
            [a, b] => Ok((a.to_string(), b.to_string())),
            _ => Err(fault(&place, format!("line {}: expected two tokens", at + 1))),
        }
    };
    text.lines().enumerate().filter(|(_, line)| !line.starts_with("#version")).map(pair).collect()
}

/// The inputs for a class, from a SentencePiece model.
fn of_pieces(model: &Model, class: &Class, settings: &Value) -> Result<Pieces, String> {
    let mut scores: Vec<(String, f64)> = model.pieces.iter().map(|p| (p.text.clone(), f64::from(p.score))).collect();
    let (vocab, merges) = match class.model {
        Kind::Bpe => {
            let ids: BTreeMap<String, u32> = scores.into_iter().map(|(token, _)| token).zip(0..).collect();
            let merges = merges::of_ids(&ids)?;
            (Vocab::Ids(ids), merges)
        }
        Kind::Unigram | Kind::WordPiece => {
            let said = |key: &str| settings[key].as_str().or(settings[key]["content"].as_str());
            let name = |of: &String| {
                let key = of.trim_start_matches('$');
                let default = class.tokens.get(key).and_then(Value::as_str).unwrap_or_default();
                (said(key).unwrap_or(default).to_string(), 0.0)
            };
            if let Some((first, count, last)) = &class.reorder {
                let rest = scores.split_off((*count).min(scores.len()));
                scores = first.iter().map(name).chain(rest).chain([name(last)]).collect();
            }
            if let Some((prefix, count, suffix)) = &class.appends {
                let count = settings[count].as_u64().or_else(|| class.options.get(count)?.as_u64()).unwrap_or_default();
                let numbers = (0..count.min(MAX_IDS)).rev();
                scores.extend(numbers.map(|i| (format!("{prefix}{i}{suffix}"), 0.0)));
            }
            (Vocab::Scores(scores), Vec::new())
        }
    };
    Ok(Pieces {
        vocab,
        merges,
        post: Value::Null,
        charsmap: spm::charsmap(model),
        additional: Some(spm::added(model)),
        defaults: BTreeMap::new(),
        unk_id: Some(model.ids[0]),
    })
}

/// From vocabulary files, for a class that takes `tokenizer.json` as it is.
fn of_plain(files: &Files, settings: &Value) -> Result<Option<Base>, CompileError> {
    let name = "tekken.json";
    if let Some(file) = files.json(name)? {
        let ranked = ranks::tekken(&file).map_err(|m| fault(&files.place(name), m))?;
        return Ok(Some(Whole::of(ranked.json, ranked.added)));
    }
    for name in ["tokenizer.model", "tiktoken.model"] {
        let Some(bytes) = files.read(name)? else { continue };
        let place = files.place(name);
        return match sentencepiece::read(&bytes) {
            Some(model) => of_sentencepiece(&model, settings).map(Some).map_err(|m| fault(&place, m)),
            None => tiktoken(&place, &bytes, settings).map(Some),
        };
    }
    Ok(None)
}

/// A tokenizer from a SentencePiece model alone.
fn of_sentencepiece(model: &Model, settings: &Value) -> Result<Base, String> {
    let decoder = settings["added_tokens_decoder"].as_object();
    let renamed = decoder
        .into_iter()
        .flatten()
        .filter_map(|(id, token)| Some((id.parse().ok()?, Token::read(token)?.content)))
        .collect();
    let legacy = settings.get("legacy").is_none_or(|l| !super::settings::is_empty(l));
    let json = spm::tokenizer(model, &renamed, legacy)?;
    let users: Vec<&str> =
        (model.pieces.iter()).filter(|p| p.role == sentencepiece::Role::UserDefined).map(|p| p.text.as_str()).collect();
    let additional = spm::added(model).into_iter().filter(|t| !users.contains(&t.content.as_str())).collect();
    let names = ["unk_token", "bos_token", "eos_token"];
    let defaults = (names.into_iter().zip(&model.ids).zip(&model.names))
        .filter(|((_, id), _)| **id >= 0)
        .map(|((key, _), name)| (key.to_string(), name.clone()))
        .collect();
    let raw_added = model.add_dummy_prefix;
    Ok(Base::Whole(Whole { json, added: Vec::new(), additional: Some(additional), defaults, raw_added }))
}

/// From a tiktoken file, with the special tokens that `tokenizer_config.json` adds after it.
fn tiktoken(place: &str, bytes: &[u8], settings: &Value) -> Result<Base, CompileError> {
    let text = std::str::from_utf8(bytes).ok();
    let text = text.filter(|t| t.lines().next().is_some_and(|line| line.split_once(' ').is_some()));
    let text = text.ok_or_else(|| fault(place, "neither a SentencePiece model nor a vocabulary of tiktoken"))?;
    let size = ranks::tiktoken_ranks(text).map_err(|m| fault(place, m))?.len() as u64;
    let named: BTreeMap<u64, String> = settings["added_tokens_decoder"]
        .as_object()
        .into_iter()
        .flatten()
        .filter_map(|(id, token)| Some((id.parse().ok()?, Token::read(token)?.content)))
        .collect();
    let mut specials: Vec<String> = match named.last_key_value() {
        Some((last, _)) if *last >= MAX_IDS => return Err(fault(place, format!("an added token has the id {last}"))),
        Some((last, _)) => {
            let name = |id| named.get(&id).cloned().unwrap_or_else(|| format!("<|reserved_token_{id}|>"));
            (size..=*last).map(name).collect()
        }
        None => Vec::new(),
    };
    for token in settings["extra_special_tokens"].as_array().into_iter().flatten().filter_map(Token::read) {
        if !specials.contains(&token.content) {
            specials.push(token.content);
        }
    }
    let ranked = ranks::tiktoken(text, &specials).map_err(|m| fault(place, m))?;
    Ok(Whole::of(ranked.json, ranked.added))
}

impl Pieces {
    /// The model of a class, with vocabulary and merges inserted.
    pub(super) fn model(&self, mut model: Value) -> Value {
        if let Value::Object(fields) = &mut model {
            let vocab = match &self.vocab {
                Vocab::Ids(ids) => json!(ids),
                Vocab::Scores(scores) => json!(scores),
            };
            if fields.get("type").is_some_and(|kind| kind == "BPE") {
                fields.insert("merges".into(), json!(self.merges));
            }
            fields.insert("vocab".into(), vocab);
        }
        model
    }
}
