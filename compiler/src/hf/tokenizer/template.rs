//! Fills in the templates of tokenizer classes: replaces names by settings and tokens.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::settings::is_empty;

/// The values of names.
pub(super) type Scope = BTreeMap<String, Value>;

/// A part with its names replaced; `None` if it is a choice without a value.
pub(super) fn fill(part: &Value, scope: &Scope) -> Option<Value> {
    match part {
        Value::String(text) => Some(match text.strip_prefix('$') {
            Some(name) => scope.get(name).cloned().unwrap_or(Value::Null),
            None => part.clone(),
        }),
        Value::Array(items) => Some(Value::Array(items.iter().filter_map(|item| fill(item, scope)).collect())),
        Value::Object(fields) => match chosen(fields, scope) {
            Some(choice) => choice.and_then(|part| fill(part, scope)),
            None => Some(Value::Object(
                fields.iter().map(|(k, v)| (k.clone(), fill(v, scope).unwrap_or(Value::Null))).collect(),
            )),
        },
        Value::Null | Value::Bool(_) | Value::Number(_) => Some(part.clone()),
    }
}

/// The part that a choice selects; `None` if the object is not a choice.
fn chosen<'a>(fields: &'a Map<String, Value>, scope: &Scope) -> Option<Option<&'a Value>> {
    let value = |key: &str| fields.get(key).and_then(Value::as_str).map(|name| scope.get(name).unwrap_or(&Value::Null));
    let holds = match (value("$if"), value("$unless")) {
        (Some(given), _) => !is_empty(given),
        (None, Some(given)) => !given.is_null() && is_empty(given),
        (None, None) => return None,
    };
    Some(fields.get(if holds { "then" } else { "else" }))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn names_and_choices_are_filled_in() {
        let part = json!({"a": "$x", "list": [{"$if": "x", "then": 1}, {"$if": "none", "then": 2, "else": {"b": "$x"}},
            {"$unless": "none", "then": 3}, {"$unless": "off", "then": 4}]});
        let scope = Scope::from([("x".into(), json!("y")), ("none".into(), json!(null)), ("off".into(), json!(false))]);
        assert_eq!(fill(&part, &scope), Some(json!({"a": "y", "list": [1, {"b": "y"}, 4]})));
    }
}
