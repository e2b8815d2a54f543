//! `apply_chat_template`: turns messages into a prompt.

use std::rc::Rc;

use crate::fault::{Error, Fault, Kind, Res};
use crate::json;
use crate::ops::truth;
use crate::template::{Template, object, with_stack};
use crate::value::{Dict, Value};

/// A marker after the text to be continued, to find it in the rendered prompt.
const CONTINUE_TAG: &str = "CONTINUE_FINAL_MESSAGE_TAG ";
/// Keys for the reasoning of a message; templates read the first one.
const REASONING: [&str; 3] = ["reasoning_content", "thinking", "reasoning"];
/// The text of probe messages.
const PROBE: &str = "QuickBrownFox7";

/// The form that a template expects of message contents.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Content {
    /// Only strings.
    Text,
    /// Only lists of parts.
    Parts,
    /// Both, or it cannot be determined.
    #[default]
    Any,
}

impl Content {
    /// Its name in a bundle's `chat_template.json`.
    pub fn name(self) -> &'static str {
        match self {
            Content::Text => "text",
            Content::Parts => "parts",
            Content::Any => "any",
        }
    }
}

/// Checks the syntax of a template. `file` is its name for messages.
///
/// # Errors
/// If the template cannot be parsed.
pub fn check(file: &str, source: &str) -> Result<(), Error> {
    with_stack(|| Template::parse(file, source).map(drop))
}

/// The form that a template expects of message contents, determined by rendering a probe in both forms. `variables` is
/// a JSON object.
///
/// # Errors
/// If the template cannot be parsed, or `variables` is not a JSON object.
pub fn content_of(file: &str, source: &str, variables: &str) -> Result<Content, Error> {
    with_stack(|| {
        let template = Template::parse(file, source)?;
        let variables = object(variables).map_err(input)?;
        let shows = |content: &str| {
            let messages = format!(r#"[{{"role": "user", "content": {content}}}]"#);
            let Ok(messages) = json::parse(&messages) else { return false };
            let mut all = variables.clone();
            all.push(("messages".into(), messages));
            all.push(("add_generation_prompt".into(), Value::Bool(true)));
            all.extend(["tools", "documents"].map(|name| (name.into(), Value::None)));
            // If a list was printed as it is, the probe appears in quotes.
            template.render(all, 0).is_ok_and(|text| text.contains(PROBE) && !text.contains(&format!("'{PROBE}'")))
        };
        let text = shows(&format!("\"{PROBE}\""));
        let parts = shows(&format!(r#"[{{"type": "text", "text": "{PROBE}"}}]"#));
        Ok(match (text, parts) {
            (true, false) => Content::Text,
            (false, true) => Content::Parts,
            (true, true) | (false, false) => Content::Any,
        })
    })
}

#[expect(clippy::boxed_local, reason = "faults travel in boxes, and this ends their way")]
fn input(fault: Box<Fault>) -> Error {
    Error { kind: Kind::Input, file: String::new(), line: 0, message: fault.message }
}

fn wrong<T>(message: impl Into<String>) -> Result<T, Error> {
    Err(Error { kind: Kind::Input, file: String::new(), line: 0, message: message.into() })
}

/// Renders the prompt for a conversation.
///
/// `chat` is the content of a bundle's `chat_template.json`. `request` is a JSON object with `messages`, and with the
/// arguments of `apply_chat_template` in transformers: `tools`, `documents`, `add_generation_prompt`,
/// `continue_final_message`, `chat_template` (the name of a template), `variables` (additional variables), and `now`
/// (the time in seconds since 1970, UTC). `image` describes how a prompt represents an image: an object with the text
/// `placeholder` and the text `token` of the one token in it that marks the image. If a template does not read parts,
/// or does not write exactly one such token per image, it gets messages as strings with placeholders instead.
///
/// # Errors
/// If the request is malformed, or the template raises an error or fails.
pub fn render_chat(chat: &str, request: &str) -> Result<String, Error> {
    with_stack(|| {
        let chat = dict(json::parse(chat).map_err(input)?, "chat_template.json")?;
        let request = dict(json::parse(request).map_err(input)?, "the request")?;
        Request { chat: &chat, request: &request }.render()
    })
}

fn dict(value: Value, what: &str) -> Result<Rc<Dict>, Error> {
    match value {
        Value::Dict(dict) => Ok(dict),
        _ => wrong(format!("{what}: not a JSON object")),
    }
}

fn text_of<'a>(dict: &'a Dict, key: &str) -> Option<&'a str> {
    match dict.get_str(key) {
        Some(Value::Str(s)) => Some(&s.text),
        _ => None,
    }
}

struct Request<'a> {
    chat: &'a Dict,
    request: &'a Dict,
}

