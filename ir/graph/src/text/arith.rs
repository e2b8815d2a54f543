//! Arithmetic on values that are known while binding.

use super::expr::Operator;
use super::value::Value;
use crate::dim::Dim;
use crate::scalar::{Binary, Meaning, Unary};

/// Longest vector; enough for any table of frequencies, too short to exhaust memory.
pub(super) const MAX_VECTOR: usize = 1 << 16;

/// Whether the value has one element per index of a vector.
fn is_vector(v: &Value<'_>) -> bool {
    matches!(v, Value::Vector(_) | Value::Mask(_))
}

/// `a op b`; `None` if a tensor is needed to say (a tensor operand, or symbols that cannot be compared).
pub(super) fn binary<'a>(op: Operator, a: &Value<'a>, b: &Value<'a>) -> Result<Option<Value<'a>>, String> {
    if let Operator::In = op {
        return match (a, b) {
            (_, Value::List(items)) => Ok(Some(Value::Bool(items.iter().any(|item| equal(item, a))))),
            (Value::Text(key), Value::Object(map)) => Ok(Some(Value::Bool(map.contains_key(key)))),
            _ => Err("`in` needs a list on its right, or a key and an object".into()),
        };
    }
    if matches!(a, Value::Node(_)) || matches!(b, Value::Node(_)) {
        return Ok(None);
    }
    if is_vector(a) || is_vector(b) {
        return vectors(op, a, b).map(Some);
    }
    if matches!(a, Value::Dim(_)) || matches!(b, Value::Dim(_)) {
        return dims(op, a, b);
    }
    scalars(op, a, b).map(Some)
}

fn equal(a: &Value<'_>, b: &Value<'_>) -> bool {
    match (a.as_number(), b.as_number()) {
        (Some(x), Some(y)) => x == y,
        _ => a == b,
    }
}

fn scalars<'a>(op: Operator, a: &Value<'a>, b: &Value<'a>) -> Result<Value<'a>, String> {
    match op {
        Operator::Op(Binary::Eq) => return Ok(Value::Bool(equal(a, b))),
        Operator::Op(Binary::Ne) => return Ok(Value::Bool(!equal(a, b))),
        Operator::Op(Binary::And | Binary::Or) => {
            return match (a, b) {
                (Value::Bool(x), Value::Bool(y)) if op == Operator::Op(Binary::And) => Ok(Value::Bool(*x && *y)),
                (Value::Bool(x), Value::Bool(y)) => Ok(Value::Bool(*x || *y)),
                _ => Err("`and` and `or` need bools".into()),
            };
        }
        _ => {}
    }
    if let (Value::Int(x), Value::Int(y)) = (a, b)
        && let Some(v) = integers(op, *x, *y)?
    {
        return Ok(v);
    }
    if let (Value::Text(x), Value::Text(y), Operator::Op(Binary::Add)) = (a, b, op) {
        return Ok(Value::Text(format!("{x}{y}")));
    }
    if let (Value::List(x), Value::List(y), Operator::Op(Binary::Add)) = (a, b, op) {
        return Ok(Value::List(x.iter().chain(y).cloned().collect()));
    }
    match (a.as_number(), b.as_number()) {
        (Some(x), Some(y)) => match compare(op, x, y) {
            Some(truth) => Ok(Value::Bool(truth)),
            None => {
                let v = floats(op, x, y);
                if v.is_finite() { Ok(Value::Float(v)) } else { Err("the result is not a finite number".into()) }
            }
        },
        _ => Err("these values have incompatible types".into()),
    }
}

/// Exact integer results; `None` where the result is not an integer.
fn integers<'a>(op: Operator, x: i64, y: i64) -> Result<Option<Value<'a>>, String> {
    let checked = |v: Option<i64>| v.map(|v| Some(Value::Int(v))).ok_or_else(|| "integer overflow".to_string());
    match op {
        Operator::FloorDiv | Operator::Op(Binary::Div | Binary::Rem) if y == 0 => Err("division by zero".into()),
        Operator::FloorDiv => checked(x.checked_div_euclid(y).map(|q| {
            // Euclid rounds towards the sign of the divisor; `//` rounds down.
            if y < 0 && q.checked_mul(y) != Some(x) { q - 1 } else { q }
        })),
        Operator::Op(Binary::Add) => checked(x.checked_add(y)),
        Operator::Op(Binary::Sub) => checked(x.checked_sub(y)),
        Operator::Op(Binary::Mul) => checked(x.checked_mul(y)),
        Operator::Op(Binary::Rem) => checked(x.checked_rem(y)),
        Operator::Op(Binary::Div) if x.checked_rem(y) == Some(0) => checked(x.checked_div(y)),
        Operator::Op(Binary::Pow) => Ok(u32::try_from(y).ok().and_then(|e| x.checked_pow(e)).map(Value::Int)),
        Operator::Op(Binary::Max) => Ok(Some(Value::Int(x.max(y)))),
        Operator::Op(Binary::Min) => Ok(Some(Value::Int(x.min(y)))),
        _ => Ok(None),
    }
}

