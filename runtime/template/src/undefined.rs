//! Error messages about undefined values.

use crate::fault::{Res, fail};
use crate::repr::{plain, quoted};
use crate::value::{Undefined, Value};

impl Undefined {
    pub(crate) fn message(&self) -> String {
        match self {
            Undefined::Name(name) => [&quoted(name), " is undefined"].concat(),
            Undefined::Attr(of, Value::Str(name)) => {
                let kind = if *of == "None" { "None" } else { &[of, " object"].concat() };
                ["'", kind, "' has no attribute ", &quoted(&name.text)].concat()
            }
            Undefined::Attr(of, element) => {
                let kind = if *of == "None" { "None" } else { &[of, " object"].concat() };
                [kind, " has no element ", &plain(element)].concat()
            }
            Undefined::Hint(text) | Undefined::Unsafe(text) => text.clone(),
        }
    }
}

/// The error for using an undefined value.
pub(crate) fn undefined<T>(why: &Undefined) -> Res<T> {
    fail(why.message())
}

/// Fails if a value is undefined.
pub(crate) fn defined(value: &Value) -> Res<()> {
    match value {
        Value::Undefined(why) => undefined(why),
        _ => Ok(()),
    }
}
