//! Assembles a tokenizer like a transformers class does: builds its parts, adds special and added tokens in the same
//! order, and adds the post-processor.

use std::collections::{BTreeMap, BTreeSet};

use gristmill_bundle::CLEAN_UP;
use gristmill_tokenizer::{self as tokenizer, Unusable};
use serde_json::{Map, Value, json};
use tokenizers::AddedToken;

use super::added::Added;
use super::classes::{Adds, AddsAll, Class, Maker, Post};
use super::fault::Fault;
use super::pieces::{Base, Pieces, Vocab, Whole};
use super::settings::{NAMED, Settings, Token, is_empty};
use super::template::{Scope, fill};
use super::{scripts, supported};

/// Parts of a tokenizer.
const PARTS: [&str; 4] = ["normalizer", "pre_tokenizer", "post_processor", "decoder"];

/// A tokenizer under construction.
pub(super) struct Assembly {
    /// Everything except the added tokens.
    pub(super) json: Value,
    /// The same, parsed by the library.
    tokenizer: tokenizers::Tokenizer,
    added: Added,
    /// Special tokens by name.
    pub(super) named: BTreeMap<String, Token>,
    /// Settings and tokens for templates.
    pub(super) scope: Scope,
    /// Whether the class adds a BOS token by default.
    pub(super) adds_bos: bool,
    specific: Vec<(String, Token)>,
    extra: Vec<Token>,
}

/// The result.
pub(super) struct Assembled {
    /// The complete `tokenizer.json`.
    pub(super) json: Value,
    /// The texts of special tokens by name.
    pub(super) special: Vec<(String, String)>,
    /// Added tokens that the directory lists by id. A class may add more on its own.
    pub(super) added: Vec<(u32, String)>,
}

/// Assembles the tokenizer.
///
/// # Errors
/// Names the entry that the tokenizers library cannot read, or what the class lacks.
pub(super) fn assemble(maker: Maker, mut settings: Settings, base: Base) -> Result<Assembled, Fault> {
    let class = match maker {
        Maker::Class(_, class) => Some(class),
        Maker::Plain | Maker::Letters | Maker::Undescribed(_) | Maker::Apart(_) => None,
    };
    if let Base::Whole(Whole { raw_added: true, .. }) = &base {
        settings.added.values_mut().for_each(|token| token.normalized = Some(false));
    }
    let (additional, defaults, pieces) = match &base {
        Base::Whole(whole) => (whole.additional.clone(), whole.defaults.clone(), None),
        Base::Pieces(pieces) => (pieces.additional.clone(), pieces.defaults.clone(), Some(pieces)),
    };
    let named = named(class, &settings, &defaults);
    let text = |name: &&str| Some((name.to_string(), named.get(*name)?.content.clone()));
    let special = NAMED.iter().filter_map(text).collect();
    let scope = scope(class, &settings, &named, pieces);
    let extra = extra(class, &settings, additional, &scope);
    let specific = specific(class, &settings);
    let (mut json, more) = match base {
        Base::Whole(whole) => (whole.json, whole.added),
        Base::Pieces(pieces) => {
            let Some(class) = class else { return Err("vocabulary files without a class".into()) };
            (build(class, &pieces, &scope), Vec::new())
        }
    };
    prepare(&mut json)?;
    let own = added_tokens(&mut json)?;
    let tokenizer = parse(&json)?;
    let listed: BTreeSet<String> =
        own.iter().map(|t| &t.content).chain(settings.added.values().map(|t| &t.content)).cloned().collect();
    let mut added = Added::default();
    added.add(own, tokenizer.get_model());
    added.add(more, tokenizer.get_model());
    canonical(&mut json, &tokenizer)?;
    let adds_bos = class.is_some_and(|c| c.adds_bos);
    let mut assembly = Assembly { json, tokenizer, added, named, scope, adds_bos, specific, extra };
    assembly.add_tokens(&settings);
    assembly.surround(class, &settings)?;
    assembly.add_again(class.map_or(AddsAll::No, |c| c.adds_all));
    let added = assembly.added.iter().map(|(id, token)| (id, token.content.clone()));
    let added = added.filter(|(_, token)| listed.contains(token)).collect();
    Ok(Assembled { json: assembly.finish(&settings)?, special, added })
}

