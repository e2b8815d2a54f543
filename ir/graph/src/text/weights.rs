//! Weights: from a pattern of tensor names to a tensor of the checkpoint.

use std::collections::BTreeSet;

use super::binder::{Binder, Eval};
use super::diagnostics::nearest_hint;
use super::extend::Merged;
use super::file::{REST, WeightDecl};
use super::parser::list;
use super::policy::glob;
use super::value::Value;
use crate::dim::{Dim, show_shape};
use crate::graph::Weight;

/// The component of models without declared ones.
const ONLY: &str = "model";
/// The largest number of alternatives in a pattern.
const MAX_CANDIDATES: usize = 64;
/// How often the nearest tensor name is searched for, because a wrong prefix affects all tensors.
const MAX_SEARCHES: usize = 20;

/// All names that a pattern such as `(model.|)norm.(weight|gamma)` stands for, in order of preference.
pub(super) fn candidates(pattern: &str) -> Result<Vec<String>, String> {
    let mut all = vec![String::new()];
    let mut rest = pattern;
    while let Some(open) = rest.find('(') {
        let Some(close) = rest[open..].find(')') else { return Err("this `(` has no `)`".into()) };
        let (literal, group) = (&rest[..open], &rest[open + 1..open + close]);
        let mut more = Vec::new();
        for prefix in &all {
            more.extend(group.split('|').map(|choice| format!("{prefix}{literal}{choice}")));
        }
        if more.len() > MAX_CANDIDATES {
            return Err(format!("this pattern matches more than {MAX_CANDIDATES} names"));
        }
        all = more;
        rest = &rest[open + close + 1..];
    }
    all.iter_mut().for_each(|name| name.push_str(rest));
    Ok(all)
}

impl<'a> Binder<'a> {
    /// The prefix of names in the current repetitions: `layers.3.`.
    pub(super) fn prefix(&self) -> String {
        self.repeats.iter().map(|r| format!("{}.{}.", r.name, r.index)).collect()
    }

    /// Evaluates a comma-separated list of dimensions in a declaration.
    pub(super) fn dims_of(&mut self, text: &'a str) -> Eval<Vec<Dim>> {
        let items = self.formula(list(text))?;
        self.at_top_level(true, |b| items.iter().map(|e| b.eval_dim(e)).collect())
    }

    /// The value of a declared weight: its node, or null if it does not exist.
    pub(super) fn weight(&mut self, name: &'a str, decl: &WeightDecl<'a>, at: &'a str) -> Eval<Value<'a>> {
        let Some(source) = self.weight_source(decl, at)? else { return Ok(Value::Absent) };
        let dims = self.dims_of(decl.shape.0)?;
        let checked = super::builder::check_shape(&dims, &self.builder.minima);
        self.at(decl.shape.0, checked)?;
        let shape: Option<Vec<u64>> = dims.iter().map(|d| d.as_const().and_then(|v| u64::try_from(v).ok())).collect();
        let Some(shape) = shape else {
            return Err(self.fail(decl.shape.0, "the shape of a weight cannot have symbols"));
        };
        if let Some(found) = self.tensors.and_then(|t| t.get(&source)).filter(|found| **found != shape) {
            let message = format!("tensor `{source}`: expected shape {}, found {found:?}", show_shape(&dims));
            self.fail(decl.shape.0, message);
        }
        let path = if decl.tensor.0.contains('{') { format!("{}{name}", self.prefix()) } else { name.to_string() };
        let component = self.component(&source, decl.tensor.0)?;
        let node = self.builder.weight(path, &source, &shape, component);
        self.at(decl.tensor.0, node).map(Value::Node)
    }

    /// The component of a tensor: the first one with a matching pattern, or else the one with the pattern `*`. Without
    /// declared components, there is one for all tensors.
    fn component(&mut self, source: &str, at: &'a str) -> Eval<u32> {
        let arch = self.arch.clone();
        let components = &arch.components.0;
        let has = |fits: &dyn Fn(&str) -> bool| components.iter().position(|(_, p)| p.iter().any(|p| fits(p.0)));
        let found = has(&|p| p != REST && glob(p, source)).or_else(|| has(&|p| p == REST));
        match found {
            Some(index) => Ok(index as u32),
            None if components.is_empty() => Ok(0),
            None => {
                let hint = format!(
                    "add a pattern for it to one of `components`, or `{REST}`, which takes all remaining \
                        tensors"
                );
                Err(self.fail_with(at, format!("tensor `{source}` belongs to no component"), Some(hint)))
            }
        }
    }

    /// The tensor of a weight; `None` if the weight does not exist in this model. A missing tensor is reported once and
    /// then treated as present, so that its uses are still checked.
    pub(super) fn weight_source(&mut self, decl: &WeightDecl<'a>, _at: &'a str) -> Eval<Option<String>> {
        if let Some(when) = decl.when {
            let condition = self.formula(super::parser::expression(when.0))?;
            if !self.at_top_level(true, |b| b.eval_bool(&condition))? {
                return Ok(None);
            }
        }
        let pattern = self.at_top_level(true, |b| b.interpolate(decl.tensor.0))?;
        let names = self.at(decl.tensor.0, candidates(&pattern))?;
        let Some(first) = names.first() else { return Ok(None) };
        let Some(tensors) = self.tensors else { return Ok(Some(first.clone())) };
        if let Some(found) = names.iter().find(|n| tensors.contains_key(*n)) {
            self.note_spellings(&names, found);
            return Ok(Some(found.clone()));
        }
        if decl.optional {
            self.absent.insert(first.clone());
            return Ok(None);
        }
        self.searched += 1;
        let hint =
            if self.searched <= MAX_SEARCHES { nearest_hint(first, tensors.keys().map(String::as_str)) } else { None };
        self.fail_with(decl.tensor.0, format!("tensor `{}` is not in the checkpoint", names.join("` or `")), hint);
        Ok(Some(first.clone()))
    }
}

/// The names of the components that have weights, in the order of their declaration; weights are renumbered.
pub(super) fn components(arch: &Merged<'_>, weights: &mut [Weight]) -> Vec<String> {
    let used: BTreeSet<u32> = weights.iter().map(|w| w.component).collect();
    let position = |component: u32| used.iter().position(|c| *c == component).unwrap_or_default() as u32;
    weights.iter_mut().for_each(|w| w.component = position(w.component));
    let name = |index: &u32| arch.components.0.get(*index as usize).map_or(ONLY, |(name, _)| name.0).to_string();
    used.iter().map(name).collect()
}

#[cfg(test)]
mod tests {
    use super::candidates;

    #[test]
    fn alternatives_multiply_in_order() {
        assert_eq!(candidates("a.b").unwrap(), ["a.b"]);
        assert_eq!(candidates("(m.|)n.(w|g)").unwrap(), ["m.n.w", "m.n.g", "n.w", "n.g"]);
        assert!(candidates("(a|b").is_err());
        assert!(candidates(&"(a|b)".repeat(7)).is_err());
    }
}