fn compare(op: Operator, x: f64, y: f64) -> Option<bool> {
    match op {
        Operator::Op(Binary::Lt) => Some(x < y),
        Operator::Op(Binary::Le) => Some(x <= y),
        Operator::Op(Binary::Gt) => Some(x > y),
        Operator::Op(Binary::Ge) => Some(x >= y),
        Operator::Op(Binary::Eq) => Some(x == y),
        Operator::Op(Binary::Ne) => Some(x != y),
        _ => None,
    }
}

fn floats(op: Operator, x: f64, y: f64) -> f64 {
    match op {
        Operator::FloorDiv => (x / y).floor(),
        Operator::Op(op) => match op.row().meaning {
            Meaning::Arithmetic { double, .. } => double(x, y),
            Meaning::Comparison { .. } | Meaning::Logic(_) => f64::NAN,
        },
        Operator::In => f64::NAN,
    }
}

fn vectors<'a>(op: Operator, a: &Value<'a>, b: &Value<'a>) -> Result<Value<'a>, String> {
    if let Operator::Op(Binary::And | Binary::Or) = op {
        let and = op == Operator::Op(Binary::And);
        return zip(a, b, as_truth, |x, y| if and { x && y } else { x || y }).map(Value::Mask);
    }
    if compare(op, 0.0, 0.0).is_some() {
        return zip(a, b, as_element, |x, y| compare(op, x, y).unwrap_or_default()).map(Value::Mask);
    }
    let all = zip(a, b, as_element, |x, y| floats(op, x, y))?;
    if all.iter().all(|v| v.is_finite()) {
        Ok(Value::Vector(all))
    } else {
        Err("the result has an element that is not a finite number".into())
    }
}

fn as_element(v: &Value<'_>, i: usize) -> Option<f64> {
    match v {
        Value::Vector(all) => all.get(i).copied(),
        other => other.as_number(),
    }
}

fn as_truth(v: &Value<'_>, i: usize) -> Option<bool> {
    match v {
        Value::Mask(all) => all.get(i).copied(),
        Value::Bool(b) => Some(*b),
        _ => None,
    }
}

fn length(v: &Value<'_>) -> Option<usize> {
    match v {
        Value::Vector(all) => Some(all.len()),
        Value::Mask(all) => Some(all.len()),
        _ => None,
    }
}

fn zip<'a, T, R>(
    a: &Value<'a>,
    b: &Value<'a>,
    element: impl Fn(&Value<'a>, usize) -> Option<T>,
    f: impl Fn(T, T) -> R,
) -> Result<Vec<R>, String> {
    let n = match (length(a), length(b)) {
        (Some(x), Some(y)) if x != y => return Err(format!("vectors of {x} and {y} elements cannot be combined")),
        (x, y) => x.or(y).unwrap_or(0),
    };
    (0..n)
        .map(|i| Some(f(element(a, i)?, element(b, i)?)))
        .collect::<Option<Vec<R>>>()
        .ok_or_else(|| "these values have incompatible types".to_string())
}

/// `if condition then a else b` for each element.
pub(super) fn select<'a>(condition: &[bool], a: &Value<'a>, b: &Value<'a>) -> Result<Value<'a>, String> {
    let pick = |(i, c): (usize, &bool)| {
        let from = if *c { a } else { b };
        if length(from).is_some_and(|n| n != condition.len()) { None } else { as_element(from, i) }
    };
    let all: Option<Vec<f64>> = condition.iter().enumerate().map(pick).collect();
    all.map(Value::Vector).ok_or_else(|| format!("both branches must have {} numbers, or one", condition.len()))
}

fn dims<'a>(op: Operator, a: &Value<'a>, b: &Value<'a>) -> Result<Option<Value<'a>>, String> {
    let (Some(x), Some(y)) = (a.as_dim(), b.as_dim()) else {
        return match (a, b) {
            // A fraction of a dimension is a number at run time.
            (Value::Dim(_), Value::Float(_)) | (Value::Float(_), Value::Dim(_)) => Ok(None),
            _ => Err("a dimension can be combined with integers only".into()),
        };
    };
    if is_complicated(&x) || is_complicated(&y) {
        return Err("these dimensions have too many terms".into());
    }
    let value = match op {
        Operator::Op(Binary::Add) => Some(&x + &y),
        Operator::Op(Binary::Sub) => Some(&x - &y),
        Operator::Op(Binary::Mul) => Some(&x * &y),
        Operator::FloorDiv | Operator::Op(Binary::Div) if y.as_const() == Some(0) => {
            return Err("division by zero".into());
        }
        Operator::FloorDiv => match y.as_const() {
            Some(by) if by > 0 => x.floor_div(by),
            _ => x.exact_div(&y),
        },
        Operator::Op(Binary::Div) => x.exact_div(&y),
        Operator::Op(Binary::Eq) if x == y => return Ok(Some(Value::Bool(true))),
        Operator::Op(Binary::Ne) if x == y => return Ok(Some(Value::Bool(false))),
        _ => None,
    };
    Ok(value.map(Value::from_dim))
}

