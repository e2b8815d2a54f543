//! Tests: the operators after `is`.

use crate::compare;
use crate::fault::{Res, fail, type_error};
use crate::filters;
use crate::interp::Interp;
use crate::ops;
use crate::repr::to_text;
use crate::text;
use crate::value::{Args, Object, Value};

const NAMES: [&str; 39] = [
    "odd",
    "even",
    "divisibleby",
    "defined",
    "undefined",
    "filter",
    "test",
    "none",
    "boolean",
    "false",
    "true",
    "integer",
    "float",
    "lower",
    "upper",
    "string",
    "mapping",
    "number",
    "sequence",
    "iterable",
    "callable",
    "sameas",
    "escaped",
    "in",
    "==",
    "eq",
    "equalto",
    "!=",
    "ne",
    ">",
    "gt",
    "greaterthan",
    "ge",
    ">=",
    "<",
    "lt",
    "lessthan",
    "<=",
    "le",
];

/// Whether a test exists.
pub(crate) fn exists(name: &str) -> bool {
    NAMES.contains(&name)
}

impl Interp<'_> {
    /// `value is name(args)`.
    pub(crate) fn test(&mut self, name: &str, value: &Value, args: Args) -> Res<bool> {
        self.budget.steps(1)?;
        if !exists(name) {
            return fail(format!("No test named '{name}'."));
        }
        let with_other = matches!(name, "divisibleby" | "sameas" | "in")
            || !name.starts_with(|c: char| c.is_alphabetic())
            || matches!(name, "eq" | "equalto" | "ne" | "gt" | "greaterthan" | "ge" | "lt" | "lessthan" | "le");
        let mut args = args.bind(name, if with_other { &["other"] } else { &[] })?;
        let other = if with_other { args.need(0)? } else { Value::None };
        Ok(match name {
            "odd" | "even" | "divisibleby" => {
                let by = if name == "divisibleby" { other } else { Value::Int(2) };
                let rest = ops::binary(&self.budget, crate::ast::Binary::Mod, value, &by)?;
                compare::equal(&self.budget, &rest, &Value::Int(i64::from(name == "odd")))?
            }
            "defined" => !value.is_undefined(),
            "undefined" => value.is_undefined(),
            "filter" | "test" => match value {
                Value::Str(s) if name == "filter" => filters::exists(&s.text),
                Value::Str(s) => exists(&s.text),
                Value::List(_) | Value::Dict(_) => {
                    return type_error(&format!("unhashable type: '{}'", value.type_name()));
                }
                _ => false,
            },
            "none" => value.is_none(),
            "boolean" => matches!(value, Value::Bool(_)),
            "false" => matches!(value, Value::Bool(false)),
            "true" => matches!(value, Value::Bool(true)),
            "integer" => matches!(value, Value::Int(_)),
            "float" => matches!(value, Value::Float(_)),
            "lower" => text::is(&to_text(&self.budget, value)?, "islower"),
            "upper" => text::is(&to_text(&self.budget, value)?, "isupper"),
            "string" => matches!(value, Value::Str(_)),
            "mapping" => matches!(value, Value::Dict(_)),
            "number" => matches!(value, Value::Bool(_) | Value::Int(_) | Value::Float(_)),
            // An undefined value has a length, and elements that only fail when they are accessed.
            "sequence" => !matches!(value, Value::View(..)) && ops::length(value).is_some(),
            "iterable" => ops::is_iterable(value),
            "callable" => match value {
                Value::Object(object) => !matches!(&**object, Object::Cycler(..) | Object::Blocks),
                Value::Function(_) | Value::Macro(_) | Value::Method(_) | Value::Undefined(_) => true,
                _ => false,
            },
            "sameas" => compare::same(value, &other),
            "escaped" => matches!(value, Value::Str(s) if s.safe),
            "in" => self.contains(&other, value)?,
            "==" | "eq" | "equalto" => compare::equal(&self.budget, value, &other)?,
            "!=" | "ne" => !compare::equal(&self.budget, value, &other)?,
            ">" | "gt" | "greaterthan" => compare::ordered(&self.budget, ">", value, &other)?,
            ">=" | "ge" => compare::ordered(&self.budget, ">=", value, &other)?,
            "<" | "lt" | "lessthan" => compare::ordered(&self.budget, "<", value, &other)?,
            _ => compare::ordered(&self.budget, "<=", value, &other)?,
        })
    }
}
