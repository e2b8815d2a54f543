//! Variants of a module.

/// The features that a module requires of an engine besides `simd128`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Variant {
    /// Relaxed SIMD: fused multiply-add, dot products of bytes.
    pub relaxed: bool,
    /// Shared memory and atomics.
    pub threads: bool,
}

impl Variant {
    /// All variants, best first.
    pub const ALL: [Variant; 4] = [
        Variant { relaxed: true, threads: true },
        Variant { relaxed: true, threads: false },
        Variant { relaxed: false, threads: true },
        Variant { relaxed: false, threads: false },
    ];

    /// The name, which is the stem of its file: `relaxed.threads`, `baseline`, ...
    pub fn name(self) -> &'static str {
        match (self.relaxed, self.threads) {
            (true, true) => "relaxed.threads",
            (true, false) => "relaxed",
            (false, true) => "baseline.threads",
            (false, false) => "baseline",
        }
    }

    /// The engine features that it requires, by their names in bundles.
    pub fn requires(self) -> Vec<String> {
        let mut requires = Vec::new();
        if self.relaxed {
            requires.push("relaxed-simd".to_string());
        }
        if self.threads {
            requires.push("threads".to_string());
        }
        requires
    }
}
