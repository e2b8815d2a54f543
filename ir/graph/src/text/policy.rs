//! Precision policies: how each weight is stored.

use std::str::FromStr;

use serde::Deserialize;

use super::diagnostics::{Diagnostic, Diagnostics, Sources};
use super::file::{Text, read};
use crate::dtype::Precision;

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename = "Policy", bound(deserialize = "'de: 'a"))]
struct PolicyFile<'a> {
    #[serde(default, rename = "doc")]
    _doc: Text<'a>,
    default: Text<'a>,
    #[serde(default)]
    rules: Vec<RuleFile<'a>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, bound(deserialize = "'de: 'a"))]
enum RuleFile<'a> {
    Role(Text<'a>, Text<'a>),
    Name(Text<'a>, Text<'a>),
    Component(Text<'a>, Text<'a>),
    Layers {
        from: u32,
        to: u32,
        #[serde(default)]
        role: Option<Text<'a>>,
        precision: Text<'a>,
    },
}

/// The weights that a rule applies to.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Selector {
    /// This role or a finer one: `attention` covers `attention.query`.
    Role(String),
    /// A weight path with `*` for any run of characters.
    Name(String),
    /// All weights of a component.
    Component(String),
    /// Layers `from` to `to`, both included.
    Layers { from: u32, to: u32, role: Option<String> },
}

/// A use of a weight.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// The role of the node that uses it.
    pub role: Option<&'a str>,
    /// The path of the weight: `layers.3.q_proj`.
    pub path: &'a str,
    /// The name of the component that it belongs to.
    pub component: &'a str,
    /// The round of the repetition that the node is in.
    pub layer: Option<u32>,
    /// The number of its dimensions.
    pub rank: usize,
}

/// Assigns a precision to every weight: a default, and rules, of which later ones win.
///
/// A precision that an architecture demands for a statement overrides every policy; callers apply it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    default: Precision,
    rules: Vec<(Selector, Precision)>,
}

impl Policy {
    /// The same precision for all weights of two or more dimensions.
    pub fn uniform(precision: Precision) -> Self {
        Self { default: precision, rules: Vec::new() }
    }

    /// Parses a policy file; `name` is its name in diagnostics.
    ///
    /// # Errors
    /// Invalid RON, or all invalid precisions and layer ranges.
    pub fn parse(name: &str, text: &str) -> Result<Self, Diagnostics> {
        let mut sources = Sources::default();
        sources.add(name, text);
        let file: PolicyFile<'_> = read(&sources, name, text).map_err(|d| Diagnostics(vec![*d]))?;
        let mut diagnostics: Vec<Diagnostic> = Vec::new();
        let mut precision = |at: Text<'_>| {
            Precision::from_str(at.0).unwrap_or_else(|message| {
                diagnostics.push(sources.diagnostic(at.0, message));
                Precision::F32
            })
        };
        let default = precision(file.default);
        let mut rules = Vec::new();
        let mut ranges = Vec::new();
        for rule in file.rules {
            rules.push(match rule {
                RuleFile::Role(role, p) => (Selector::Role(role.0.to_string()), precision(p)),
                RuleFile::Name(pattern, p) => (Selector::Name(pattern.0.to_string()), precision(p)),
                RuleFile::Component(name, p) => (Selector::Component(name.0.to_string()), precision(p)),
                RuleFile::Layers { from, to, role, precision: p } => {
                    if from > to {
                        ranges.push((p, format!("the range of layers {from} to {to} is empty")));
                    }
                    let role = role.map(|r| r.0.to_string());
                    (Selector::Layers { from, to, role }, precision(p))
                }
            });
        }
        diagnostics.extend(ranges.into_iter().map(|(at, message)| sources.diagnostic(at.0, message)));
        if diagnostics.is_empty() { Ok(Self { default, rules }) } else { Err(Diagnostics(diagnostics)) }
    }

    /// The same rules with every precision replaced by `change`.
    ///
    /// # Errors
    /// The first error of `change`.
    pub fn try_map<E>(self, change: impl Fn(Precision) -> Result<Precision, E>) -> Result<Self, E> {
        let rules = self.rules.into_iter().map(|(selector, p)| Ok((selector, change(p)?)));
        Ok(Self { default: change(self.default)?, rules: rules.collect::<Result<_, _>>()? })
    }

    /// How a weight is stored.
    ///
    /// Norms, biases and all other weights with fewer than two dimensions stay f32 unless a rule says f16: they are
    /// few, so that there is little to gain.
    pub fn precision(&self, place: &Place<'_>) -> Precision {
        let Place { role, path, component, layer, rank } = *place;
        let fits = |selector: &Selector| match selector {
            Selector::Role(wanted) => covers(wanted, role),
            Selector::Name(pattern) => glob(pattern, path),
            Selector::Component(name) => name == component,
            Selector::Layers { from, to, role: wanted } => {
                layer.is_some_and(|l| (*from..=*to).contains(&l))
                    && wanted.as_ref().is_none_or(|wanted| covers(wanted, role))
            }
        };
        let mut matching = self.rules.iter().rev().filter(|(selector, _)| fits(selector)).map(|(_, p)| *p);
        if rank < 2 {
            return matching.find(|p| !matches!(p, Precision::Quant(_))).unwrap_or(Precision::F32);
        }
        matching.next().unwrap_or(self.default)
    }
}

