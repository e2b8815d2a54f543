//! Small integer expressions of symbols.

use serde::{Deserialize, Serialize};

/// An integer expression over declared symbols, as text: `4*B*T*(P + T)`, `ceil_div(B*T, 64)`, `max(T, 16)`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Size(pub String);
