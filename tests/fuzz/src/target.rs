//! Readers of untrusted bytes.

/// Whether a reader accepted its input.
pub type Accepted = bool;

/// A fuzz target.
pub struct Target {
    /// Its name, and that of its folder in `corpus`.
    pub name: &'static str,
    /// A folder of the repository and the suffix of files in it that are also seeds.
    pub(crate) seeds: Seeds,
    /// Maximum length of an input in bytes.
    pub most: usize,
    read: fn(&[u8]) -> Accepted,
}

impl std::fmt::Debug for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Target").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Target {
    /// Runs an input. Returns normally, whatever the input is.
    pub fn run(&self, data: &[u8]) -> Accepted {
        (self.read)(data)
    }
}

pub(crate) type Seeds = Option<(&'static str, &'static str)>;

pub(crate) const fn of(name: &'static str, seeds: Seeds, most: usize, read: fn(&[u8]) -> Accepted) -> Target {
    Target { name, seeds, most, read }
}