/// Whether `role` is `wanted` or a finer role of it.
fn covers(wanted: &str, role: Option<&str>) -> bool {
    role.and_then(|r| r.strip_prefix(wanted)).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

/// Whether `text` matches `pattern`, in which `*` stands for any text.
pub(super) fn glob(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = text.strip_prefix(first) else { return false };
    let mut parts = parts.peekable();
    if parts.peek().is_none() {
        return rest.is_empty();
    }
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return rest.ends_with(part);
        }
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    fn q(text: &str) -> Precision {
        text.parse().unwrap()
    }

    fn place<'a>(role: Option<&'a str>, path: &'a str, layer: Option<u32>, rank: usize) -> Place<'a> {
        Place { role, path, component: "model", layer, rank }
    }

    #[test]
    fn a_component_can_have_its_own_precision() {
        let text = r#"Policy(default: "q4", rules: [Component("vision_tower", "q8"), Role("embedding", "f16")])"#;
        let p = Policy::parse("p.ron", text).unwrap();
        let tower = Place { component: "vision_tower", ..place(Some("ffn.up"), "blocks.0.up", Some(0), 2) };
        assert_eq!(p.precision(&tower), q("q8"));
        assert_eq!(p.precision(&Place { component: "vision", ..tower }), q("q4"));
        assert_eq!(p.precision(&Place { role: Some("embedding"), ..tower }), q("f16"));
    }

    #[test]
    fn later_rules_win_and_vectors_stay_float() {
        let text = r#"Policy(
            default: "q4",
            rules: [
                Role("attention", "q3"),
                Role("norm", "f16"),
                Name("layers.*.v_proj", "q2"),
                Layers(from: 0, to: 1, role: "attention", precision: "q8.g64"),
            ],
        )"#;
        let p = Policy::parse("p.ron", text).unwrap();
        assert_eq!(p.precision(&place(Some("ffn.up"), "layers.5.up_proj", Some(5), 2)), q("q4"));
        assert_eq!(p.precision(&place(Some("attention.query"), "layers.5.q_proj", Some(5), 2)), q("q3"));
        assert_eq!(p.precision(&place(Some("attentions"), "layers.5.q_proj", Some(5), 2)), q("q4"));
        assert_eq!(p.precision(&place(Some("attention.value"), "layers.5.v_proj", Some(5), 2)), q("q2"));
        assert_eq!(p.precision(&place(Some("attention.value"), "layers.1.v_proj", Some(1), 2)), q("q8.g64"));
        assert_eq!(p.precision(&place(Some("attention.value"), "layers.1.v_bias", Some(1), 1)), q("f32"));
        assert_eq!(p.precision(&place(Some("norm"), "layers.1.norm", Some(1), 1)), q("f16"));
        assert_eq!(Policy::uniform(q("q2")).precision(&place(None, "norm", None, 1)), q("f32"));
    }

    #[test]
    fn patterns() {
        for (pattern, text, fits) in [
            ("a.*.c", "a.b.c", true),
            ("a.*.c", "a.b.cc", false),
            ("*c", "abc", true),
            ("a*", "abc", true),
            ("abc", "abcd", false),
            ("a*b*c", "axxbyyc", true),
            ("a*b*c", "acb", false),
        ] {
            assert_eq!(glob(pattern, text), fits, "{pattern} {text}");
        }
    }

    #[test]
    fn mistakes_are_all_reported() {
        let text = "Policy(\n  default: \"q5\",\n  rules: [Role(\"ffn\", \"q4.g7\")],\n)";
        let shown = Policy::parse("p.ron", text).unwrap_err().to_string();
        assert!(shown.contains("p.ron:2:13") && shown.contains("p.ron:3:24"), "{shown}");
        let shown = Policy::parse("p.ron", "Policy(defualt: \"q4\")").unwrap_err().to_string();
        assert!(shown.contains("did you mean `default`?"), "{shown}");
    }
}