/// Special tokens by name: those of the directory, or else the defaults of the class.
fn named(class: Option<&Class>, settings: &Settings, defaults: &BTreeMap<String, String>) -> BTreeMap<String, Token> {
    let mut named = BTreeMap::new();
    for key in NAMED {
        let default = || match class.and_then(|c| c.tokens.get(key)) {
            Some(token) => token.as_str(),
            None => defaults.get(key).map(String::as_str),
        };
        let token = match settings.config.contains_key(key) {
            true => settings.named.get(key).cloned(),
            false => default().map(Token::text),
        };
        let Some(mut token) = token else { continue };
        if let Some(class) = class.filter(|_| token.bare) {
            token.lstrip |= class.lstrip.iter().any(|name| name == key);
            if class.normalized.iter().any(|name| name == key) {
                token.normalized = Some(true);
            }
        }
        named.insert(key.to_string(), token);
    }
    named
}

/// The variables that the templates of a class see.
fn scope(
    class: Option<&Class>,
    settings: &Settings,
    named: &BTreeMap<String, Token>,
    pieces: Option<&Pieces>,
) -> Scope {
    let mut scope = settings.config.clone().into_iter().collect::<Scope>();
    for (key, default) in class.into_iter().flat_map(|c| &c.options) {
        scope.entry(key.clone()).or_insert_with(|| default.clone());
    }
    scope.extend(named.iter().map(|(key, token)| (key.clone(), json!(token.content))));
    if let Some(pieces) = pieces {
        if let Some(id) = pieces.unk_id {
            scope.insert("unk_id".into(), json!(id));
        }
        scope.insert("charsmap".into(), json!(pieces.charsmap));
        if let (Vocab::Scores(scores), Some(unknown)) = (&pieces.vocab, named.get("unk_token")) {
            let index = scores.iter().position(|(token, _)| *token == unknown.content);
            scope.insert("unk_index".into(), json!(index.unwrap_or(0)));
            let exact = scores.iter().position(|(token, score)| *token == unknown.content && *score == 0.0);
            let other = scope.get("unk_id").cloned().unwrap_or(json!(0));
            scope.insert("zero_unk_index".into(), exact.map_or(other, |at| json!(at)));
        }
    }
    scope
}

/// Special tokens without a name.
fn extra(class: Option<&Class>, settings: &Settings, of_file: Option<Vec<Token>>, scope: &Scope) -> Vec<Token> {
    if let Some(extra) = &settings.extra {
        return extra.clone();
    }
    let given = of_file.or(settings.additional.clone());
    let mut own = Vec::new();
    let mut numbered = None;
    for adds in class.into_iter().flat_map(|c| &c.adds) {
        match adds {
            Adds::Names(names) => own.extend(names.iter().map(|n| Token::text(n))),
            Adds::Numbered(prefix, from, to, suffix) => {
                let to = scope.get(to).and_then(Value::as_u64).unwrap_or(0).min(1 << 20);
                own.extend((*from..to).map(|i| Token::text(&format!("{prefix}{i}{suffix}"))));
                numbered = Some(prefix);
            }
        }
    }
    match given {
        None => own,
        Some(given) if numbered.is_some_and(|p| !given.iter().any(|t| t.content.contains(p.as_str()))) => {
            [given, own].concat()
        }
        Some(given) => given,
    }
}

/// Special tokens with names that only this class has.
fn specific(class: Option<&Class>, settings: &Settings) -> Vec<(String, Token)> {
    let own = class.into_iter().flat_map(|c| &c.tokens).filter(|(key, _)| !NAMED.contains(&key.as_str()));
    let missing = own.filter(|(key, _)| !settings.specific.iter().any(|(k, _)| k == *key));
    let mut all: Vec<(String, Token)> =
        missing.filter_map(|(key, token)| Some((key.clone(), Token::text(token.as_str()?)))).collect();
    all.extend(settings.specific.iter().cloned());
    all
}

/// The parts that a class builds, without added tokens.
fn build(class: &Class, pieces: &Pieces, scope: &Scope) -> Value {
    let mut json = Map::new();
    json.insert("version".into(), "1.0".into());
    for part in PARTS.into_iter().chain(["model"]) {
        let filled = class.build.get(part).and_then(|p| fill(p, scope));
        json.insert(part.into(), filled.unwrap_or(Value::Null));
    }
    json["post_processor"] = pieces.post.clone();
    json["model"] = pieces.model(json["model"].take());
    Value::Object(json)
}

