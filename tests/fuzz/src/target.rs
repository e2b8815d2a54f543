//! A reader of bytes.

/// Whether a reader took its input.
pub type Accepted = bool;

/// A reader.
pub struct Target {
    /// Name, and that of its folder in `corpus`.
    pub name: &'static str,
    /// A folder of the repository, and how files in it end that it can read, besides its corpus.
    pub(crate) seeds: Seeds,
    /// Most bytes of an input.
    pub most: usize,
    read: fn(&[u8]) -> Accepted,
}

impl std::fmt::Debug for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Target").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Target {
    /// Reads an input. Whatever that is, it comes back.
    pub fn run(&self, data: &[u8]) -> Accepted {
        (self.read)(data)
    }
}

pub(crate) type Seeds = Option<(&'static str, &'static str)>;

pub(crate) const fn of(name: &'static str, seeds: Seeds, most: usize, read: fn(&[u8]) -> Accepted) -> Target {
    Target { name, seeds, most, read }
}
