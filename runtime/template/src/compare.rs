//! Compares values: `==`, `is`, `<`, and sorting.

use std::rc::Rc;

use crate::budget::Budget;
use crate::fault::{MAX_NESTING, Res, limit, type_error};
use crate::undefined::defined;
use crate::value::{Dict, Value, View};

/// `a == b`.
pub(crate) fn equal(budget: &Budget, a: &Value, b: &Value) -> Res<bool> {
    equal_at(budget, a, b, 0)
}

fn equal_at(budget: &Budget, a: &Value, b: &Value, depth: u32) -> Res<bool> {
    budget.steps(1)?;
    if depth > MAX_NESTING {
        return limit("compares values nested", u64::from(MAX_NESTING), " deep");
    }
    Ok(match (a, b) {
        (Value::Undefined(_), Value::Undefined(_)) | (Value::None, Value::None) => true,
        (Value::Str(a), Value::Str(b)) => a.text == b.text,
        (Value::List(a), Value::List(b)) | (Value::Tuple(a), Value::Tuple(b)) => {
            if a.items.len() != b.items.len() {
                return Ok(false);
            }
            for (a, b) in a.items.iter().zip(&b.items) {
                if !same(a, b) && !equal_at(budget, a, b, depth + 1)? {
                    return Ok(false);
                }
            }
            true
        }
        (Value::Dict(a), Value::Dict(b)) => equal_dicts(budget, a, b, depth)?,
        (Value::View(View::Keys, a), Value::View(View::Keys, b)) => {
            a.entries.len() == b.entries.len()
                && a.entries
                    .iter()
                    .map(|(k, _)| Ok(b.get(k)?.is_some()))
                    .collect::<Res<Vec<bool>>>()?
                    .into_iter()
                    .all(|x| x)
        }
        (Value::Range(a), Value::Range(b)) => {
            a.count == b.count && (a.count == 0 || a.start == b.start && (a.count == 1 || a.step == b.step))
        }
        (a, b) => match (a.as_int(), b.as_int()) {
            (Some(a), Some(b)) => a == b,
            _ => match (a.as_float(), b.as_float()) {
                (Some(a), Some(b)) => a == b,
                _ => same(a, b),
            },
        },
    })
}

fn equal_dicts(budget: &Budget, a: &Rc<Dict>, b: &Rc<Dict>, depth: u32) -> Res<bool> {
    if a.entries.len() != b.entries.len() {
        return Ok(false);
    }
    for (key, value) in &a.entries {
        match b.get(key)? {
            Some(other) if same(value, other) || equal_at(budget, value, other, depth + 1)? => {}
            _ => return Ok(false),
        }
    }
    Ok(true)
}

/// `a is b`.
pub(crate) fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Undefined(a), Value::Undefined(b)) => Rc::ptr_eq(a, b),
        (Value::None, Value::None) => true,
        (Value::Bool(a), Value::Bool(b)) => a == b,
        // Python interns small integers and the strings of the template.
        (Value::Int(a), Value::Int(b)) => a == b && (-5..=256).contains(a),
        (Value::Str(a), Value::Str(b)) => Rc::ptr_eq(&a.text, &b.text) && a.safe == b.safe,
        (Value::List(a), Value::List(b)) | (Value::Tuple(a), Value::Tuple(b)) => Rc::ptr_eq(a, b),
        (Value::Dict(a), Value::Dict(b)) => Rc::ptr_eq(a, b),
        (Value::Iter(a), Value::Iter(b)) => Rc::ptr_eq(a, b),
        (Value::Namespace(a), Value::Namespace(b)) => Rc::ptr_eq(a, b),
        (Value::Object(a), Value::Object(b)) => Rc::ptr_eq(a, b),
        (Value::Macro(a), Value::Macro(b)) => Rc::ptr_eq(a, b),
        (Value::Function(a), Value::Function(b)) => a == b,
        _ => false,
    }
}

/// `a < b`.
pub(crate) fn less(budget: &Budget, a: &Value, b: &Value) -> Res<bool> {
    ordered(budget, "<", a, b)
}

/// Orders two values; `sign` is one of `<`, `<=`, `>`, `>=`.
pub(crate) fn ordered(budget: &Budget, sign: &str, a: &Value, b: &Value) -> Res<bool> {
    budget.steps(1)?;
    defined(a)?;
    defined(b)?;
    let by = |order: Option<std::cmp::Ordering>| match sign {
        "<" => order.is_some_and(std::cmp::Ordering::is_lt),
        "<=" => order.is_some_and(std::cmp::Ordering::is_le),
        ">" => order.is_some_and(std::cmp::Ordering::is_gt),
        _ => order.is_some_and(std::cmp::Ordering::is_ge),
    };
    match (a, b) {
        (Value::Str(a), Value::Str(b)) => Ok(by(Some(a.text.cmp(&b.text)))),
        (Value::List(x), Value::List(y)) | (Value::Tuple(x), Value::Tuple(y)) => {
            for (a, b) in x.items.iter().zip(&y.items) {
                if !same(a, b) && !equal(budget, a, b)? {
                    return ordered(budget, sign, a, b);
                }
            }
            Ok(by(Some(x.items.len().cmp(&y.items.len()))))
        }
        _ => match (a.as_int(), b.as_int(), a.as_float(), b.as_float()) {
            (Some(a), Some(b), ..) => Ok(by(Some(a.cmp(&b)))),
            (_, _, Some(a), Some(b)) => Ok(by(a.partial_cmp(&b))),
            _ => {
                let (a, b) = (a.type_name(), b.type_name());
                type_error(&format!("'{sign}' not supported between instances of '{a}' and '{b}'"))
            }
        },
    }
}

/// A stable sort with a comparison that may fail, or be inconsistent: NaN has no order.
pub(crate) fn sort<T: Clone>(
    budget: &Budget,
    items: Vec<T>,
    reverse: bool,
    less: impl Fn(&T, &T) -> Res<bool>,
) -> Res<Vec<T>> {
    let count = items.len();
    let (mut from, mut width) = (items, 1);
    while width < count {
        budget.items(count)?;
        let mut to = Vec::with_capacity(count);
        for start in (0..count).step_by(2 * width) {
            let (middle, end) = ((start + width).min(count), (start + 2 * width).min(count));
            let (mut left, mut right) = (start, middle);
            while left < middle || right < end {
                // Equal items keep their order, even in reverse.
                let second = left >= middle
                    || right < end
                        && if reverse { less(&from[left], &from[right])? } else { less(&from[right], &from[left])? };
                let next = if second { &mut right } else { &mut left };
                to.push(from[*next].clone());
                *next += 1;
            }
        }
        from = to;
        width *= 2;
    }
    Ok(from)
}