/// Removes entries without effect, and rejects what would make the library panic.
fn prepare(json: &mut Value) -> Result<(), String> {
    let Some(fields) = json.as_object_mut() else { return Err("not a JSON object".into()) };
    fields.insert("truncation".into(), Value::Null);
    fields.insert("padding".into(), Value::Null);
    // Merges are dropped at random only in training.
    if let Some(model) = fields.get_mut("model").and_then(Value::as_object_mut)
        && model.get("type").is_none_or(|kind| kind == "BPE")
        && model.contains_key("dropout")
    {
        model.insert("dropout".into(), Value::Null);
    }
    supported::prepare(json)
}

/// Parses with the library.
fn parse(json: &Value) -> Result<tokenizers::Tokenizer, String> {
    let bytes = serde_json::to_vec(json).map_err(|e| e.to_string())?;
    tokenizer::parse(&bytes).map_err(|unusable| match unusable {
        Unusable::Refused(message) => message,
        Unusable::Unread(message) => supported::place(json, &message),
    })
}

/// The parts in the form that the library writes: each names its type, also in files of older versions.
fn canonical(json: &mut Value, tokenizer: &tokenizers::Tokenizer) -> Result<(), String> {
    let written = |e: serde_json::Error| e.to_string();
    json["normalizer"] = serde_json::to_value(tokenizer.get_normalizer()).map_err(written)?;
    json["pre_tokenizer"] = serde_json::to_value(tokenizer.get_pre_tokenizer()).map_err(written)?;
    json["post_processor"] = serde_json::to_value(tokenizer.get_post_processor()).map_err(written)?;
    json["decoder"] = serde_json::to_value(tokenizer.get_decoder()).map_err(written)?;
    json["model"]["type"] = match tokenizer.get_model() {
        tokenizers::ModelWrapper::BPE(_) => "BPE",
        tokenizers::ModelWrapper::WordPiece(_) => "WordPiece",
        tokenizers::ModelWrapper::WordLevel(_) => "WordLevel",
        tokenizers::ModelWrapper::Unigram(_) => "Unigram",
    }
    .into();
    Ok(())
}

/// Removes the added tokens from a file and returns them.
fn added_tokens(json: &mut Value) -> Result<Vec<AddedToken>, String> {
    let list = json.as_object_mut().and_then(|fields| fields.remove("added_tokens"));
    let Some(Value::Array(list)) = list.filter(|l| !l.is_null()).or(Some(json!([]))) else {
        return Err("added_tokens: not a list".into());
    };
    let token = |(at, entry): (usize, Value)| {
        serde_json::from_value(entry).map_err(|e| format!("added_tokens: entry {at}: {e}"))
    };
    list.into_iter().enumerate().map(token).collect()
}

impl Assembly {
    /// Whether a setting is on.
    pub(super) fn option(&self, key: &str) -> bool {
        self.scope.get(key).is_some_and(|value| !is_empty(value))
    }

    /// Special tokens in the order of their names, then those with class-specific names.
    fn specials(&self) -> impl Iterator<Item = &Token> {
        NAMED.iter().filter_map(|key| self.named.get(*key)).chain(self.specific.iter().map(|(_, token)| token))
    }

    /// Adds the tokens of `added_tokens_decoder`, then special tokens that are still missing.
    fn add_tokens(&mut self, settings: &Settings) {
        let mut wanted: Vec<Token> = settings.added.values().cloned().collect();
        let known = |wanted: &[Token], token: &Token| {
            wanted.iter().any(|t| t.content == token.content) || self.added.has(token)
        };
        for token in self.specials().chain(&self.extra) {
            if !known(&wanted, token) {
                wanted.push(token.clone());
            }
        }
        let names: Vec<String> = self.specials().map(|t| t.content.clone()).collect();
        for token in &mut wanted {
            token.special |= names.contains(&token.content);
        }
        self.added.add(wanted.iter().map(Token::added), self.tokenizer.get_model());
    }

