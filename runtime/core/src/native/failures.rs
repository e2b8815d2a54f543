//! Errors that a device reports outside of any call.

use std::sync::{Mutex, PoisonError};

use crate::error::Error;

/// Errors that no call has returned yet.
#[derive(Debug, Default)]
pub(super) struct Failures {
    pub(super) lost: Option<String>,
    pub(super) first: Option<String>,
}

/// The first failure since the last call of this function, if there was one.
pub(super) fn check(failures: &Mutex<Failures>, what: &str) -> Result<(), Error> {
    let mut failures = failures.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(lost) = &failures.lost {
        return Err(Error::DeviceLost(lost.clone()));
    }
    match failures.first.take() {
        Some(message) => Err(Error::Device { what: what.to_string(), message }),
        None => Ok(()),
    }
}