/// How a prompt represents an image.
struct Placeholder<'a> {
    /// The placeholder text.
    text: &'a str,
    /// The text of the token in it that marks the image.
    token: &'a str,
}

impl Request<'_> {
    fn value(&self, name: &str) -> Value {
        self.request.get_str(name).cloned().unwrap_or(Value::None)
    }

    fn render(&self) -> Result<String, Error> {
        let messages = match self.value("messages") {
            Value::List(seq) if !seq.items.is_empty() => seq.items.clone(),
            Value::List(_) => {
                return wrong("Cannot apply chat template to an empty conversation. Provide at least one message.");
            }
            _ => return wrong("messages: expected a list of messages"),
        };
        let parts = || messages.iter().flat_map(parts);
        let images = parts().filter(|part| is_image(part)).count();
        let Some(image) = self.placeholder()?.filter(|_| images > 0) else { return self.rendered(&messages, None) };
        if text_of(self.chat, "content") != Some("text") {
            // Messages may contain placeholders already.
            let written: usize = parts().map(|part| placeholders(part, image.token)).sum();
            match self.rendered(&messages, None) {
                Ok(text) if text.matches(image.token).count() == images + written => return Ok(text),
                Err(e) if e.kind == Kind::Limit => return Err(e),
                Ok(_) | Err(_) => {}
            }
        }
        self.rendered(&messages, Some(image.text))
    }

    fn placeholder(&self) -> Result<Option<Placeholder<'_>>, Error> {
        match self.request.get_str("image") {
            None | Some(Value::None) => Ok(None),
            Some(Value::Dict(image)) => match (text_of(image, "placeholder"), text_of(image, "token")) {
                (Some(text), Some(token)) if !token.is_empty() => Ok(Some(Placeholder { text, token })),
                _ => wrong("image: expected texts `placeholder` and `token`"),
            },
            Some(_) => wrong("image: expected an object"),
        }
    }

    /// Renders the prompt. With a `placeholder`, contents are strings in which it replaces images.
    fn rendered(&self, messages: &[Value], placeholder: Option<&str>) -> Result<String, Error> {
        let messages = messages.iter().map(|m| self.message(m, placeholder)).collect::<Result<Vec<_>, _>>()?;
        for (name, what) in [("tools", "Tools should be JSON schemas"), ("documents", "Documents should be objects")] {
            let objects = |all: &[Value]| all.iter().all(|v| matches!(v, Value::Dict(_)));
            match self.value(name) {
                Value::None => {}
                Value::List(seq) if objects(&seq.items) => {}
                _ => return wrong(format!("{name}: expected a list of objects: {what}")),
            }
        }
        let (file, source) = self.template()?;
        let generate = truth(&self.value("add_generation_prompt"));
        let open = match self.value("continue_final_message") {
            Value::Str(field) => Some(field.text.to_string()),
            other => truth(&other).then(|| "content".to_string()),
        };
        if open.is_some() && generate {
            return wrong(
                "continue_final_message and add_generation_prompt are not compatible: the final message is continued, or \
                 the assistant begins a new one",
            );
        }
        let mut messages = messages.into_iter().map(alias).collect::<Result<Vec<_>, _>>()?;
        let last = match &open {
            Some(field) => Some(tag(&mut messages, field, source)?),
            None => None,
        };
        let variables = self.variables(messages, generate)?;
        let now = self.value("now").as_int().unwrap_or(0);
        let text = Template::parse(file, source)?.render(variables, now)?;
        match last {
            Some(last) => cut(&text, &last),
            None => Ok(text),
        }
    }

    /// The variables of the template; later ones take precedence.
    fn variables(&self, messages: Vec<Value>, generate: bool) -> Result<Vec<(Rc<str>, Value)>, Error> {
        let mut all: Vec<(Rc<str>, Value)> = vec![
            ("messages".into(), Value::list(messages).map_err(input)?),
            ("tools".into(), self.value("tools")),
            ("documents".into(), self.value("documents")),
            ("add_generation_prompt".into(), Value::Bool(generate)),
        ];
        let more = [self.request.get_str("variables"), self.chat.get_str("variables")];
        for more in more.into_iter().flatten() {
            let Value::Dict(more) = more else { return wrong("variables: expected an object") };
            for (name, value) in &more.entries {
                if let Value::Str(name) = name
                    && !all.iter().any(|(n, _)| *n == name.text)
                {
                    all.push((name.text.clone(), value.clone()));
                }
            }
        }
        Ok(all)
    }

    /// The file and the source of the template to use.
    fn template(&self) -> Result<(&str, &str), Error> {
        let templates = match self.chat.get_str("templates") {
            Some(Value::List(seq)) => &seq.items[..],
            _ => return wrong("chat_template.json: no list `templates`"),
        };
        let find = |name: &str| {
            templates.iter().find_map(|t| match t {
                Value::Dict(t) if text_of(t, "name") == Some(name) => {
                    Some((text_of(t, "file")?, text_of(t, "source")?))
                }
                _ => None,
            })
        };
        let by_tools = self.chat.get_str("by_tools").is_some_and(truth) && !self.value("tools").is_none();
        let found = match self.value("chat_template") {
            Value::Str(name) => find(&name.text),
            _ => by_tools.then(|| find("tool_use")).flatten().or_else(|| find("default")),
        };
        match found {
            Some(found) => Ok(found),
            None => {
                let names = templates.iter().filter_map(|t| match t {
                    Value::Dict(t) => text_of(t, "name"),
                    _ => None,
                });
                let names: Vec<&str> = names.collect();
                wrong(format!("name one of the chat templates of this model: {}", names.join(", ")))
            }
        }
    }

    /// A message in the form that the template expects: without null entries, and with contents as strings or parts.
    fn message(&self, message: &Value, placeholder: Option<&str>) -> Result<Value, Error> {
        let Value::Dict(message) = message else { return wrong("messages: expected objects") };
        let content = text_of(self.chat, "content");
        let mut entries = Vec::new();
        for (key, value) in &message.entries {
            let is_content = matches!(key, Value::Str(k) if *k.text == *"content");
            let value = match value {
                Value::None => continue,
                Value::Str(_) if is_content && content == Some("parts") => part(value.clone())?,
                Value::List(parts) if is_content => match joined(&parts.items, placeholder) {
                    Some(text) if content == Some("text") => Value::str(text),
                    Some(text) if placeholder.is_some() && content == Some("parts") => part(Value::str(text))?,
                    Some(text) if placeholder.is_some() => Value::str(text),
                    _ => {
                        Value::list(parts.items.iter().map(image).collect::<Res<_>>().map_err(input)?).map_err(input)?
                    }
                },
                other => other.clone(),
            };
            entries.push((key.clone(), value));
        }
        Ok(Value::Dict(Dict::new(entries).map_err(input)?))
    }
}

