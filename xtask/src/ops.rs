//! Writes the references of functions, blocks and operations, and of formats of weights.

use gristmill_graph::format;
use gristmill_graph::text::{Library, manual};

use crate::command::{Outcome, say};
use crate::place::{Place, list, read, write};

/// Reads the blocks of the library and writes `models/OPS.md` and `models/FORMATS.md`.
pub(crate) fn write_reference(place: &Place) -> Outcome {
    let models = place.root.join("models");
    let mut library = Library::default();
    for file in list(&models.join("blocks"))? {
        let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if name.ends_with(".ron") {
            library = library.with_file(format!("blocks/{name}"), read(&file)?);
        }
    }
    for (name, text) in [("OPS.md", manual(&library)), ("FORMATS.md", format::manual())] {
        let target = models.join(name);
        write(&target, text)?;
        say(&format!("wrote {}", target.display()));
    }
    Ok(())
}
