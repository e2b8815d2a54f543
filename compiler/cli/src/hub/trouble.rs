//! Kinds of reasons why nothing came from the server.

use crate::failure::Failure;

/// Why there is no answer that helps.
pub(super) enum Trouble {
    /// The server cannot be reached, or is out of order: what is in the cache will do.
    Down(String),
    /// The server says no.
    Refused(Failure),
    /// Anything else.
    Failed(Failure),
}

impl From<Failure> for Trouble {
    fn from(failure: Failure) -> Self {
        Trouble::Failed(failure)
    }
}
