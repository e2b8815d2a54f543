//! Limits on shaders. Parsers in libraries, browsers and drivers are recursive, and may overflow their stacks.

/// The largest size of a shader in bytes.
const MAX_BYTES: usize = 1 << 20;
/// The largest number of tokens of a statement: an expression may be nested as deeply as it is long.
const MAX_PARTS: usize = 10_000;
/// The deepest nesting of brackets.
const MAX_DEPTH: usize = 200;
/// The largest number of branches: each `else` is nested in the one before.
const MAX_ELSE: usize = 1_000;
/// The largest number of declarations: each may refer to the one before.
const MAX_DECLARATIONS: usize = 2_000;

/// The limit that a shader exceeds, if any. Shaders of gristmill stay below a fourth of each.
pub fn shader_fault(text: &str) -> Option<String> {
    let exceeds = |what: &str, found: usize, most: usize| {
        (found > most).then(|| format!("{what}, {found} or more; at most {most} are supported"))
    };
    if let Some(fault) = exceeds("too many bytes", text.len(), MAX_BYTES) {
        return Some(fault);
    }
    let (mut parts, mut depth, mut branches, mut declarations) = (0, 0_usize, 0, 0);
    for part in Parts(text) {
        match part {
            "(" | "[" | "{" => depth += 1,
            ")" | "]" | "}" => depth = depth.saturating_sub(1),
            "else" => branches += 1,
            _ => {}
        }
        parts = if matches!(part, ";" | "{" | "}") { 0 } else { parts + 1 };
        declarations += usize::from(depth == 0 && matches!(part, ";" | "}"));
        let fault = exceeds("a statement has too many tokens", parts, MAX_PARTS)
            .or_else(|| exceeds("brackets are nested too deeply", depth, MAX_DEPTH))
            .or_else(|| exceeds("there are too many branches", branches, MAX_ELSE))
            .or_else(|| exceeds("there are too many declarations", declarations, MAX_DECLARATIONS));
        if fault.is_some() {
            return fault;
        }
    }
    None
}

/// The tokens of a WGSL text, without comments.
struct Parts<'a>(&'a str);

impl<'a> Iterator for Parts<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        loop {
            self.0 = self.0.trim_start();
            if let Some(rest) = self.0.strip_prefix("//") {
                self.0 = rest.split_once(is_line_break).map_or("", |(_, rest)| rest);
            } else if let Some(rest) = self.0.strip_prefix("/*") {
                self.0 = behind_comment(rest);
            } else {
                break;
            }
        }
        let first = self.0.chars().next()?;
        let word = |c: char| c.is_alphanumeric() || c == '_';
        let end = if word(first) { self.0.find(|c| !word(c)).unwrap_or(self.0.len()) } else { first.len_utf8() };
        let (part, rest) = self.0.split_at(end);
        self.0 = rest;
        Some(part)
    }
}

/// <https://www.w3.org/TR/WGSL/#line-break>
fn is_line_break(c: char) -> bool {
    matches!(c, '\n' | '\u{b}' | '\u{c}' | '\r' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

/// The text after the end of a comment. Comments can be nested.
fn behind_comment(text: &str) -> &str {
    let mut open = 1;
    let mut rest = text;
    while open > 0 {
        let Some(at) = rest.find(['*', '/']) else { return "" };
        rest = &rest[at..];
        let step = match rest.get(..2) {
            Some("/*") => 1,
            Some("*/") => -1,
            _ => 0,
        };
        open += step;
        rest = &rest[if step == 0 { 1 } else { 2 }..];
    }
    rest
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(text: &str) -> String {
        shader_fault(text).unwrap_or_default()
    }

    #[test]
    fn what_is_too_deep_is_found() {
        let main = |body: &str| format!("@compute @workgroup_size(64) fn main() {{ {body} }}");
        assert_eq!(fault(&main("var a = 1; // the end")), "");
        assert_eq!(fault(&main(&"a = a + 1;".repeat(20_000))), "");
        let sum = "1 + ".repeat(200_000);
        assert!(fault(&main(&format!("let a = {sum} 1;"))).starts_with("a statement has too many tokens"));
        // Nothing in a comment ends a statement.
        for comment in ["/* ; */", "/* /* */ ; */", "// ;\n", "// ;\u{2028}"] {
            let sum = format!("1 + {comment}").repeat(10_000);
            assert!(fault(&main(&format!("let a = {sum} 1;"))).starts_with("a statement has"), "{comment}");
        }
        assert_eq!(fault(&main(&format!("/* {sum}"))), "");
        assert!(fault(&main(&"-".repeat(10_001))).starts_with("a statement has"));
        assert!(fault(&main(&"(".repeat(201))).starts_with("brackets are nested too deeply, 201 or more"));
        assert!(fault(&main(&"{".repeat(201))).starts_with("brackets are nested"));
        assert!(fault(&main(&"if (a) {} else ".repeat(1_001))).starts_with("there are too many branches"));
        let constants: String = (1..3_000).map(|i| format!("const a{i} = a{} + 1;", i - 1)).collect();
        assert!(fault(&constants).starts_with("there are too many declarations, 2001 or more; at most 2000"));
        assert!(fault(&"é".repeat(1 << 20)).starts_with("too many bytes, 2097152 or more; at most 1048576"));
    }

    #[test]
    fn any_text_can_be_read() {
        for text in ["/", "*", "/*", "/*/", "/**", "/* *é", "//", "é/é*é", "_", "\u{2028}", "1.0e-5f", "/*é/*"] {
            assert_eq!(fault(text), "", "{text}");
        }
    }
}
