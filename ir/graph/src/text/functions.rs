//! The table of functions, and how arguments find their parameters.

use super::diagnostics::nearest_hint;
use super::expr::{Argument, Expr};
use super::lexer::FormulaError;
use crate::scalar::Unary;

/// A function that formulas can call: its name and its parameters (`name?` may be left out).
pub(super) struct Function {
    pub(super) name: &'static str,
    pub(super) params: &'static [&'static str],
}

const fn function(name: &'static str, params: &'static [&'static str]) -> Function {
    Function { name, params }
}

/// All functions. What they mean is in `models/README.md`.
pub(super) const FUNCTIONS: &[Function] = &[
    // element-wise
    function("exp", &["x"]),
    function("log", &["x"]),
    function("sqrt", &["x"]),
    function("rsqrt", &["x"]),
    function("recip", &["x"]),
    function("tanh", &["x"]),
    function("erf", &["x"]),
    function("sin", &["x"]),
    function("cos", &["x"]),
    function("abs", &["x"]),
    function("floor", &["x"]),
    function("pow", &["x", "y"]),
    function("select", &["condition", "yes", "no"]),
    function("f32", &["x"]),
    function("i32", &["x"]),
    // reductions; `max` and `min` are element-wise with two values
    function("sum", &["x", "axis"]),
    function("mean", &["x", "axis"]),
    function("max", &["x", "y?", "axis?"]),
    function("min", &["x", "y?", "axis?"]),
    function("argmax", &["x"]),
    function("top_k", &["x", "k"]),
    // contraction
    function("matmul", &["a", "b", "transpose_b?"]),
    // movement
    function("reshape", &["x", "shape"]),
    function("permute", &["x", "axes"]),
    function("transpose", &["x"]),
    function("broadcast", &["x", "shape"]),
    function("squeeze", &["x", "axis"]),
    function("unsqueeze", &["x", "axis"]),
    function("slice", &["x", "axis", "start", "length"]),
    function("concat", &["parts", "axis?"]),
    function("pad", &["x", "axis", "before?", "after?", "value?"]),
    function("windows", &["x", "axis", "size", "stride?", "dilation?"]),
    function("gather", &["table", "indices"]),
    function("take_last", &["x", "indices"]),
    // made from nothing
    function("iota", &["length"]),
    function("range", &["length"]),
    function("vector", &["list"]),
    function("table", &["vector"]),
    // questions
    function("dim", &["x", "axis"]),
    function("shape", &["x"]),
    function("rank", &["x"]),
    function("length", &["list"]),
    function("is_list", &["x"]),
    function("fail", &["message"]),
];

/// Forms that do not evaluate all of their arguments.
pub(super) const FORMS: &[&str] = &["present", "choose", "append", "keep"];

pub(super) const UNARY: &[(&str, Unary)] = &[
    ("exp", Unary::Exp),
    ("log", Unary::Log),
    ("sqrt", Unary::Sqrt),
    ("rsqrt", Unary::Rsqrt),
    ("recip", Unary::Recip),
    ("tanh", Unary::Tanh),
    ("erf", Unary::Erf),
    ("sin", Unary::Sin),
    ("cos", Unary::Cos),
    ("abs", Unary::Abs),
    ("floor", Unary::Floor),
];

/// The function with this name.
pub(super) fn find(name: &str) -> Option<&'static Function> {
    FUNCTIONS.iter().find(|f| f.name == name)
}

/// Puts arguments into the order of the parameters.
///
/// # Errors
/// Too many arguments, an unknown or repeated name, a missing argument.
pub(super) fn match_arguments<'e, 'a>(
    callee: &str,
    params: &[(&str, bool)],
    arguments: &'e [Argument<'a>],
    at: &'a str,
) -> Result<Vec<Option<&'e Expr<'a>>>, FormulaError<'a>> {
    let mut slots: Vec<Option<&'e Expr<'a>>> = vec![None; params.len()];
    for (i, argument) in arguments.iter().enumerate() {
        let slot = match argument.name {
            None if i >= params.len() => {
                let message = match params.len() {
                    0 => format!("`{callee}` takes no arguments"),
                    1 => format!("`{callee}` takes one argument, found more"),
                    n => format!("`{callee}` takes {n} arguments, found more"),
                };
                return Err(FormulaError::new(argument.value.text, message));
            }
            None => i,
            Some(name) => match params.iter().position(|(p, _)| *p == name) {
                Some(slot) => slot,
                None => {
                    let mut error = FormulaError::new(name, format!("`{callee}` has no argument `{name}`"));
                    let valid: Vec<&str> = params.iter().map(|(p, _)| *p).collect();
                    error.hint = nearest_hint(name, valid.iter().copied())
                        .or_else(|| Some(format!("its arguments are {}", valid.join(", "))));
                    return Err(error);
                }
            },
        };
        if slots[slot].replace(&argument.value).is_some() {
            let message = format!("the argument `{}` of `{callee}` is given twice", params[slot].0);
            return Err(FormulaError::new(argument.value.text, message));
        }
    }
    let missing = params.iter().zip(&slots).find(|((_, optional), slot)| slot.is_none() && !optional);
    match missing {
        Some(((name, _), _)) => Err(FormulaError::new(at, format!("the argument `{name}` of `{callee}` is missing"))),
        None => Ok(slots),
    }
}

/// The parameters of a function, with whether they may be left out.
pub(super) fn parameters(function: &Function) -> Vec<(&'static str, bool)> {
    function.params.iter().map(|p| (p.trim_end_matches('?'), p.ends_with('?'))).collect()
}
