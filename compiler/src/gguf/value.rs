//! Values of GGUF metadata.

use serde_json::{Map, Number, Value as Json};

use super::cursor::Cursor;
use crate::weights::WeightError;

/// Maximum nesting of lists; no real file nests deeper.
const MAX_DEPTH: u32 = 3;
/// Maximum length of a text in bytes; chat templates have a few thousand.
const MAX_TEXT: u64 = 16 << 20;
/// Maximum number of list elements in a file; vocabularies have up to a few hundred thousand tokens, and as many
/// merges.
pub(super) const MAX_ELEMENTS: u64 = 1 << 22;

/// A value.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    /// An unsigned integer of any width.
    Unsigned(u64),
    /// A signed integer of any width.
    Signed(i64),
    /// A float of any width. A 32-bit float becomes the shortest decimal that rounds to it, which is the number that
    /// was meant.
    Float(f64),
    /// A boolean.
    Bool(bool),
    /// A text.
    Text(String),
    /// Values of one type.
    List(Vec<Value>),
}

/// The types of values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    U8,
    I8,
    U16,
    I16,
    U32,
    I32,
    F32,
    Bool,
    Text,
    List,
    U64,
    I64,
    F64,
}

impl Kind {
    fn of(number: u32) -> Option<Self> {
        Some(match number {
            0 => Kind::U8,
            1 => Kind::I8,
            2 => Kind::U16,
            3 => Kind::I16,
            4 => Kind::U32,
            5 => Kind::I32,
            6 => Kind::F32,
            7 => Kind::Bool,
            8 => Kind::Text,
            9 => Kind::List,
            10 => Kind::U64,
            11 => Kind::I64,
            12 => Kind::F64,
            _ => return None,
        })
    }

    /// The minimum size of a value in bytes.
    fn least(self) -> u64 {
        match self {
            Kind::U8 | Kind::I8 | Kind::Bool => 1,
            Kind::U16 | Kind::I16 => 2,
            Kind::U32 | Kind::I32 | Kind::F32 => 4,
            Kind::Text | Kind::U64 | Kind::I64 | Kind::F64 => 8,
            Kind::List => 12,
        }
    }
}

/// Reads a value and the type in front of it. `left` is how many more list elements the file may have.
pub(super) fn read(cursor: &mut Cursor<'_>, key: &str, left: &mut u64) -> Result<Value, WeightError> {
    let kind = kind(cursor, key)?;
    value(cursor, key, kind, 0, left)
}

fn kind(cursor: &mut Cursor<'_>, key: &str) -> Result<Kind, WeightError> {
    let number = cursor.u32()?;
    Kind::of(number).ok_or_else(|| cursor.wrong(format!("metadata `{key}` has a value of the unknown type {number}")))
}

fn value(cursor: &mut Cursor<'_>, key: &str, kind: Kind, depth: u32, left: &mut u64) -> Result<Value, WeightError> {
    Ok(match kind {
        Kind::U8 => Value::Unsigned(u64::from(u8::from_le_bytes(cursor.take()?))),
        Kind::U16 => Value::Unsigned(u64::from(u16::from_le_bytes(cursor.take()?))),
        Kind::U32 => Value::Unsigned(u64::from(cursor.u32()?)),
        Kind::U64 => Value::Unsigned(cursor.u64()?),
        Kind::I8 => Value::Signed(i64::from(i8::from_le_bytes(cursor.take()?))),
        Kind::I16 => Value::Signed(i64::from(i16::from_le_bytes(cursor.take()?))),
        Kind::I32 => Value::Signed(i64::from(i32::from_le_bytes(cursor.take()?))),
        Kind::I64 => Value::Signed(i64::from_le_bytes(cursor.take()?)),
        Kind::F32 => Value::Float(shortest(f32::from_le_bytes(cursor.take()?))),
        Kind::F64 => Value::Float(f64::from_le_bytes(cursor.take()?)),
        Kind::Bool => match cursor.take::<1>()? {
            [0] => Value::Bool(false),
            [1] => Value::Bool(true),
            [other] => return Err(cursor.wrong(format!("metadata `{key}` has the value {other} as a bool"))),
        },
        Kind::Text => Value::Text(cursor.text(MAX_TEXT, &format!("metadata `{key}`"))?),
        Kind::List => list(cursor, key, depth, left)?,
    })
}

