//! Programs prepared for execution: resolved sizes, and the steps that any requested outputs need.

use std::collections::BTreeSet;

use gristmill_bundle::size::Expr;
use gristmill_bundle::{Binding, Entry, Kernel, Manifest, Program};

use crate::call::{find_entry, invalid, wanted_outputs};
use crate::error::Error;
use crate::gather::gather;

/// A step: see [`gristmill_bundle::Step`].
#[derive(Clone, Debug)]
pub(crate) struct Step {
    pub(crate) dispatches: Vec<Dispatch>,
    pub(crate) fallback: Vec<Dispatch>,
    pub(crate) nodes: String,
}

/// A dispatch with its size resolved.
#[derive(Clone, Debug)]
pub(crate) struct Dispatch {
    pub(crate) kernel: usize,
    pub(crate) grid: Expr,
    pub(crate) bind: Vec<Binding>,
}

impl Step {
    /// Whether one of its dispatches binds this buffer.
    pub(crate) fn binds(&self, binding: Binding) -> bool {
        self.dispatches.iter().any(|d| d.bind.contains(&binding))
    }
}

/// The steps and buffers that some outputs need.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Needed {
    /// Indices of steps, in order.
    pub(crate) steps: Vec<usize>,
    /// The buffers that they bind, and the outputs, without duplicates.
    pub(crate) bindings: Vec<Binding>,
}

/// A program with its sizes resolved.
#[derive(Clone, Debug)]
pub(crate) struct Schedule {
    pub(crate) steps: Vec<Step>,
    /// Bytes of each slot.
    pub(crate) slots: Vec<Expr>,
    /// Dimensions of each output.
    pub(crate) outputs: Vec<Vec<Expr>>,
    /// What each step writes.
    writes: Vec<Vec<Binding>>,
}

impl Schedule {
    pub(crate) fn new(
        manifest: &Manifest,
        entry: &Entry,
        program: &Program,
        kernels: &[Kernel],
    ) -> Result<Self, Error> {
        let names = manifest.symbol_names();
        let resolve = |size: &gristmill_bundle::Size| size.resolve(&names).map_err(invalid);
        let dispatch = |d: &gristmill_bundle::Dispatch| -> Result<Dispatch, Error> {
            Ok(Dispatch { kernel: d.kernel as usize, grid: resolve(&d.grid)?, bind: d.bind.clone() })
        };
        let all = |list: &[gristmill_bundle::Dispatch]| list.iter().map(dispatch).collect::<Result<Vec<_>, Error>>();
        let steps = program
            .steps
            .iter()
            .map(|s| Ok(Step { dispatches: all(&s.dispatches)?, fallback: all(&s.fallback)?, nodes: s.nodes.clone() }));
        let written = |step: &gristmill_bundle::Step| {
            let mut all = Vec::new();
            for d in &step.dispatches {
                let writes = &kernels[d.kernel as usize].writes;
                all.extend(d.bind.iter().zip(writes).filter(|(_, w)| **w).map(|(b, _)| *b));
            }
            all
        };
        Ok(Schedule {
            steps: steps.collect::<Result<_, Error>>()?,
            slots: program.slots.iter().map(resolve).collect::<Result<_, _>>()?,
            outputs: entry
                .outputs
                .iter()
                .map(|o| o.shape.iter().map(resolve).collect())
                .collect::<Result<_, Error>>()?,
            writes: program.steps.iter().map(written).collect(),
        })
    }

    /// The steps that the requested outputs or any state depend on, in order. A kernel may write only a part of a
    /// buffer, so a buffer that is needed once is needed from the start.
    pub(crate) fn needed(&self, wanted: &[usize]) -> Needed {
        let mut needed: BTreeSet<Binding> = gather(wanted.iter().map(|w| Binding::Output(*w as u32)));
        let mut steps = Vec::new();
        for (i, step) in self.steps.iter().enumerate().rev() {
            let of_use = |b: &Binding| matches!(b, Binding::State(_)) || needed.contains(b);
            let useful = self.writes[i].iter().any(of_use);
            if useful {
                for dispatch in &step.dispatches {
                    needed.extend(&dispatch.bind);
                }
                steps.push(i);
            }
        }
        steps.reverse();
        Needed { steps, bindings: needed.into_iter().collect() }
    }
}

/// The cost of a call of an entry, independent of its size.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EntryWork {
    /// Number of dispatches.
    pub dispatches: usize,
    /// Weights that are read, as indices in [`Manifest::tensors`].
    pub tensors: BTreeSet<u32>,
}

/// The cost of computing some outputs of an entry; without names, all of them.
///
/// # Errors
/// If there is no such entry or output.
pub fn entry_work(
    manifest: &Manifest,
    programs: &gristmill_bundle::Programs,
    entry: &str,
    want: &[&str],
) -> Result<EntryWork, Error> {
    let entry = &manifest.entries[find_entry(manifest, entry)?];
    let schedule = Schedule::new(manifest, entry, &programs.programs[&entry.name], &programs.kernels)?;
    let needed = schedule.needed(&wanted_outputs(entry, want)?);
    let tensor = |b: &Binding| match b {
        Binding::Tensor(i) => Some(*i),
        _ => None,
    };
    let dispatches = needed.steps.iter().map(|s| schedule.steps[*s].dispatches.len()).sum();
    Ok(EntryWork { dispatches, tensors: gather(needed.bindings.iter().filter_map(tensor)) })
}

/// The number of workgroups in x and y: `x * y >= count` with a small excess, `x` at most `most`. `None` if `y` is too
/// large.
pub(crate) fn fold(count: u64, most: u32) -> Option<(u32, u32)> {
    let most = u64::from(most.max(1));
    let y = count.div_ceil(most).max(1);
    let x = count.div_ceil(y);
    (y <= most).then_some((x as u32, y as u32))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folding_covers_the_grid() {
        for count in [0, 1, 65535, 65536, 100_000, 65535 * 65535] {
            let (x, y) = fold(count, 65535).unwrap();
            assert!(u64::from(x) * u64::from(y) >= count && x <= 65535 && y <= 65535);
            assert!(u64::from(x) * u64::from(y) - count < u64::from(y));
        }
        assert_eq!(fold(65535 * 65535 + 1, 65535), None);
        assert_eq!(fold(70_001, u32::MAX), Some((70_001, 1)), "one number where one number is enough");
    }
}
