//! Python's operators.

use crate::ast::Binary;
use crate::budget::Budget;
use crate::compare::{equal, same};
use crate::fault::{Fault, Kind, Res, fail, limit, type_error};
use crate::format::percent;
use crate::html::escape;
use crate::undefined::{defined, undefined};
use crate::value::{Object, Range, Str, Value, View};

/// `bool(value)`.
pub(crate) fn truth(value: &Value) -> bool {
    match value {
        Value::Undefined(_) | Value::None => false,
        Value::Bool(b) => *b,
        Value::Int(i) => *i != 0,
        Value::Float(x) => *x != 0.0,
        Value::Str(s) => !s.text.is_empty(),
        Value::List(seq) | Value::Tuple(seq) => !seq.items.is_empty(),
        Value::Dict(dict) | Value::View(_, dict) => !dict.entries.is_empty(),
        Value::Range(r) => r.count > 0,
        Value::Iter(_)
        | Value::Namespace(_)
        | Value::Object(_)
        | Value::Function(_)
        | Value::Macro(_)
        | Value::Method(_) => true,
    }
}

/// `len(value)`; `None` if it has no length.
pub(crate) fn length(value: &Value) -> Option<usize> {
    match value {
        Value::Undefined(_) => Some(0),
        Value::Str(s) => Some(s.text.chars().count()),
        Value::List(seq) | Value::Tuple(seq) => Some(seq.items.len()),
        Value::Dict(dict) | Value::View(_, dict) => Some(dict.entries.len()),
        Value::Range(r) => Some(r.count),
        _ => None,
    }
}

fn no_operator<T>(sign: &str, a: &Value, b: &Value) -> Res<T> {
    let (a, b) = (a.type_name(), b.type_name());
    type_error(&format!("unsupported operand type(s) for {sign}: '{a}' and '{b}'"))
}

/// Evaluates a binary operator.
pub(crate) fn binary(budget: &Budget, op: Binary, a: &Value, b: &Value) -> Res<Value> {
    // In string formatting, an undefined value is an empty string.
    if !(op == Binary::Mod && matches!(a, Value::Str(_))) {
        defined(a)?;
        defined(b)?;
    }
    match (op, a, b) {
        (Binary::Add, Value::Str(a), Value::Str(b)) => add_texts(budget, a, b),
        (Binary::Add, Value::List(a), Value::List(b)) => {
            budget.items(a.items.len() + b.items.len())?;
            Value::list([a.items.as_slice(), &b.items].concat())
        }
        (Binary::Add, Value::Tuple(a), Value::Tuple(b)) => {
            budget.items(a.items.len() + b.items.len())?;
            Value::tuple([a.items.as_slice(), &b.items].concat())
        }
        (Binary::Mul, sequence @ (Value::Str(_) | Value::List(_) | Value::Tuple(_)), count)
        | (Binary::Mul, count, sequence @ (Value::Str(_) | Value::List(_) | Value::Tuple(_))) => match count.as_int() {
            Some(count) => repeat(budget, sequence, count),
            None => type_error(&format!("can't multiply sequence by non-int of type '{}'", count.type_name())),
        },
        (Binary::Mod, Value::Str(format), args) => Ok(Value::like(percent(budget, format, args)?, format)),
        (Binary::Add, Value::Str(_), other) => {
            type_error(&format!("can only concatenate str (not \"{}\") to str", other.type_name()))
        }
        (Binary::Add, Value::List(_), other) => {
            type_error(&format!("can only concatenate list (not \"{}\") to list", other.type_name()))
        }
        _ => number(op, a, b),
    }
}

fn add_texts(budget: &Budget, a: &Str, b: &Str) -> Res<Value> {
    budget.text(a.text.len() + b.text.len())?;
    if a.safe == b.safe {
        return Ok(Value::like([&*a.text, &*b.text].concat(), a));
    }
    // Operands that are not safe are escaped.
    let (left, right) = (escape(budget, a)?, escape(budget, b)?);
    Ok(Value::markup([left, right].concat()))
}

