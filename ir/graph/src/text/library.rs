//! A library of architecture files.

use std::collections::BTreeMap;

use super::file;

/// Folder of block files within a library.
pub(super) const BLOCKS: &str = "blocks/";

/// Folder of parts within a library.
pub(super) const PARTS: &str = "parts/";

/// The texts of architecture and block files, by name: `llama.ron`, `blocks/norm.ron`.
#[derive(Clone, Debug, Default)]
pub struct Library {
    /// Texts by name. Files in `blocks/` have blocks, files in `parts/` are included by architectures, files in other
    /// folders are ignored, and all others are architectures.
    pub files: BTreeMap<String, String>,
}

impl Library {
    /// The library with a file added or replaced, such as an architecture of the user.
    pub fn with_file(mut self, name: impl Into<String>, text: impl Into<String>) -> Self {
        self.files.insert(name.into(), text.into());
        self
    }

    /// Names of the architecture files.
    pub fn architectures(&self) -> impl Iterator<Item = &str> {
        self.files.keys().map(String::as_str).filter(|n| !n.contains('/'))
    }

    /// The architecture file that lists `class` (an entry of `architectures` in config.json) in its `classes`. Invalid
    /// files are skipped.
    pub fn architecture_for_class(&self, class: &str) -> Option<String> {
        self.architectures_by_class().remove(class)
    }

    /// The first architecture file that lists each class. Invalid files are skipped.
    pub fn architectures_by_class(&self) -> BTreeMap<String, String> {
        let mut files = BTreeMap::new();
        for file in self.architectures() {
            for class in self.classes(file) {
                files.entry(class).or_insert_with(|| file.to_string());
            }
        }
        files
    }

    /// The architecture files that list `model_type` (of config.json) in their `model_types`. Invalid files are
    /// skipped.
    pub fn architectures_for_model_type(&self, model_type: &str) -> Vec<String> {
        let lists = |name: &&str| self.model_types(name).iter().any(|t| t == model_type);
        self.architectures().filter(lists).map(str::to_string).collect()
    }

    /// The `model_types` of an architecture file; none if it is invalid.
    pub fn model_types(&self, file: &str) -> Vec<String> {
        let read = |text: &String| file::peek::<file::Classes>(text);
        self.files.get(file).and_then(read).map(|c| c.model_types).unwrap_or_default()
    }

    /// The `classes` of an architecture file; none if it is invalid.
    pub fn classes(&self, file: &str) -> Vec<String> {
        let read = |text: &String| file::peek::<file::Classes>(text);
        self.files.get(file).and_then(read).map(|c| c.classes).unwrap_or_default()
    }
}