fn list(cursor: &mut Cursor<'_>, key: &str, depth: u32, left: &mut u64) -> Result<Value, WeightError> {
    /// Capacity that is reserved before any element is read.
    const ROOM: u64 = 1 << 12;
    if depth == MAX_DEPTH {
        return Err(cursor.wrong(format!("metadata `{key}` has lists nested deeper than {MAX_DEPTH}")));
    }
    let kind = kind(cursor, key)?;
    let count = cursor.u64()?;
    cursor.expect(count, kind.least(), &format!("elements of metadata `{key}`"))?;
    *left = left.checked_sub(count).ok_or_else(|| {
        cursor
            .wrong(format!("metadata `{key}` has {count} elements; at most {MAX_ELEMENTS} in all lists are supported"))
    })?;
    let mut all = Vec::with_capacity(count.min(ROOM) as usize);
    for _ in 0..count {
        all.push(value(cursor, key, kind, depth + 1, left)?);
    }
    Ok(Value::List(all))
}

/// The shortest decimal: `1e-5`, although the nearest f32 is 9.999999747378752e-06.
fn shortest(value: f32) -> f64 {
    value.to_string().parse().unwrap_or(f64::from(value))
}

impl Value {
    /// A text.
    pub(crate) fn as_text(&self) -> Option<&str> {
        if let Value::Text(text) = self { Some(text) } else { None }
    }

    /// A boolean.
    pub(crate) fn as_bool(&self) -> Option<bool> {
        if let Value::Bool(truth) = self { Some(*truth) } else { None }
    }

    /// A non-negative integer.
    pub(crate) fn as_u64(&self) -> Option<u64> {
        match self {
            Value::Unsigned(n) => Some(*n),
            Value::Signed(n) => u64::try_from(*n).ok(),
            Value::Float(_) | Value::Bool(_) | Value::Text(_) | Value::List(_) => None,
        }
    }

    /// A finite number.
    pub(crate) fn as_f64(&self) -> Option<f64> {
        match self {
            Value::Unsigned(n) => Some(*n as f64),
            Value::Signed(n) => Some(*n as f64),
            Value::Float(x) => x.is_finite().then_some(*x),
            Value::Bool(_) | Value::Text(_) | Value::List(_) => None,
        }
    }

    /// A list.
    pub(crate) fn as_list(&self) -> Option<&[Value]> {
        if let Value::List(all) = self { Some(all) } else { None }
    }

    /// As JSON; numbers that are not finite become null.
    fn to_json(&self) -> Json {
        match self {
            Value::Unsigned(n) => Json::from(*n),
            Value::Signed(n) => Json::from(*n),
            Value::Float(x) => Number::from_f64(*x).map_or(Json::Null, Json::Number),
            Value::Bool(truth) => Json::Bool(*truth),
            Value::Text(text) => Json::String(text.clone()),
            Value::List(all) => Json::Array(all.iter().map(Value::to_json).collect()),
        }
    }
}

/// Inserts `value` into nested objects at `key`, whose parts are separated by dots. Lists longer than any setting are
/// left out.
///
/// # Errors
/// If a part of the key already has a value.
pub(super) fn nest(objects: &mut Map<String, Json>, key: &str, value: &Value) -> Result<(), String> {
    /// Settings per layer have one element per layer.
    const LONGEST: usize = 4096;
    if value.as_list().is_some_and(|all| all.len() > LONGEST) {
        return Ok(());
    }
    let fault = || format!("metadata `{key}` contradicts another key, which has a value at a prefix of it");
    match key.split_once('.') {
        None => match objects.insert(key.to_string(), value.to_json()) {
            None => Ok(()),
            Some(_) => Err(fault()),
        },
        Some((first, rest)) => {
            let inner = objects.entry(first).or_insert_with(|| Json::Object(Map::new()));
            nest(inner.as_object_mut().ok_or_else(fault)?, rest, value)
        }
    }
}
