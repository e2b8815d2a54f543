//! What was read of config.json while formulas are evaluated.

use std::collections::BTreeSet;

use serde_json::{Map, Value as Json};

/// Entries that were read, as the object they lie in and their name there.
pub(super) type Reads<'a> = BTreeSet<(*const Map<String, Json>, &'a str)>;
