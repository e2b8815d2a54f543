//! The table of functions, and how arguments find their parameters.

use super::diagnostics::nearest_hint;
use super::expr::{Argument, Expr};
use super::lexer::FormulaError;
use crate::scalar::Unary;

/// A function that formulas can call.
#[derive(Clone, Copy)]
pub(super) struct Function {
    pub(super) name: &'static str,
    /// Its parameters; `name?` is optional.
    pub(super) params: &'static [&'static str],
    /// Its result in words, for `models/OPS.md`.
    pub(super) doc: &'static str,
}

const fn function(name: &'static str, params: &'static [&'static str], doc: &'static str) -> Function {
    Function { name, params, doc }
}

/// All functions except those of a single element.
const FUNCTIONS: &[Function] = &[
    // element-wise ones of two and three values; those of one are rows of `crate::scalar`
    function("pow", &["x", "y"], "the same as `x ^ y`"),
    function("select", &["condition", "yes", "no"], "`yes` where the condition holds, else `no`, element by element"),
    function("f32", &["x"], "conversion; of a vector, rounded to single precision"),
    function("i32", &["x"], "conversion; drops the fraction, bool becomes 0 or 1"),
    // reductions; `max` and `min` are element-wise with two values
    function("sum", &["x", "axis"], "the sum over an axis, which is kept with size 1"),
    function("mean", &["x", "axis"], "the mean over an axis, which is kept with size 1"),
    function(
        "max",
        &["x", "y?", "axis?"],
        "with `y` the larger one, element by element; with `axis` the largest over that axis, which is kept with \
         size 1",
    ),
    function(
        "min",
        &["x", "y?", "axis?"],
        "with `y` the smaller one, element by element; with `axis` the smallest over that axis, which is kept with \
         size 1",
    ),
    function("argmax", &["x"], "the index of the largest element on the last axis, which is kept with size 1"),
    function("top_k", &["x", "k"], "the indices of the k largest on the last axis, largest first"),
    // contraction
    function(
        "matmul",
        &["a", "b", "transpose_b?"],
        "the matrix product over the last two axes; `transpose_b: true` transposes `b`. Leading axes broadcast",
    ),
    // movement
    function(
        "reshape",
        &["x", "shape"],
        "the same elements in another shape, a list; one dimension may be -1 (inferred)",
    ),
    function("permute", &["x", "axes"], "a permutation of axes: result axis i is operand axis `axes[i]`"),
    function("transpose", &["x"], "exchanges the last two axes"),
    function("broadcast", &["x", "shape"], "repeats dimensions of size 1"),
    function("squeeze", &["x", "axis"], "removes an axis of size 1"),
    function("unsqueeze", &["x", "axis"], "inserts an axis of size 1"),
    function(
        "slice",
        &["x", "axis", "start", "length"],
        "elements `start` to `start + length` of an axis, where indexing does not suffice",
    ),
    function(
        "concat",
        &["parts", "axis?"],
        "a list of tensors joined along an axis (default: the last one; null ones are left out), or of vectors",
    ),
    function(
        "pad",
        &["x", "axis", "before?", "after?", "value?"],
        "pads an axis with `before` and `after` elements of `value`; all default to 0",
    ),
    function(
        "windows",
        &["x", "axis", "size", "stride?", "dilation?"],
        "overlapping windows of an axis: a new axis of length `size` follows it, element `[o, j]` is element `o * \
         stride + j * dilation` of `x`; both default to 1",
    ),
    function(
        "gather",
        &["table", "indices"],
        "rows of the first axis by index; the shape is that of `indices`, followed by the rest of that of `table`",
    ),
    function("take_last", &["x", "indices"], "elements of the last axis by index; the other axes must be equal"),
    // without operands
    function("iota", &["length"], "the tensor 0, 1, ... (i32)"),
    function("range", &["length"], "the vector 0, 1, ..."),
    function("vector", &["list"], "a list of numbers as a vector"),
    function("table", &["vector"], "a vector as a tensor"),
    // questions
    function("dim", &["x", "axis"], "a dimension of a tensor"),
    function("shape", &["x"], "all dimensions of a tensor, as a list"),
    function("rank", &["x"], "how many dimensions a tensor has"),
    function("length", &["list"], "elements of a list or vector, entries of an object"),
    function("is_list", &["x"], "whether it is a list, for config keys that can also be a number"),
    function("fail", &["message"], "stops with this message"),
];

/// Forms that do not evaluate all of their arguments.
const FORMS: &[Function] = &[
    function("present", &["x"], "whether a weight, config key or argument exists"),
    function(
        "choose",
        &["text", "a: ..", "b: .."],
        "the argument with that name; any other text is an error that lists the names",
    ),
    function(
        "append",
        &["state", "x", "window?"],
        "appends `x` to a state, and returns all of it; with a `window`, each token may use only that many of the \
         newest tokens, including itself (null: all)",
    ),
    function("keep", &["state", "x"], "stores `x` in a state for later calls, and returns it"),
    function("previous", &["state"], "the value of a state from the previous call; zeros if there are no past tokens"),
    function("update", &["state", "x"], "stores `x` in a state for the next call, and returns it"),
];

/// The form with this name.
pub(super) fn form(name: &str) -> Option<Function> {
    FORMS.iter().copied().find(|f| f.name == name)
}

/// The functions of one element, from their rows.
fn of_one_element() -> impl Iterator<Item = Function> {
    let rows = Unary::ALL.iter().map(|f| f.row()).filter(|row| row.called);
    rows.map(|row| function(row.name, &["x"], row.doc))
}

/// Everything that a formula can call by name, except blocks, in the order of the manual.
pub(super) fn all() -> impl Iterator<Item = Function> {
    of_one_element().chain(FUNCTIONS.iter().copied()).chain(FORMS.iter().copied())
}

/// The function with this name.
pub(super) fn find(name: &str) -> Option<Function> {
    all().find(|f| f.name == name && form(name).is_none())
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
            let message = format!("the argument `{}` of `{callee}` occurs twice", params[slot].0);
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
pub(super) fn parameters(function: Function) -> Vec<(&'static str, bool)> {
    function.params.iter().map(|p| (p.trim_end_matches('?'), p.ends_with('?'))).collect()
}
