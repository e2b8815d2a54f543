//! Cycles among things that refer to one another by name.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use petgraph::algo::kosaraju_scc;
use petgraph::graphmap::DiGraphMap;

/// References by name. An edge has the text of the reference, which determines its place.
pub(super) type References<'a> = DiGraphMap<&'a str, &'a str>;

/// A cycle of names.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Circle<'a> {
    /// The shortest cycle, with the first name again at the end.
    names: Vec<&'a str>,
    /// Names on other cycles with these, sorted.
    others: Vec<&'a str>,
    /// The reference from the first name to the second.
    pub(super) place: &'a str,
}

impl Circle<'_> {
    /// `a -> b -> a`.
    pub(super) fn show(&self) -> String {
        self.names.join(" -> ")
    }

    /// The note about names on other cycles with these, if any.
    pub(super) fn note(&self) -> Option<String> {
        (!self.others.is_empty()).then(|| format!("other cycles go through {}", self.others.join(", ")))
    }
}

/// One cycle for each strongly connected set of names, in the order of the names.
///
/// It does not use recursion, so that chains may have any length.
pub(super) fn circles<'a>(references: &References<'a>) -> Vec<Circle<'a>> {
    let refers_to_itself = |set: &[&'a str]| set.len() > 1 || references.contains_edge(set[0], set[0]);
    let sets = kosaraju_scc(references).into_iter().filter(|set| refers_to_itself(set));
    let mut circles: Vec<Circle<'a>> = sets.filter_map(|set| shortest(references, set)).collect();
    circles.sort_by(|a, b| a.names.cmp(&b.names));
    circles
}

/// The shortest cycle through the first name of a strongly connected set.
fn shortest<'a>(references: &References<'a>, mut set: Vec<&'a str>) -> Option<Circle<'a>> {
    set.sort_unstable();
    let start = *set.first()?;
    let mut from: BTreeMap<&str, &str> = BTreeMap::new();
    let mut open = VecDeque::from([start]);
    while let (false, Some(name)) = (from.contains_key(start), open.pop_front()) {
        for next in references.neighbors(name) {
            from.entry(next).or_insert_with(|| {
                open.push_back(next);
                name
            });
        }
    }
    let mut names = vec![start];
    let mut at = *from.get(start)?;
    while at != start {
        names.push(at);
        at = *from.get(at)?;
    }
    names.push(start);
    names.reverse();
    let told: BTreeSet<&str> = names.iter().copied().collect();
    let others = set.into_iter().filter(|name| !told.contains(name)).collect();
    let place = *references.edge_weight(names[0], names[1])?;
    Some(Circle { names, others, place })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(edges: &[(&'static str, &'static str)]) -> Vec<String> {
        let mut references = References::new();
        for (from, to) in edges {
            references.add_edge(*from, *to, "");
        }
        circles(&references).iter().map(|c| c.show() + &c.note().unwrap_or_default()).collect()
    }

    #[test]
    fn each_entangled_set_is_told_once() {
        assert_eq!(shown(&[("a", "b"), ("b", "c"), ("a", "c")]), Vec::<String>::new());
        assert_eq!(shown(&[("a", "a"), ("b", "a")]), ["a -> a"]);
        assert_eq!(
            shown(&[("x", "c"), ("c", "b"), ("b", "a"), ("a", "c"), ("z", "z")]),
            ["a -> c -> b -> a", "z -> z"]
        );
        let entangled = [("a", "b"), ("b", "c"), ("c", "a"), ("b", "a"), ("c", "d"), ("d", "c")];
        assert_eq!(shown(&entangled), ["a -> b -> aother cycles go through c, d"]);
    }

    #[test]
    fn a_circle_may_be_of_any_length() {
        let names: Vec<String> = (0..200_000).map(|i| format!("n{i:06}")).collect();
        let mut references = References::new();
        for (from, to) in names.iter().zip(&names[1..]) {
            references.add_edge(from.as_str(), to.as_str(), "");
        }
        assert_eq!(circles(&references), []);
        references.add_edge(names.last().unwrap().as_str(), names[0].as_str(), "");
        let found = circles(&references);
        assert_eq!((found.len(), found[0].names.len()), (1, names.len() + 1));
    }
}
