//! Gives access to the JavaScript functions of the current compilation.

use std::cell::RefCell;

use crate::given::{BundleFiles, ModelFiles};

/// The functions of a compilation.
struct Given {
    model: ModelFiles,
    bundle: BundleFiles,
}

thread_local! {
    /// JavaScript values are bound to their thread, but sources and sinks must be usable from any. So the values are
    /// looked up here when they are used. There is only one thread, but nothing relies on it.
    static GIVEN: RefCell<Option<Given>> = const { RefCell::new(None) };
}

/// A compilation in progress. There can be one at a time.
pub(crate) struct Here(());

impl Here {
    /// Begins a compilation.
    ///
    /// # Errors
    /// If another one is in progress: it is calling this function, or ended with a panic.
    pub(crate) fn enter(model: ModelFiles, bundle: BundleFiles) -> Result<Self, String> {
        // A function of the other compilation has borrowed them and is calling this.
        GIVEN.with(|given| match given.try_borrow_mut() {
            Ok(mut given) if given.is_none() => {
                *given = Some(Given { model, bundle });
                Ok(Here(()))
            }
            _ => Err("this module is compiling already, or has failed by a defect; instantiate it again".into()),
        })
    }
}

impl Drop for Here {
    fn drop(&mut self) {
        GIVEN.take();
    }
}

/// Calls functions of the model.
///
/// # Errors
/// Errors of `work`, or if this is another thread.
pub(crate) fn model<T>(work: impl FnOnce(&ModelFiles) -> Result<T, String>) -> Result<T, String> {
    GIVEN.with_borrow(|given| work(&given.as_ref().ok_or_else(elsewhere)?.model))
}

/// Calls functions of the bundle.
///
/// # Errors
/// See [`model`].
pub(crate) fn bundle<T>(work: impl FnOnce(&BundleFiles) -> Result<T, String>) -> Result<T, String> {
    GIVEN.with_borrow(|given| work(&given.as_ref().ok_or_else(elsewhere)?.bundle))
}

fn elsewhere() -> String {
    "files are read and written by the thread that compiles".to_string()
}