/// A string as the only part of a message.
fn part(text: Value) -> Result<Value, Error> {
    let part = Dict::new([(Value::str("type"), Value::str("text")), (Value::str("text"), text)]).map_err(input)?;
    Value::list(vec![Value::Dict(part)]).map_err(input)
}

/// The parts of a message; a string counts as a single part.
fn parts(message: &Value) -> &[Value] {
    let Value::Dict(message) = message else { return &[] };
    match message.get_str("content") {
        Some(Value::List(parts)) => &parts.items,
        Some(text) => std::slice::from_ref(text),
        None => &[],
    }
}

/// The number of placeholder tokens in a string or a text part.
fn placeholders(part: &Value, token: &str) -> usize {
    let text = match part {
        Value::Str(text) => Some(&*text.text),
        Value::Dict(part) => text_of(part, "text"),
        _ => None,
    };
    text.map_or(0, |text| text.matches(token).count())
}

fn is_image(part: &Value) -> bool {
    matches!(part, Value::Dict(part) if matches!(text_of(part, "type"), Some("image" | "image_url")))
}

/// Joins parts into one string, with the placeholder in place of images. `None` if there are other parts, or images
/// without a placeholder.
fn joined(parts: &[Value], placeholder: Option<&str>) -> Option<String> {
    let mut out = String::new();
    for part in parts {
        match part {
            Value::Dict(dict) if text_of(dict, "type") == Some("text") => out.push_str(text_of(dict, "text")?),
            part if is_image(part) => out.push_str(placeholder?),
            _ => return None,
        }
    }
    Some(out)
}