/// `sequence * count`.
fn repeat(budget: &Budget, sequence: &Value, count: i64) -> Res<Value> {
    let count = usize::try_from(count.max(0)).unwrap_or(usize::MAX);
    match sequence {
        Value::Str(s) => {
            budget.text(s.text.len().saturating_mul(count))?;
            Ok(Value::like(s.text.repeat(count), s))
        }
        Value::List(seq) | Value::Tuple(seq) => {
            budget.items(seq.items.len().saturating_mul(count))?;
            let mut items = Vec::new();
            for _ in 0..if seq.items.is_empty() { 0 } else { count } {
                items.extend_from_slice(&seq.items);
            }
            if matches!(sequence, Value::List(_)) { Value::list(items) } else { Value::tuple(items) }
        }
        other => no_operator("*", other, &Value::Int(0)),
    }
}

fn number(op: Binary, a: &Value, b: &Value) -> Res<Value> {
    if let (Some(a), Some(b)) = (a.as_int(), b.as_int()) {
        return integers(op, a, b);
    }
    let sign = match op {
        Binary::Add => "+",
        Binary::Sub => "-",
        Binary::Mul => "*",
        Binary::Div => "/",
        Binary::FloorDiv => "//",
        Binary::Mod => "%",
        Binary::Pow => "** or pow()",
    };
    let (Some(x), Some(y)) = (a.as_float(), b.as_float()) else { return no_operator(sign, a, b) };
    floats(op, x, y).map(Value::Float)
}

fn floats(op: Binary, x: f64, y: f64) -> Res<f64> {
    let zero = y == 0.0;
    Ok(match op {
        Binary::Add => x + y,
        Binary::Sub => x - y,
        Binary::Mul => x * y,
        Binary::Div if zero => return fail("ZeroDivisionError: float division by zero"),
        Binary::Div => x / y,
        Binary::FloorDiv if zero => return fail("ZeroDivisionError: float floor division by zero"),
        Binary::FloorDiv => {
            let rest = modulo(x, y);
            let quotient = (x - rest) / y;
            let floor = quotient.floor();
            if quotient == 0.0 {
                0.0f64.copysign(x / y)
            } else if quotient - floor > 0.5 {
                floor + 1.0
            } else {
                floor
            }
        }
        Binary::Mod if zero => return fail("ZeroDivisionError: float modulo"),
        Binary::Mod => modulo(x, y),
        Binary::Pow if x == 0.0 && y < 0.0 => {
            return fail("ZeroDivisionError: 0.0 cannot be raised to a negative power");
        }
        Binary::Pow if x < 0.0 && x.is_finite() && y.is_finite() && y != y.trunc() => {
            return fail("complex numbers are not supported");
        }
        Binary::Pow => {
            let power = x.powf(y);
            if power.is_infinite() && x.is_finite() && y.is_finite() {
                return fail("OverflowError: (34, 'Numerical result out of range')");
            }
            power
        }
    })
}

/// The remainder has the sign of the divisor.
fn modulo(x: f64, y: f64) -> f64 {
    let rest = x % y;
    if rest == 0.0 {
        0.0f64.copysign(y)
    } else if (rest < 0.0) != (y < 0.0) {
        rest + y
    } else {
        rest
    }
}