/// Whether a polynomial is beyond what shapes need; products of such would soon fill the memory.
fn is_complicated(dim: &Dim) -> bool {
    dim.terms().count() > 32 || dim.terms().any(|(symbols, _)| symbols.len() > 8)
}

/// `-x`, `exp(x)` and so on; `None` for tensors and symbols.
pub(super) fn unary<'a>(op: Unary, value: &Value<'a>) -> Result<Option<Value<'a>>, String> {
    let finite = |v: f64| if v.is_finite() { Ok(v) } else { Err("the result is not a finite number".to_string()) };
    let row = op.row();
    let function = |x: f64| match row.f32 {
        Some(f) => finite((f.double)(x)),
        None => Err(format!("`{}` is not a function of numbers", row.name)),
    };
    Ok(Some(match (op, value) {
        (_, Value::Node(_)) => return Ok(None),
        (Unary::Not, Value::Bool(b)) => Value::Bool(!b),
        (Unary::Not, Value::Mask(m)) => Value::Mask(m.iter().map(|b| !b).collect()),
        (Unary::Not, _) => return Err("`not` needs a bool".into()),
        (Unary::Neg, Value::Dim(d)) => Value::from_dim(&Dim::constant(0) - d),
        (_, Value::Dim(_)) => return Ok(None),
        (Unary::Neg, Value::Int(v)) => Value::Int(v.checked_neg().ok_or("integer overflow")?),
        (Unary::Abs, Value::Int(v)) => Value::Int(v.checked_abs().ok_or("integer overflow")?),
        (Unary::Floor, Value::Int(v)) => Value::Int(*v),
        (Unary::Floor, Value::Float(v)) if v.abs() < 9e15 => Value::Int(v.floor() as i64),
        (_, Value::Int(_) | Value::Float(_)) => Value::Float(function(value.as_number().unwrap_or_default())?),
        (_, Value::Vector(all)) => Value::Vector(all.iter().map(|x| function(*x)).collect::<Result<_, _>>()?),
        _ => return Err("expected a number or a tensor".into()),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn op(op: Binary, a: Value<'static>, b: Value<'static>) -> Result<Option<Value<'static>>, String> {
        binary(Operator::Op(op), &a, &b)
    }

    #[test]
    fn integers_stay_exact_and_overflow_is_found() {
        assert_eq!(op(Binary::Div, Value::Int(12), Value::Int(4)), Ok(Some(Value::Int(3))));
        assert_eq!(op(Binary::Div, Value::Int(7), Value::Int(2)), Ok(Some(Value::Float(3.5))));
        assert_eq!(binary(Operator::FloorDiv, &Value::Int(-7), &Value::Int(2)), Ok(Some(Value::Int(-4))));
        assert_eq!(binary(Operator::FloorDiv, &Value::Int(7), &Value::Int(-2)), Ok(Some(Value::Int(-4))));
        assert!(op(Binary::Mul, Value::Int(i64::MAX), Value::Int(2)).is_err());
        assert!(op(Binary::Rem, Value::Int(1), Value::Int(0)).is_err());
        assert!(op(Binary::Rem, Value::Int(i64::MIN), Value::Int(-1)).is_err());
    }

    #[test]
    fn dimensions_fold_where_they_can() {
        let t = Value::Dim(Dim::symbol("T"));
        assert_eq!(op(Binary::Sub, t.clone(), t.clone()), Ok(Some(Value::Int(0))));
        assert_eq!(op(Binary::Lt, t.clone(), Value::Int(3)), Ok(None));
        assert_eq!(op(Binary::Div, t, Value::Int(2)), Ok(None));
    }

    #[test]
    fn vectors_go_element_by_element() {
        let v = Value::Vector(vec![1.0, 2.0]);
        assert_eq!(op(Binary::Add, v.clone(), Value::Int(1)), Ok(Some(Value::Vector(vec![2.0, 3.0]))));
        assert_eq!(op(Binary::Lt, v.clone(), Value::Float(1.5)), Ok(Some(Value::Mask(vec![true, false]))));
        assert_eq!(select(&[true, false], &v, &Value::Int(9)), Ok(Value::Vector(vec![1.0, 9.0])));
        assert!(op(Binary::Add, v, Value::Vector(vec![1.0])).is_err());
    }
}
