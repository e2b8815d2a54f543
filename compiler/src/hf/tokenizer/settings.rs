//! Settings in the files beside `tokenizer.json`: special tokens, added tokens, options of the class. Their precedence
//! is that of `PreTrainedTokenizerBase.from_pretrained` of the transformers library.

use std::collections::BTreeMap;

use serde_json::{Map, Value};
use tokenizers::AddedToken;

use super::fault::{Fault, SETTINGS};

/// Named special tokens, in the order in which they are added.
pub(super) const NAMED: [&str; 7] =
    ["bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"];
const EXTRA: &str = "extra_special_tokens";
const ADDITIONAL: &str = "additional_special_tokens";

/// A token and how it is matched. Unset options follow from `special`.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Token {
    pub(super) content: String,
    pub(super) special: bool,
    pub(super) single_word: bool,
    pub(super) lstrip: bool,
    pub(super) rstrip: bool,
    pub(super) normalized: Option<bool>,
    /// Given as a plain string.
    pub(super) bare: bool,
}

impl Token {
    /// A special token with this text.
    pub(super) fn text(content: &str) -> Self {
        Token { bare: true, ..Token::new(content, true) }
    }

    /// A token with default options.
    pub(super) fn new(content: &str, special: bool) -> Self {
        Token {
            content: content.to_string(),
            special,
            single_word: false,
            lstrip: false,
            rstrip: false,
            normalized: None,
            bare: false,
        }
    }

    /// Reads a token: a string, or an object with `content`.
    pub(super) fn read(value: &Value) -> Option<Token> {
        if let Some(text) = value.as_str() {
            return Some(Token::text(text));
        }
        let flag = |key: &str| value.get(key).and_then(Value::as_bool);
        let mut token = Token::new(value.get("content")?.as_str()?, flag("special").unwrap_or(false));
        token.single_word = flag("single_word").unwrap_or(false);
        token.lstrip = flag("lstrip").unwrap_or(false);
        token.rstrip = flag("rstrip").unwrap_or(false);
        token.normalized = flag("normalized");
        Some(token)
    }

    /// The token in the form of the tokenizers library.
    pub(super) fn added(&self) -> AddedToken {
        AddedToken::from(self.content.clone(), self.special)
            .single_word(self.single_word)
            .lstrip(self.lstrip)
            .rstrip(self.rstrip)
            .normalized(self.normalized.unwrap_or(!self.special))
    }
}

/// The settings of a directory.
#[derive(Debug, Default)]
pub(super) struct Settings {
    /// `tokenizer_config.json`, with the additions from other files.
    pub(super) config: Map<String, Value>,
    /// Special tokens by the names in [`NAMED`]. Those set to null are missing here and are `Null` in the config.
    pub(super) named: BTreeMap<String, Token>,
    /// Special tokens with class-specific names.
    pub(super) specific: Vec<(String, Token)>,
    /// Special tokens without names, if they are listed.
    pub(super) extra: Option<Vec<Token>>,
    /// Special tokens without names in old directories.
    pub(super) additional: Option<Vec<Token>>,
    /// Added tokens by id.
    pub(super) added: BTreeMap<u64, Token>,
    /// Whether texts that are too long are truncated at their beginning. Padding has no such setting, because every
    /// text is a call of its own and is never padded.
    pub(super) cuts_left: bool,
}

/// The parsed files; null for missing ones.
pub(super) struct Parsed<'a> {
    pub(super) config: &'a Value,
    /// The keys of that file and of the tokens in it, in order.
    pub(super) order: Vec<String>,
    pub(super) special_map: &'a Value,
    pub(super) added: &'a Value,
    pub(super) tokenizer: Option<&'a Value>,
}

impl Settings {
    /// Reads the settings.
    ///
    /// # Errors
    /// Names the file and the entry that is not a valid token or id.
    pub(super) fn read(files: &Parsed) -> Result<Settings, Fault> {
        let mut config = match files.config {
            Value::Object(config) => config.clone(),
            Value::Null => Map::new(),
            _ => return Err(Fault::settings("not a JSON object")),
        };
        if files.tokenizer.is_some() {
            config.remove("add_bos_token");
            config.remove("add_eos_token");
        }
        if config.get(EXTRA).is_none_or(is_empty)
            && let Some(additional) = config.remove(ADDITIONAL)
        {
            config.insert(EXTRA.into(), additional);
        }
        let mut settings = Settings { specific: take_specific(&mut config)?, config, ..Settings::default() };
        let decoder = settings.config.get("added_tokens_decoder").filter(|d| !d.is_null()).cloned();
        match decoder {
            Some(decoder) => settings.read_decoder(&decoder)?,
            None => settings.read_legacy(files)?,
        }
        settings.specific.sort_by_key(|(key, _)| files.order.iter().position(|k| k == key));
        settings.read_named()?;
        settings.extra = settings.list(EXTRA)?;
        settings.additional = settings.list(ADDITIONAL)?;
        settings.cuts_left = settings.read_side(files.tokenizer)?;
        Ok(settings)
    }

    /// Where texts are truncated: the setting, or else the one saved in `tokenizer.json`.
    fn read_side(&self, tokenizer: Option<&Value>) -> Result<bool, Fault> {
        let saved = || tokenizer.and_then(|t| t["truncation"]["direction"].as_str()).map(str::to_lowercase);
        match self.config.get("truncation_side") {
            None => Ok(saved().as_deref() == Some("left")),
            Some(side) => match side.as_str() {
                Some("left") => Ok(true),
                Some("right") => Ok(false),
                _ => Err(Fault::settings(format!("`truncation_side` is {side}; it is \"left\" or \"right\""))),
            },
        }
    }