fn integers(op: Binary, a: i64, b: i64) -> Res<Value> {
    let result = match op {
        Binary::Add => a.checked_add(b),
        Binary::Sub => a.checked_sub(b),
        Binary::Mul => a.checked_mul(b),
        Binary::Div if b == 0 => return fail("ZeroDivisionError: division by zero"),
        Binary::Div => return Ok(Value::Float(a as f64 / b as f64)),
        Binary::FloorDiv if b == 0 => return fail("ZeroDivisionError: integer division or modulo by zero"),
        Binary::Mod if b == 0 => return fail("ZeroDivisionError: integer modulo by zero"),
        Binary::FloorDiv => a.checked_div_euclid(b).and_then(|q| {
            // Euclid's remainder is not negative; Python's has the sign of the divisor.
            if b < 0 && a.rem_euclid(b) != 0 { q.checked_sub(1) } else { Some(q) }
        }),
        Binary::Mod => a.checked_rem_euclid(b).map(|r| if b < 0 && r != 0 { r + b } else { r }),
        Binary::Pow if b < 0 => return floats(op, a as f64, b as f64).map(Value::Float),
        Binary::Pow => match (a, u32::try_from(b)) {
            (0 | 1, _) => Some(if b == 0 { 1 } else { a }),
            (-1, _) => Some(if b % 2 == 0 { 1 } else { -1 }),
            (_, Ok(b)) => a.checked_pow(b),
            (_, Err(_)) => None,
        },
    };
    result.map_or_else(overflow, |i| Ok(Value::Int(i)))
}

fn overflow<T>() -> Res<T> {
    limit("computes with integers of", 63, " bits")
}

/// `-value` or `+value`.
pub(crate) fn sign(value: &Value, negative: bool) -> Res<Value> {
    defined(value)?;
    match (value, value.as_int()) {
        (_, Some(i)) => match if negative { i.checked_neg() } else { Some(i) } {
            Some(i) => Ok(Value::Int(i)),
            None => overflow(),
        },
        (Value::Float(x), _) => Ok(Value::Float(if negative { -x } else { *x })),
        (other, _) => {
            let sign = if negative { '-' } else { '+' };
            type_error(&format!("bad operand type for unary {sign}: '{}'", other.type_name()))
        }
    }
}

/// `item in container`.
pub(crate) fn contains(budget: &Budget, container: &Value, item: &Value) -> Res<bool> {
    match container {
        Value::Str(s) => match item {
            Value::Str(part) => {
                budget.steps(s.text.len() as u64 / 64)?;
                Ok(s.text.contains(&*part.text))
            }
            other => {
                let name = other.type_name();
                type_error(&format!("'in <string>' requires string as left operand, not {name}"))
            }
        },
        Value::Dict(dict) | Value::View(View::Keys, dict) => Ok(dict.get(item)?.is_some()),
        Value::Range(r) => match item.as_int() {
            Some(i) => Ok((i - r.start) % r.step == 0 && (0..r.count as i64).contains(&((i - r.start) / r.step))),
            None => any(budget, &items(budget, container)?, item),
        },
        Value::None | Value::Bool(_) | Value::Int(_) | Value::Float(_) => {
            type_error(&format!("argument of type '{}' is not iterable", container.type_name()))
        }
        other => any(budget, &items(budget, other)?, item),
    }
}