    /// The id of a token.
    pub(super) fn id(&self, token: &str) -> Option<u32> {
        self.added.id(token, self.tokenizer.get_model())
    }

    /// Adds the tokens around a text: those that the class adds by itself, those that settings ask for, and those that
    /// the class adds last.
    fn surround(&mut self, class: Option<&Class>, settings: &Settings) -> Result<(), Fault> {
        let own = class.and_then(|c| c.post.as_ref());
        let first = |post: &&Post| matches!(post, Post::KeptOr(_));
        if let Some(post) = own.filter(first).map(|p| self.post(p)).transpose()?.flatten() {
            self.json["post_processor"] = post;
        }
        let explicit = ["add_bos_token", "add_eos_token"].iter().any(|key| settings.config.contains_key(*key));
        let again = explicit || self.adds_bos || self.json["post_processor"].is_null();
        if again {
            self.json["post_processor"] = self.bos_eos()?;
        }
        let last = |post: &&Post| !(first(post) || again && matches!(post, Post::InPlace(_)));
        if let Some(post) = own.filter(last).map(|p| self.post(p)).transpose()?.flatten() {
            self.json["post_processor"] = post;
        }
        Ok(())
    }

    /// Adds special tokens a second time, as some classes do.
    fn add_again(&mut self, how: AddsAll) {
        let plain = |token: &Token| AddedToken::from(token.content.clone(), true);
        let tokens: Vec<AddedToken> = match how {
            AddsAll::No => return,
            AddsAll::Plain => self.specials().chain(&self.extra).map(plain).collect(),
            AddsAll::Kept => {
                self.specials().chain(&self.extra).map(|t| Token { special: true, ..t.clone() }.added()).collect()
            }
        };
        self.added.add(tokens, self.tokenizer.get_model());
    }

    /// The complete file, with the remaining settings applied.
    fn finish(mut self, settings: &Settings) -> Result<Value, String> {
        let entries: Result<Vec<Value>, String> = (self.added.iter())
            .map(|(id, token)| {
                let mut entry = serde_json::to_value(token).map_err(|e| e.to_string())?;
                entry["id"] = json!(id);
                Ok(entry)
            })
            .collect();
        self.json["added_tokens"] = Value::Array(entries?);
        if self.cleans(settings) {
            let before = self.json["decoder"].take();
            self.json["decoder"] = cleaned(before);
        }
        supported::finish(&self.json)?;
        scripts::add(&mut self.json["pre_tokenizer"]);
        let again = parse(&self.json)?;
        tokenizer::normalized(&again).map_err(|unusable| unusable.to_string())?;
        for (id, token) in self.added.iter() {
            let found = again.token_to_id(&token.content);
            if found != Some(id) {
                return Err(format!(
                    "added tokens: {:?} has the id {id}, but the tokenizers library would give it {found:?}, because \
                     ids before it are missing; name tokens for all ids",
                    token.content
                ));
            }
        }
        if self.option("split_special_tokens") {
            self.json[supported::SPLIT_SPECIAL] = true.into();
        }
        if settings.cuts_left {
            self.json[supported::TRUNCATION_SIDE] = "left".into();
        }
        Ok(self.json)
    }

    /// Whether decoded texts are cleaned up: only if the tokens do not come from merges, unless the settings insist.
    fn cleans(&self, settings: &Settings) -> bool {
        let on = |key: &str| settings.config.get(key).is_some_and(|v| !is_empty(v));
        let merged = matches!(self.tokenizer.get_model(), tokenizers::ModelWrapper::BPE(_));
        on("clean_up_tokenization_spaces")
            && (!merged || on("clean_up_tokenization_spaces_for_bpe_even_though_it_will_corrupt_output"))
    }
}

/// A decoder whose text is cleaned up.
fn cleaned(decoder: Value) -> Value {
    let spaces = json!({"type": "WordPiece", "prefix": "\u{0}", "cleanup": false});
    // Without a decoder, tokens are joined with spaces.
    let mut all = vec![if decoder.is_null() { spaces } else { decoder }, json!({"type": "Fuse"})];
    all.extend(
        CLEAN_UP.iter().map(|(from, to)| json!({"type": "Replace", "pattern": {"String": from}, "content": to})),
    );
    json!({"type": "Sequence", "decoders": all})
}