    fn read_decoder(&mut self, decoder: &Value) -> Result<(), Fault> {
        let fault = |what: &str| Fault::settings(format!("added_tokens_decoder: {what}"));
        for (id, token) in decoder.as_object().ok_or_else(|| fault("not an object"))? {
            let number = id.parse().map_err(|_| fault(&format!("{id:?} is not an id")))?;
            let token = Some(token).filter(|t| t.is_object()).and_then(Token::read);
            self.added.insert(number, token.ok_or_else(|| fault(&format!("{id:?} is not a token")))?);
        }
        Ok(())
    }

    /// Reads `special_tokens_map.json`, `added_tokens.json` and the added tokens of `tokenizer.json`.
    fn read_legacy(&mut self, files: &Parsed) -> Result<(), Fault> {
        if let Some(map) = files.special_map.as_object() {
            for (key, value) in map {
                let mut value = value.clone();
                match (&mut value, key == EXTRA) {
                    (Value::Object(token), false) => {
                        token.insert("special".into(), true.into());
                    }
                    (Value::Object(more), true) => {
                        self.specific.extend(named_tokens(more, "special_tokens_map.json")?);
                        continue;
                    }
                    (Value::Array(more), true) => {
                        let before = self.config.get(EXTRA).and_then(Value::as_array).cloned().unwrap_or_default();
                        let more = more.iter().map(special).filter(|t| !before.contains(t)).collect();
                        value = Value::Array([before, more].concat());
                    }
                    _ => {}
                }
                self.config.insert(key.clone(), value);
            }
        }
        if let Some(added) = files.added.as_object() {
            let mut specials: Vec<String> =
                NAMED.iter().filter_map(|k| self.config.get(*k)).filter_map(Token::read).map(|t| t.content).collect();
            specials.extend(self.list(EXTRA)?.into_iter().flatten().map(|t| t.content));
            for (content, id) in added {
                let id = id.as_u64().ok_or_else(|| Fault::of("added_tokens.json", format!("{content:?} has no id")))?;
                self.added.insert(id, Token::new(content, specials.contains(content)));
            }
        }
        let list = files.tokenizer.and_then(|t| t["added_tokens"].as_array());
        for (at, entry) in list.into_iter().flatten().enumerate() {
            let token = Some(entry).filter(|e| e.is_object()).and_then(Token::read).zip(entry["id"].as_u64());
            let (token, id) = token.ok_or_else(|| format!("added_tokens: entry {at} has no content or no id"))?;
            self.added.insert(id, token);
        }
        Ok(())
    }

    fn read_named(&mut self) -> Result<(), Fault> {
        for key in NAMED {
            let Some(value) = self.config.get(key).filter(|v| !v.is_null()) else { continue };
            let token = Token::read(value).ok_or_else(|| Fault::settings(format!("{key} is not a token")))?;
            let known = self.added.values().find(|t| t.content == token.content);
            self.named.insert(key.into(), known.cloned().unwrap_or(token));
        }
        Ok(())
    }

    /// A list of tokens in the config.
    fn list(&self, key: &str) -> Result<Option<Vec<Token>>, Fault> {
        let Some(value) = self.config.get(key) else { return Ok(None) };
        if value.is_null() {
            return Ok((key == EXTRA).then(Vec::new));
        }
        let fault = || Fault::settings(format!("{key}: not a list of tokens"));
        let tokens = value.as_array().ok_or_else(fault)?;
        tokens.iter().map(|t| Token::read(t).ok_or_else(fault)).collect::<Result<_, _>>().map(Some)
    }
}

/// Whether Python considers the value false.
pub(super) fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(b) => !b,
        Value::Number(n) => n.as_f64() == Some(0.0),
        Value::String(s) => s.is_empty(),
        Value::Array(a) => a.is_empty(),
        Value::Object(o) => o.is_empty(),
    }
}

fn special(token: &Value) -> Value {
    let mut token = token.clone();
    if let Value::Object(fields) = &mut token {
        fields.insert("special".into(), true.into());
    }
    token
}

/// Removes special tokens with class-specific names from the config and returns them.
fn take_specific(config: &mut Map<String, Value>) -> Result<Vec<(String, Token)>, Fault> {
    let own = |key: &str, value: &Value| key.ends_with("_token") && !NAMED.contains(&key) && value.is_string();
    let keys: Vec<String> = config.iter().filter(|(k, v)| own(k, v)).map(|(k, _)| k.clone()).collect();
    let mut found: Vec<(String, Token)> = keys
        .into_iter()
        .filter_map(|key| config.remove(&key).as_ref().and_then(Token::read).map(|token| (key, token)))
        .collect();
    if let Some(Value::Object(more)) = config.get(EXTRA) {
        found.extend(named_tokens(more, SETTINGS)?);
        config.remove(EXTRA);
    }
    Ok(found)
}

fn named_tokens(tokens: &Map<String, Value>, file: &'static str) -> Result<Vec<(String, Token)>, Fault> {
    let read = |(key, value): (&String, &Value)| {
        let token = Token::read(value).ok_or_else(|| Fault::of(file, format!("{EXTRA}: {key} is not a token")))?;
        Ok((key.clone(), token))
    };
    tokens.iter().map(read).collect()
}