fn any(budget: &Budget, items: &[Value], wanted: &Value) -> Res<bool> {
    for item in items {
        if same(item, wanted) || equal(budget, item, wanted)? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The items of a value that can be iterated over without the interpreter.
pub(crate) fn items(budget: &Budget, value: &Value) -> Res<Vec<Value>> {
    let count = length(value).unwrap_or(0);
    budget.items(count)?;
    Ok(match value {
        Value::Undefined(_) => Vec::new(),
        Value::Str(s) => {
            // Each character becomes a string. It is not marked as safe, even if the string is.
            budget.items(2 * count)?;
            let one = |c: char| Value::str(c.encode_utf8(&mut [0; 4]) as &str);
            s.text.chars().map(one).collect()
        }
        Value::List(seq) | Value::Tuple(seq) => seq.items.clone(),
        Value::Dict(dict) | Value::View(View::Keys, dict) => dict.entries.iter().map(|(k, _)| k.clone()).collect(),
        Value::View(View::Values, dict) => dict.entries.iter().map(|(_, v)| v.clone()).collect(),
        Value::View(View::Items, dict) => {
            dict.entries.iter().map(|(k, v)| Value::tuple(vec![k.clone(), v.clone()])).collect::<Res<_>>()?
        }
        Value::Range(r) => (0..r.count).map(|at| r.get(at)).collect(),
        other => return type_error(&format!("'{}' object is not iterable", other.type_name())),
    })
}

/// Whether `iter(value)` works.
pub(crate) fn is_iterable(value: &Value) -> bool {
    match value {
        Value::Object(object) => matches!(&**object, Object::Loop(_)),
        other => length(other).is_some() || matches!(other, Value::Iter(_)),
    }
}

/// `value[start:stop:step]`.
pub(crate) fn slice(budget: &Budget, value: &Value, bounds: [Option<Value>; 3]) -> Res<Value> {
    let count = match value {
        Value::Undefined(why) => return undefined(why),
        Value::Dict(_) => return type_error("unhashable type: 'slice'"),
        Value::Str(_) | Value::List(_) | Value::Tuple(_) | Value::Range(_) => length(value).unwrap_or(0),
        other => return type_error(&format!("'{}' object is not subscriptable", other.type_name())),
    };
    let mut numbers = [None; 3];
    for (number, bound) in numbers.iter_mut().zip(&bounds) {
        *number = match bound {
            None | Some(Value::None) => None,
            Some(other) => match other.as_int() {
                Some(i) => Some(i),
                None => return type_error("slice indices must be integers or None or have an __index__ method"),
            },
        };
    }
    let [start, stop, step] = numbers;
    let (step, count) = (step.unwrap_or(1), count as i64);
    if step == 0 {
        return fail("ValueError: slice step cannot be zero");
    }
    let within = |i: i64| {
        let i = if i < 0 { i.saturating_add(count) } else { i };
        if step > 0 { i.clamp(0, count) } else { i.clamp(-1, count - 1) }
    };
    let start = start.map_or(if step > 0 { 0 } else { count - 1 }, within);
    let stop = stop.map_or(if step > 0 { count } else { -1 }, within);
    let range = Range::new(start, stop, step);
    let at = |i: usize| (range.start + range.step * i as i64) as usize;
    match value {
        Value::Str(s) => {
            budget.text(s.text.len())?;
            if step == 1 {
                let cut: String = s.text.chars().skip(start.max(0) as usize).take(range.count).collect();
                return Ok(Value::like(cut, s));
            }
            budget.items(count as usize)?;
            let all: Vec<char> = s.text.chars().collect();
            Ok(Value::like((0..range.count).map(|i| all[at(i)]).collect::<String>(), s))
        }
        Value::List(seq) => {
            budget.items(range.count)?;
            Value::list((0..range.count).map(|i| seq.items[at(i)].clone()).collect())
        }
        Value::Tuple(seq) => {
            budget.items(range.count)?;
            Value::tuple((0..range.count).map(|i| seq.items[at(i)].clone()).collect())
        }
        Value::Range(r) => {
            let number = |i: i64| r.start + r.step * i;
            Ok(Value::Range(Range::new(number(start), number(stop), r.step * step)))
        }
        other => type_error(&format!("'{}' object is not subscriptable", other.type_name())),
    }
}

/// `value[index]` of a sequence; `None` if there is no such element.
pub(crate) fn element(value: &Value, index: i64) -> Option<Value> {
    let count = match value {
        // Their length need not be computed.
        Value::Str(_) if index >= 0 => i64::MAX,
        other => length(other)? as i64,
    };
    let at = usize::try_from(if index < 0 { index + count } else { index }).ok().filter(|at| (*at as i64) < count)?;
    match value {
        Value::Str(s) => s.text.chars().nth(at).map(|c| Value::like(c.encode_utf8(&mut [0; 4]) as &str, s)),
        Value::List(seq) | Value::Tuple(seq) => seq.items.get(at).cloned(),
        Value::Range(r) => Some(r.get(at)),
        _ => None,
    }
}

/// An error raised by `raise_exception`.
pub(crate) fn raised<T>(message: String) -> Res<T> {
    Err(Box::new(Fault { kind: Kind::Raised, line: 0, message }))
}
