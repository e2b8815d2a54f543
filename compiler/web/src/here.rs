//! What JavaScript gave to the compilation that is going on.

use std::cell::RefCell;

use crate::given::{BundleFiles, ModelFiles};

/// The functions of one compilation.
struct Given {
    model: ModelFiles,
    bundle: BundleFiles,
}

thread_local! {
    /// Values of JavaScript belong to their thread, and sources and sinks to any: so they are looked up where they are used.
    /// There is one thread, but no need to rely on it.
    static GIVEN: RefCell<Option<Given>> = const { RefCell::new(None) };
}

/// A compilation. There is one at a time.
pub(crate) struct Here(());

impl Here {
    /// Begins one.
    ///
    /// # Errors
    /// If another one has not ended: it calls this one, or ended by a defect.
    pub(crate) fn enter(model: ModelFiles, bundle: BundleFiles) -> Result<Self, String> {
        // A function of the other one that calls this has borrowed them.
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
/// Those of the work, or if this is another thread.
pub(crate) fn model<T>(work: impl FnOnce(&ModelFiles) -> Result<T, String>) -> Result<T, String> {
    GIVEN.with_borrow(|given| work(&given.as_ref().ok_or_else(elsewhere)?.model))
}

/// Calls functions of the bundle.
///
/// # Errors
/// As [`model`].
pub(crate) fn bundle<T>(work: impl FnOnce(&BundleFiles) -> Result<T, String>) -> Result<T, String> {
    GIVEN.with_borrow(|given| work(&given.as_ref().ok_or_else(elsewhere)?.bundle))
}

fn elsewhere() -> String {
    "files are read and written by the thread that compiles".to_string()
}
