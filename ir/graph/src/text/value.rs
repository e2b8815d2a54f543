//! The values of formulas during binding.

use crate::dim::{Dim, show_shape};
use crate::graph::{Graph, NodeId};

/// The only key of an object for a number that JSON does not have: `{"__float__": "Infinity"}`.
pub const FLOAT_TAG: &str = "__float__";

/// The name of a number that JSON does not have, if `json` is one or a list with one.
pub(super) fn non_finite(json: &serde_json::Value) -> Option<&str> {
    match json {
        serde_json::Value::Object(map) if map.len() == 1 => map.get(FLOAT_TAG)?.as_str(),
        serde_json::Value::Array(items) => items.iter().find_map(non_finite),
        serde_json::Value::Object(_)
        | serde_json::Value::Null
        | serde_json::Value::Bool(_)
        | serde_json::Value::Number(_)
        | serde_json::Value::String(_) => None,
    }
}

/// A value. All except [`Value::Node`] are known at compile time.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value<'a> {
    /// `null`: a config key, weight or argument that does not exist.
    Absent,
    /// The value of a statement that failed; its use fails without another message.
    Poison,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(String),
    /// A dimension with symbols.
    Dim(Dim),
    List(Vec<Value<'a>>),
    /// A vector of numbers that are known at compile time; `table(..)` makes it a tensor.
    Vector(Vec<f64>),
    /// The result of comparing vectors.
    Mask(Vec<bool>),
    /// A nested object of config.json.
    Object(&'a serde_json::Map<String, serde_json::Value>),
    /// A tensor.
    Node(NodeId),
}

impl<'a> Value<'a> {
    /// A value of config.json.
    pub(super) fn from_json(json: &'a serde_json::Value) -> Self {
        match json {
            serde_json::Value::Null => Value::Absent,
            serde_json::Value::Bool(b) => Value::Bool(*b),
            serde_json::Value::Number(n) => match n.as_i64() {
                Some(i) => Value::Int(i),
                None => Value::Float(n.as_f64().unwrap_or(f64::MAX)),
            },
            serde_json::Value::String(s) => Value::Text(s.clone()),
            serde_json::Value::Array(items) => Value::List(items.iter().map(Value::from_json).collect()),
            serde_json::Value::Object(map) => Value::Object(map),
        }
    }

    /// A dimension, as an integer if no symbol is left.
    pub(super) fn from_dim(dim: Dim) -> Self {
        match dim.as_const() {
            Some(v) => Value::Int(v),
            None => Value::Dim(dim),
        }
    }

    /// As an integer: integers, and floats without a fraction (config files write `128.0` at times).
    pub(super) fn as_int(&self) -> Option<i64> {
        match self {
            Value::Int(v) => Some(*v),
            Value::Float(v) if v.fract() == 0.0 && v.abs() < 9e15 => Some(*v as i64),
            _ => None,
        }
    }

    /// As a dimension.
    pub(super) fn as_dim(&self) -> Option<Dim> {
        match self {
            Value::Dim(d) => Some(d.clone()),
            other => other.as_int().map(Dim::constant),
        }
    }

    /// As a number.
    pub(super) fn as_number(&self) -> Option<f64> {
        match self {
            Value::Int(v) => Some(*v as f64),
            Value::Float(v) => Some(*v),
            _ => None,
        }
    }

    /// The number of its parts, up to `limit`: doubling a list by formulas must not exhaust memory.
    pub(super) fn size(&self, limit: usize) -> usize {
        match self {
            Value::Text(t) => t.len(),
            Value::Vector(v) => v.len(),
            Value::Mask(v) => v.len(),
            Value::List(items) => {
                let mut sum = items.len();
                for item in items {
                    if sum >= limit {
                        break;
                    }
                    sum += item.size(limit);
                }
                sum
            }
            _ => 0,
        }
    }

    /// A description, for messages.
    pub(super) fn describe(&self, graph: &Graph) -> String {
        match self {
            Value::Absent => "null".into(),
            Value::Poison => "an invalid value".into(),
            Value::Bool(b) => format!("{b}"),
            Value::Int(v) => format!("{v}"),
            Value::Float(v) => format!("{v:?}"),
            Value::Text(t) => format!("'{t}'"),
            Value::Dim(d) => format!("the dimension {d}"),
            Value::List(items) => format!("a list of {}", items.len()),
            Value::Vector(v) => format!("a vector of {} numbers", v.len()),
            Value::Mask(v) => format!("a vector of {} bools", v.len()),
            Value::Object(_) => "an object of config.json".into(),
            Value::Node(id) => {
                let node = graph.node(*id);
                format!("a tensor {} {}", node.dtype, show_shape(&node.shape))
            }
        }
    }
}
