//! Kinds of failures of requests to the server.

use crate::failure::Failure;

/// Why there is no usable response.
pub(super) enum Trouble {
    /// The server cannot be reached or is out of order; the cache is used instead.
    Down(String),
    /// The server refuses the request.
    Refused(Failure),
    /// Anything else.
    Failed(Failure),
}

impl From<Failure> for Trouble {
    fn from(failure: Failure) -> Self {
        Trouble::Failed(failure)
    }
}
