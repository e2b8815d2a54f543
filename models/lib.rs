//! The architectures, blocks, precision policies and conversions that ship with gristmill, as texts.
//!
//! What they mean is said by `gristmill_graph::text`, which reads them, and by the manual beside them (`README.md`).
//!
//! ```
//! let llama = gristmill_models::file("llama.ron").expect("it ships");
//! assert!(llama.contains("LlamaForCausalLM"));
//! assert!(gristmill_models::FILES.iter().any(|(path, _)| path.starts_with("blocks/")));
//! ```

/// Every `.ron` file of this folder: its path with `/` between parts, and its text. Sorted by path.
pub const FILES: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/files.rs"));

/// The text of a file by its path.
pub fn file(path: &str) -> Option<&'static str> {
    FILES.binary_search_by(|(name, _)| (*name).cmp(path)).ok().map(|at| FILES[at].1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_found_by_their_paths() {
        assert!(FILES.is_sorted_by(|a, b| a.0 < b.0), "a search needs an order");
        for (path, text) in FILES {
            assert_eq!(file(path), Some(*text));
        }
        assert_eq!(file("nothing.ron"), None);
    }
}
