//! Identifiers that WGSL accepts and that do not shadow one another.

use std::collections::BTreeSet;

use naga::keywords::wgsl::{BUILTIN_IDENTIFIERS, RESERVED};

/// Names that shaders declare or may need, besides the keywords of the language.
const OWN: &[&str] = &["main", "symbols", "Symbols", "workgroup_id", "num_workgroups", "lane_id", "lane_count"];

/// Allocates names. Blocks nest; a name is free again at the end of its block, so that consecutive loops can both use
/// `k`.
pub(crate) struct Names {
    blocks: Vec<BTreeSet<String>>,
}

impl Names {
    pub(crate) fn new() -> Self {
        Names { blocks: vec![BTreeSet::new()] }
    }

    /// Enters a block.
    pub(crate) fn open(&mut self) {
        self.blocks.push(BTreeSet::new());
    }

    /// Leaves the innermost block.
    pub(crate) fn close(&mut self) {
        self.blocks.pop();
    }

    /// A valid identifier based on `wanted`, with a number at the end if it would equal a visible name.
    pub(crate) fn unique(&mut self, wanted: &str) -> String {
        let mut base: String = wanted.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
        // Identifiers must not start with a digit or two underscores, nor be a single underscore.
        if !base.starts_with(|c: char| c.is_ascii_alphabetic()) {
            base.insert(0, 'v');
        }
        let separator = if base.ends_with(|c: char| c.is_ascii_digit()) { "_" } else { "" };
        let mut name = base.clone();
        let mut n = 2;
        while self.is_taken(&name) {
            name = format!("{base}{separator}{n}");
            n += 1;
        }
        if let Some(block) = self.blocks.last_mut() {
            block.insert(name.clone());
        }
        name
    }

    fn is_taken(&self, name: &str) -> bool {
        let language = RESERVED.contains(&name) || BUILTIN_IDENTIFIERS.contains(&name);
        language || OWN.contains(&name) || self.blocks.iter().any(|block| block.contains(name))
    }
}

#[cfg(test)]
mod tests {
    use super::Names;

    #[test]
    fn names_are_valid_and_unique() {
        let mut names = Names::new();
        assert_eq!(names.unique("row"), "row");
        assert_eq!(names.unique("row"), "row2");
        assert_eq!(names.unique("acc0"), "acc0");
        assert_eq!(names.unique("acc0"), "acc0_2");
        assert_eq!(names.unique("loop"), "loop2");
        assert_eq!(names.unique("max"), "max2");
        assert_eq!(names.unique("active"), "active2");
        assert_eq!(names.unique("3.q"), "v3_q");
        assert_eq!(names.unique("_"), "v_");
    }

    #[test]
    fn neighbouring_blocks_use_a_name_again() {
        let mut names = Names::new();
        assert_eq!(names.unique("x"), "x");
        for _ in 0..2 {
            names.open();
            assert_eq!(names.unique("k"), "k");
            assert_eq!(names.unique("x"), "x2");
            names.close();
        }
    }
}
