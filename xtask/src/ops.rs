//! Writes the reference of functions, blocks and operations.

use gristmill_graph::text::{Library, manual};

use crate::command::{Outcome, say};
use crate::place::{Place, list, read, write};

/// Reads the blocks of the library and writes `models/OPS.md`.
pub(crate) fn write_reference(place: &Place) -> Outcome {
    let models = place.root.join("models");
    let mut library = Library::default();
    for file in list(&models.join("blocks"))? {
        let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if name.ends_with(".ron") {
            library = library.with_file(format!("blocks/{name}"), read(&file)?);
        }
    }
    let target = models.join("OPS.md");
    write(&target, manual(&library))?;
    say(&format!("wrote {}", target.display()));
    Ok(())
}
