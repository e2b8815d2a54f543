//! The tokens around a text.

use serde_json::{Map, Value, json};

use super::assemble::Assembly;
use super::classes::Post;
use super::fault::Fault;

impl Assembly {
    /// The post-processor of a class; `None` if the class keeps the existing one.
    pub(super) fn post(&self, post: &Post) -> Result<Option<Value>, Fault> {
        match post {
            Post::Template(items) | Post::InPlace(items) => self.template(items).map(Some),
            Post::KeptOr(items) if self.json["post_processor"].is_null() => self.template(items).map(Some),
            Post::KeptOr(_) => Ok(None),
            Post::Pair(kind, begin, end) => {
                let [begin, end] = [self.token(begin)?, self.token(end)?];
                Ok(Some(pair(kind, &begin, &end)))
            }
            Post::Fixed(kind, begin, first, end, last) => {
                let [begin, end] = [self.token(begin)?.0, self.token(end)?.0];
                Ok(Some(pair(kind, &(begin, *first), &(end, *last))))
            }
            Post::BosEos => self.bos_eos().map(Some),
        }
    }

    /// The post-processor for `add_bos_token` and `add_eos_token`. Tokens that do not exist are not added.
    pub(super) fn bos_eos(&self) -> Result<Value, Fault> {
        let wanted = |key: &str| self.option(key);
        let mut items = vec!["$A".to_string()];
        if (wanted("add_bos_token") || self.adds_bos) && self.named.contains_key("bos_token") {
            items.insert(0, "$bos_token".into());
        }
        if wanted("add_eos_token") && self.named.contains_key("eos_token") {
            items.push("$eos_token".into());
        }
        self.template(&items)
    }

    /// A template of tokens around `$A`. Pairs of texts, which are never used here, get the tokens of a single text,
    /// followed by the second text.
    fn template(&self, items: &[String]) -> Result<Value, Fault> {
        let (mut single, mut specials) = (Vec::new(), Map::new());
        for item in items {
            if item == "$A" {
                single.push(json!({"Sequence": {"id": "A", "type_id": 0}}));
                continue;
            }
            let Some(item) = self.wanted(item) else { continue };
            let (name, id) = self.token(&item)?;
            single.push(json!({"SpecialToken": {"id": name, "type_id": 0}}));
            specials.insert(name.clone(), json!({"id": name, "ids": [id], "tokens": [name]}));
        }
        let mut pair = single.clone();
        pair.push(json!({"Sequence": {"id": "B", "type_id": 1}}));
        Ok(json!({"type": "TemplateProcessing", "single": single, "pair": pair, "special_tokens": specials}))
    }

    /// The item without its condition, as explained in `models/tokenizers/classes.ron`; `None` if the condition is
    /// false.
    fn wanted(&self, item: &str) -> Option<String> {
        let condition = |sign| item.strip_prefix(sign).and_then(|rest: &str| rest.split_once(':'));
        if let Some((option, text)) = condition('?') {
            return Some(text.replace("{}", &self.scope.get(option)?.as_str()?.to_lowercase()));
        }
        if let Some((option, default)) = condition('@') {
            let value = self.scope.get(option).and_then(Value::as_str);
            return Some(value.unwrap_or(default).to_string());
        }
        let (wanted, text) = match (condition('!'), condition('+')) {
            (Some((option, text)), _) => (!self.option(option), text),
            (None, Some((option, text))) => (self.option(option), text),
            (None, None) => return Some(item.to_string()),
        };
        if wanted { self.wanted(text) } else { None }
    }

    /// A token and its id: `$name` is a special token, anything else the token's text. Unknown tokens become the
    /// unknown token.
    fn token(&self, item: &str) -> Result<(String, u32), Fault> {
        let content = match item.strip_prefix('$') {
            Some(name) => self.named.get(name).map(|t| t.content.clone()).ok_or_else(|| {
                let message = format!("`{name}` is null, but the tokenizer class adds it to texts; name a token");
                Fault::settings(message)
            })?,
            None => item.to_string(),
        };
        if let Some(id) = self.id(&content) {
            return Ok((content, id));
        }
        let unknown = self.named.get("unk_token").map(|t| t.content.clone());
        let known = unknown.and_then(|u| self.id(&u).map(|id| (u, id)));
        known.ok_or_else(|| {
            format!("the tokenizer class adds {content:?} to texts, but the vocabulary does not have it").into()
        })
    }
}

fn pair(kind: &str, begin: &(String, u32), end: &(String, u32)) -> Value {
    let mut post = json!({"type": kind, "sep": end, "cls": begin});
    if kind == "RobertaProcessing" {
        post["trim_offsets"] = true.into();
        post["add_prefix_space"] = false.into();
    }
    post
}
