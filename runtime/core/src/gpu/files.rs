//! The source of files that the executor needs at run time.

use std::sync::Arc;

use gristmill_bundle::Bundle;

use crate::backend::Pending;

/// Verified files of a bundle.
pub trait Files {
    /// The text at a path that the manifest lists.
    fn text<'a>(&'a self, path: &'a str) -> Pending<'a, String>;
}

impl Files for Arc<Bundle> {
    fn text<'a>(&'a self, path: &'a str) -> Pending<'a, String> {
        Box::pin(std::future::ready(self.read_text(path).map_err(Into::into)))
    }
}
