//! Names that WGSL accepts and that occur once.

use std::collections::BTreeSet;

/// Keywords, reserved words, and the built-in names that a shader must not hide because the printer uses them.
const TAKEN: &[&str] = &[
    "abs",
    "active",
    "alias",
    "array",
    "as",
    "async",
    "atomic",
    "attribute",
    "auto",
    "await",
    "become",
    "binding",
    "bitcast",
    "bool",
    "break",
    "case",
    "cast",
    "catch",
    "class",
    "const",
    "const_assert",
    "continue",
    "continuing",
    "cos",
    "crate",
    "debugger",
    "default",
    "delete",
    "diagnostic",
    "discard",
    "do",
    "dot",
    "else",
    "enable",
    "enum",
    "exp",
    "export",
    "extends",
    "extern",
    "external",
    "f16",
    "f32",
    "fallthrough",
    "false",
    "filter",
    "final",
    "finally",
    "floor",
    "fma",
    "fn",
    "for",
    "friend",
    "from",
    "function",
    "get",
    "goto",
    "highp",
    "i32",
    "if",
    "implements",
    "import",
    "inline",
    "instanceof",
    "interface",
    "let",
    "log",
    "loop",
    "lowp",
    "macro",
    "main",
    "mat2x2",
    "match",
    "max",
    "mediump",
    "meta",
    "min",
    "mod",
    "module",
    "move",
    "mut",
    "namespace",
    "new",
    "noinline",
    "null",
    "of",
    "operator",
    "override",
    "package",
    "packed",
    "pass",
    "pow",
    "premerge",
    "priv",
    "private",
    "protected",
    "ptr",
    "pub",
    "public",
    "ref",
    "regardless",
    "register",
    "require",
    "requires",
    "resource",
    "return",
    "sampler",
    "select",
    "self",
    "set",
    "shared",
    "sin",
    "sizeof",
    "smooth",
    "sqrt",
    "static",
    "std",
    "storage",
    "struct",
    "super",
    "switch",
    "symbols",
    "Symbols",
    "target",
    "template",
    "texture",
    "this",
    "throw",
    "trait",
    "true",
    "try",
    "type",
    "typedef",
    "typename",
    "typeof",
    "u32",
    "uniform",
    "union",
    "unless",
    "unsafe",
    "use",
    "using",
    "var",
    "vec2",
    "vec3",
    "vec4",
    "virtual",
    "void",
    "volatile",
    "where",
    "while",
    "with",
    "workgroup",
    "writeonly",
    "yield",
    "thread_index",
    "workgroup_id",
    "num_workgroups",
    "position",
    "lane_id",
    "lane_count",
];

/// Hands out unique names.
#[derive(Default)]
pub(crate) struct Names {
    used: BTreeSet<String>,
}

impl Names {
    /// `wanted`, made a valid identifier and unique by a number at the end.
    pub(crate) fn unique(&mut self, wanted: &str) -> String {
        let mut base: String = wanted.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
        // Identifiers must not begin with a digit or with two underscores, nor be a lone underscore.
        if !base.starts_with(|c: char| c.is_ascii_alphabetic()) {
            base.insert(0, 'v');
        }
        let mut name = base.clone();
        let mut n = 2;
        while TAKEN.contains(&name.as_str()) || self.used.contains(&name) {
            name =
                if base.ends_with(|c: char| c.is_ascii_digit()) { format!("{base}_{n}") } else { format!("{base}{n}") };
            n += 1;
        }
        self.used.insert(name.clone());
        name
    }
}

#[cfg(test)]
mod tests {
    use super::Names;

    #[test]
    fn names_are_valid_and_unique() {
        let mut names = Names::default();
        assert_eq!(names.unique("row"), "row");
        assert_eq!(names.unique("row"), "row2");
        assert_eq!(names.unique("acc0"), "acc0");
        assert_eq!(names.unique("acc0"), "acc0_2");
        assert_eq!(names.unique("loop"), "loop2");
        assert_eq!(names.unique("3.q"), "v3_q");
        assert_eq!(names.unique("_"), "v_");
    }
}