/// A part in the form that templates expect: `image_url` of OpenAI becomes an image with a URL.
fn image(part: &Value) -> Res<Value> {
    if let Value::Dict(dict) = part
        && text_of(dict, "type") == Some("image_url")
        && let Some(url) = dict.get_str("image_url")
    {
        let url = match url {
            Value::Dict(inner) => inner.get_str("url").cloned().unwrap_or_else(|| Value::str("")),
            other => other.clone(),
        };
        let entries = [(Value::str("type"), Value::str("image")), (Value::str("url"), url)];
        return Ok(Value::Dict(Dict::new(entries)?));
    }
    Ok(part.clone())
}

/// Copies the reasoning to all keys that templates read.
fn alias(message: Value) -> Result<Value, Error> {
    let Value::Dict(dict) = &message else { return Ok(message) };
    let Some(reasoning) = REASONING.iter().find_map(|name| dict.get_str(name)).cloned() else { return Ok(message) };
    let key = Value::str;
    let mut all = vec![(key("thinking"), reasoning.clone())];
    all.extend(dict.entries.iter().cloned());
    all.push((key(REASONING[0]), reasoning));
    Ok(Value::Dict(Dict::new(all).map_err(input)?))
}

/// Marks the end of the last message, and returns its text.
fn tag(messages: &mut [Value], field: &str, source: &str) -> Result<String, Error> {
    let Some(Value::Dict(last)) = messages.last() else { return wrong("messages: expected objects") };
    let Some(text) = last.get_str(field).cloned() else {
        return wrong(format!("continue_final_message is set but the final message has no \"{field}\" to continue!"));
    };
    let budget = crate::budget::Budget::new();
    let equal =
        |name: &str| last.get_str(name).is_some_and(|v| crate::compare::equal(&budget, v, &text).unwrap_or(false));
    let fields: Vec<&str> = match REASONING.contains(&field) {
        true => REASONING.into_iter().filter(|name| equal(name)).collect(),
        false => vec![field],
    };
    if !fields.iter().any(|field| source.contains(field)) {
        return wrong(format!(
            "continue_final_message is set to \"{field}\" but this is not an accepted field in the chat_template"
        ));
    }
    let tagged = |text: &str| Value::str([text, CONTINUE_TAG].concat());
    let (new, found) = match &text {
        Value::Str(s) => (tagged(&s.text), s.text.to_string()),
        Value::List(parts) => {
            let mut parts = parts.items.clone();
            let text = |part: &Value| match part {
                Value::Dict(part) => text_of(part, "text").map(str::to_string),
                _ => None,
            };
            let Some((at, text)) = parts.iter().enumerate().rev().find_map(|(at, part)| Some((at, text(part)?))) else {
                return wrong(
                    "continue_final_message is set but we could not find any text to continue in the final message!",
                );
            };
            if let Value::Dict(part) = &parts[at] {
                parts[at] = with(part, &["text"], &tagged(&text))?;
            }
            (Value::list(parts).map_err(input)?, text)
        }
        _ => return wrong(format!("continue_final_message: \"{field}\" of the final message is no text")),
    };
    let new = with(last, if matches!(text, Value::List(_)) { &fields[..1] } else { &fields }, &new)?;
    if let Some(last) = messages.last_mut() {
        *last = new;
    }
    Ok(found)
}

/// A copy of a dict with `value` under the given keys.
fn with(dict: &Dict, keys: &[&str], value: &Value) -> Result<Value, Error> {
    let replaced = keys.iter().map(|key| (Value::str(*key), value.clone()));
    Ok(Value::Dict(Dict::new(dict.entries.iter().cloned().chain(replaced)).map_err(input)?))
}

/// The prompt up to the end of the last message.
fn cut(rendered: &str, last: &str) -> Result<String, Error> {
    let space = crate::unicode::is_space;
    let tag = CONTINUE_TAG.trim();
    let at = rendered.rfind(tag).filter(|_| rendered.contains(last.trim_matches(space)));
    let Some(at) = at else {
        let last: String = last.trim_matches(space).chars().take(200).collect();
        return wrong(format!(
            "continue_final_message is set but the final message does not appear in the chat after applying the chat \
             template: {}",
            crate::repr::quoted(&last)
        ));
    };
    // If the template keeps whitespace, leading text stays as it is.
    let kept = &rendered[..at];
    Ok(if rendered[at..].starts_with(CONTINUE_TAG) { kept } else { kept.trim_end_matches(space) }.to_string())
}
